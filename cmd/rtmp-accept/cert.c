/*
 * The certificate and its key: open files, which the door hands on and never reads.  They are looked
 * at by rtmp-tls, at the start and at each reload; what is not good does not replace what was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "die.h"
#include "door.h"
#include "event.h"

static const char *names[2];
static int files[2] = { -1, -1 }, next[2] = { -1, -1 };
static pid_t checker;

static void
close_both(int fds[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* Opens both into next, and has them looked at; *option is what is at fault. */
static int
check(const char **option)
{
	char path[4096], how[] = "check";
	char *argv[] = { path, how, (char *)names[0], (char *)names[1], NULL }, *envp[] = { NULL };
	int i, r;

	close_both(next);
	for (i = 0; i < 2; i++) {
		*option = i ? "--key" : "--cert";
		if ((next[i] = open(names[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0)
			return -errno;
	}
	*option = "--cert";
	if ((r = child_beside(path, sizeof(path), "libexec/lv", "rtmp-tls")) < 0)
		return r;
	return child_start(&checker, &(struct child_spec){ .argv = argv, .envp = envp,
		.fds = (int[]){ -1, -1, STDERR_FILENO, -1, next[0], next[1] }, .nfds = 6 });
}

static void
replace(void)
{
	close_both(files);
	memcpy(files, next, sizeof(files));
	next[0] = next[1] = -1;
}

void
cert_open(const char *cert, const char *key)
{
	const char *option;
	int r, status;

	names[0] = cert;
	names[1] = key;
	if ((r = check(&option)) < 0)
		die(r == -EACCES ? EX_NOPERM : EX_NOINPUT, r, "%s %s", option,
			names[!strcmp(option, "--key")]);
	while (waitpid(checker, &status, 0) < 0 && errno == EINTR)
		;
	checker = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) /* it said why */
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
	replace();
}

void
cert_reload(void)
{
	const char *option;
	int r;

	if (!names[0] || checker)
		return;
	if ((r = check(&option)) < 0) {
		checker = 0;
		complain(r, "%s %s; the certificate stays as it was", option,
			names[!strcmp(option, "--key")]);
	}
}

bool
cert_reaped(pid_t pid, int status)
{
	struct event e;

	if (!checker || pid != checker)
		return false;
	checker = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		replace();
		event_begin(&e, "certificate.loaded");
		event_str(&e, "path", names[0]);
		event_send(&e);
	} else {
		complain(0, "the certificate stays as it was");
	}
	return true;
}

int
cert_start(int tcp, int session, int why, bool proxied, pid_t *pid)
{
	static const char *const hows[] = { "off", "on", "log" };
	char path[4096], proxy[] = "proxy";
	char *argv[] = { path, (char *)hows[door.sandbox], (char *)names[0], (char *)names[1],
		proxied ? proxy : NULL, NULL };
	char *envp[] = { NULL };
	int r = child_beside(path, sizeof(path), "libexec/lv", "rtmp-tls");

	return r < 0 ? r : child_start(pid, &(struct child_spec){ .argv = argv, .envp = envp,
		.fds = (int[]){ tcp, why, STDERR_FILENO, session, files[0], files[1] }, .nfds = 6 });
}
