#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/*
 * fds[i] becomes i.  A wanted descriptor could be overwritten by an earlier dup2, so each is first
 * duplicated above all targets; our duplicates are close-on-exec and go away by themselves.
 */
int
child_start(pid_t *pid, const struct child_spec *spec)
{
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int high[16], i, r = 0;
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;

	if (spec->nfds > (int)(sizeof(high) / sizeof(*high)))
		return -EINVAL;
	posix_spawn_file_actions_init(&acts);
	posix_spawnattr_init(&attr);
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	if (spec->new_session)
		flags |= POSIX_SPAWN_SETSID;
	posix_spawnattr_setflags(&attr, flags);
	for (i = 0; i < spec->nfds; i++) {
		high[i] = spec->fds[i] < 0 ? -1 : fcntl(spec->fds[i], F_DUPFD_CLOEXEC, spec->nfds + 3);
		if (spec->fds[i] >= 0 && high[i] < 0 && !r)
			r = -errno;
	}
	for (i = 0; i < spec->nfds && !r; i++)
		r = high[i] < 0 ? -posix_spawn_file_actions_addopen(&acts, i, "/dev/null", O_RDWR, 0)
				: -posix_spawn_file_actions_adddup2(&acts, high[i], i);
	if (!r)
		r = -(strchr(spec->argv[0], '/') ? posix_spawn : posix_spawnp)(
			pid, spec->argv[0], &acts, &attr, spec->argv, spec->envp ? spec->envp : environ);
	for (i = 0; i < spec->nfds; i++)
		if (high[i] >= 0)
			close(high[i]);
	posix_spawn_file_actions_destroy(&acts);
	posix_spawnattr_destroy(&attr);
	return r;
}

int
child_beside(char *path, size_t cap, const char *kind, const char *name)
{
	char self[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int up;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	/* From PREFIX/bin/x one step up, from PREFIX/libexec/lv/x two. */
	if (!(slash = strrchr(self, '/')))
		return -ENOENT;
	*slash = '\0';
	for (up = strlen(self) > 11 && !strcmp(self + strlen(self) - 11, "/libexec/lv") ? 2 : 1; up; up--) {
		if (!(slash = strrchr(self, '/')))
			return -ENOENT;
		*slash = '\0';
	}
	return snprintf(path, cap, "%s/%s/%s", self, kind, name) >= (int)cap ? -ENAMETOOLONG : 0;
}
