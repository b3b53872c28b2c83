/*
 * child: starting programs.  vfork and exec through posix_spawn: nothing of ours is shared.
 *
 * The child gets its own session when asked, default signals, an empty mask, and just the
 * descriptors in fds: fds[i] becomes i, -1 becomes /dev/null.  All others of ours must be
 * close-on-exec, as everything lib/ opens is.
 */
#ifndef LV_CHILD_H
#define LV_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child_spec {
	char *const *argv; /* argv[0] is searched in PATH when it has no slash */
	char *const *envp; /* NULL: our own environment */
	const int *fds;
	int nfds;
	bool new_session; /* setsid, so that a signal to -pid reaches the whole pipeline */
};

int child_start(pid_t *, const struct child_spec *); /* 0 or -errno */

/* Ours beside the running executable: bin/x finds libexec/lv/NAME (kind "libexec/lv") and so on. */
int child_beside(char *path, size_t cap, const char *kind, const char *name);

#endif
