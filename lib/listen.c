#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "die.h"
#include "event.h"

#define BACKLOG 4096

/* The host without its brackets, and where the port begins. */
static bool
split(const char *where, char *host, size_t cap, const char **port)
{
	const char *colon = strrchr(where, ':');
	size_t n;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		strtol(colon + 1, NULL, 10) > 65535)
		return false;
	*port = colon + 1;
	n = (size_t)(colon - where);
	if (n > 1 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	if (n >= cap)
		return false;
	memcpy(host, where, n);
	host[n] = '\0';
	return true;
}

int
listen_open(const char *where, const char **why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *ai;
	char host[256];
	const char *port;
	int fd, one = 1, r;

	*why = "not ADDR:PORT";
	if (!split(where, host, sizeof(host), &port))
		return -EINVAL;
	if (!*host)
		hints.ai_family = AF_INET6; /* takes IPv4 too, where the system has not forbidden it */
	r = getaddrinfo(*host ? host : NULL, port, &hints, &ai);
	if (r && !*host) {
		hints.ai_family = AF_UNSPEC;
		r = getaddrinfo(NULL, port, &hints, &ai);
	}
	if (r) {
		*why = gai_strerror(r);
		return -EINVAL;
	}
	*why = NULL;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !*host) { /* a system without IPv6 */
		freeaddrinfo(ai);
		hints.ai_family = AF_INET;
		if (getaddrinfo(NULL, port, &hints, &ai))
			return -EAFNOSUPPORT;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	r = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
			bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0
		? -errno : fd;
	freeaddrinfo(ai);
	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

int
listen_name(int fd, char addr[LISTEN_TEXT], uint16_t *port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char service[8];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&ss, len, addr, LISTEN_TEXT, service, sizeof(service),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	*port = (uint16_t)strtol(service, NULL, 10);
	return 0;
}

int
listen_or_die(const char *where)
{
	const char *why;
	int fd = listen_open(where, &why);

	if (fd < 0 && why)
		die(EX_USAGE, 0, "--listen %s: %s", where, why);
	if (fd < 0)
		die(fd == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, fd, "cannot listen on %s", where);
	return fd;
}

void
listen_ready(int fd, const char *proto)
{
	char addr[LISTEN_TEXT];
	uint16_t port;
	struct event e;

	if (listen_name(fd, addr, &port) < 0)
		return;
	event_begin(&e, "server.ready");
	event_str(&e, "addr", addr);
	event_int(&e, "port", port);
	event_str(&e, "proto", proto);
	event_send(&e);
	inform("listening on %s port %u", addr, port);
}

int
listen_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int i, n, listens;
	socklen_t len;

	if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n = (int)strtol(fds, NULL, 10);
	for (i = 0; i < n; i++) {
		len = sizeof(listens);
		if (getsockopt(LISTEN_PASSED_FD + i, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
			!listens || fcntl(LISTEN_PASSED_FD + i, F_SETFD, FD_CLOEXEC) < 0 ||
			fcntl(LISTEN_PASSED_FD + i, F_SETFL, O_NONBLOCK) < 0)
			return -ENOTSOCK;
	}
	return n;
}

void
listen_passed_name(int i, char name[LISTEN_TEXT])
{
	const char *at = getenv("LISTEN_FDNAMES");
	size_t n;

	while (at && i--)
		if ((at = strchr(at, ':')))
			at++;
	n = at ? strcspn(at, ":") : 0;
	if (n >= LISTEN_TEXT)
		n = 0;
	memcpy(name, at ? at : "", n);
	name[n] = '\0';
}

void
listen_passed_done(void)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}
