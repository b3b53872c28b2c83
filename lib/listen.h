/*
 * listen: a TCP address to listen on, as people write it: ADDR:PORT, [ADDR]:PORT, or :PORT for
 * every address.  Port 0 takes a free one.
 *
 * Errors: listen_open gives a descriptor (close-on-exec, non-blocking), -EINVAL for what is no
 *         address (*why says what is wrong), or -errno of the system.
 */
#ifndef LV_LISTEN_H
#define LV_LISTEN_H

#include <stdint.h>

#define LISTEN_TEXT 48

int listen_open(const char *where, const char **why);
int listen_name(int fd, char addr[LISTEN_TEXT], uint16_t *port); /* what it is bound to */

/* For a command's --listen: dies with the reason; and the event server.ready, with the protocol. */
int listen_or_die(const char *where);
void listen_ready(int fd, const char *proto);

/*
 * Sockets that systemd passed on (LISTEN_FDS, for this process alone), from LISTEN_PASSED_FD on: how
 * many, made close-on-exec and non-blocking; or -ENOTSOCK when one does not listen.  The name of
 * each is its FileDescriptorName=, "" where there is none.  Done takes them out of the environment.
 */
#define LISTEN_PASSED_FD 3
int listen_passed(void);
void listen_passed_name(int i, char name[LISTEN_TEXT]);
void listen_passed_done(void);

#endif
