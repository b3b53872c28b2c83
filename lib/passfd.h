/*
 * passfd: one packet over a Unix socket, with a descriptor in it (SCM_RIGHTS); never waits.
 *
 * Owner:  send borrows the descriptor; recv gives one, close-on-exec, or -1 when none came.
 * Errors: the size of the packet, 0 at its end, or -errno.
 */
#ifndef LV_PASSFD_H
#define LV_PASSFD_H

#include <stddef.h>
#include <sys/types.h>

ssize_t passfd_send(int sock, const void *, size_t, int fd);
ssize_t passfd_recv(int sock, void *, size_t, int *fd);

#endif
