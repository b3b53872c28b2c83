/*
 * local: a socket to listen on that has a name in the file system.
 *
 * Rule:   the name is taken by a rename: who was there before may be one that has not left yet, and
 *         nobody who comes meets a name without a listener.  Closing removes the name while it is ours.
 * Limits: a socket's own name has room for 107 bytes, so its folder is said by a descriptor; the last
 *         part of the path has at most LOCAL_NAME - 1.
 * Errors: 0 or -errno.
 */
#ifndef LV_LOCAL_H
#define LV_LOCAL_H

#include <sys/stat.h>

#define LOCAL_NAME 80

struct local {
	int fd; /* listening, close-on-exec, non-blocking */
	int folder;
	char name[LOCAL_NAME];
	struct stat id;
};

/* type: SOCK_STREAM or SOCK_SEQPACKET; mode: of the name, as 0600. */
int local_listen(struct local *, const char *path, int type, mode_t mode, int backlog);
void local_close(struct local *);

int local_connect(const char *path, int type); /* a non-blocking descriptor, or -errno */

#endif
