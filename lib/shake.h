/*
 * shake is the server's half of the RTMP handshake: C0 C1 in, S0 S1 S2 out; no I/O.
 *
 * Shape:  shake_feed until 1; what it leaves of its input is the first chunk.
 * Errors: 1 when done, 0 for "feed me", -EPROTO for what is no RTMP (*why says what it is).
 * Spec:   RTMP 1.0, 5.2.  A client that signs C1 as Flash Player 9 and on do is answered with a
 *         signed S1 and S2: players of that kind insist.  Everybody else gets the simple handshake.
 *         C2 is never looked at: encoders send anything.
 */
#ifndef LV_SHAKE_H
#define LV_SHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define SHAKE_BYTES 1536

struct shake { /* zeroed is ready */
	enum { SHAKE_C0, SHAKE_C1, SHAKE_C2, SHAKE_DONE } want;
	uint8_t bytes[SHAKE_BYTES];
	size_t have;
};

int shake_feed(struct shake *, const uint8_t **at, const uint8_t *end, struct buf *out, const char **why);

#endif
