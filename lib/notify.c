#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Opened at the first word and kept: a sandbox may forbid it later. */
static int
channel(void)
{
	static int fd = -1;
	static int tried;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (tried++ || n < 2 || n >= sizeof(to.sun_path) || (*path != '/' && *path != '@'))
		return fd;
	memcpy(to.sun_path, path, n);
	if (*path == '@')
		to.sun_path[0] = '\0'; /* in the abstract name space */
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0 &&
		connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
say(const char *text)
{
	int fd = channel();

	if (fd >= 0 && send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* a full queue: the next sign of life will do */
}

void
notify_ready(void)
{
	say("READY=1");
}

void
notify_reloading(void)
{
	struct timespec ts;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	say(text);
}

void
notify_stopping(void)
{
	say("STOPPING=1");
}

void
notify_status(const char *fmt, ...)
{
	static char last[256];
	char text[256] = "STATUS=";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + 7, sizeof(text) - 7, fmt, ap);
	va_end(ap);
	if (!strcmp(text, last))
		return;
	memcpy(last, text, sizeof(last));
	say(text);
}

/* 0: nobody watches, or another process than us is watched. */
static int64_t
watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoll(usec, NULL, 10) / 1000;
}

void
notify_tick(int64_t now)
{
	static int64_t every = -1, next;

	if (every < 0)
		every = watchdog_ms() / 2;
	if (every <= 0 || now < next)
		return;
	next = now + every;
	say("WATCHDOG=1");
}
