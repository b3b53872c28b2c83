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

#endif
