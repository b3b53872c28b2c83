/*
 * chunk_reader turns the bytes of an RTMP connection, after its handshake, into messages; no I/O.
 *
 * Shape:  init, then (feed; next until 0) repeated, then free.
 * Units:  timestamps are the sender's 32 bits, in milliseconds, deltas added up.
 * Owner:  feed borrows; a message's body stays the reader's, good until the next call.
 * Errors: next gives 1 for a message, 0 for "feed me", or, finally, -EBADMSG for chunks that make
 *         no sense, -EMSGSIZE for a message over max_message, -E2BIG for too many chunk streams or
 *         too much in unfinished messages, -ENOMEM.
 * Spec:   RTMP 1.0 section 5.3 (chunks), 5.4.1, 5.4.2 (set chunk size and abort, obeyed here).
 *
 * Accepted against the specification:
 *   - a fmt 3 chunk inside a message without the extended timestamp that it should repeat (OBS before
 *     2024, librtmp): four bytes that differ are payload, and what is too much is the next header.
 *   - a fmt 3 chunk that begins a message with another extended timestamp than the fmt 0 before: it
 *     is the new time.  Without one it repeats the time, for no sender wants it doubled.
 *   - a fmt 0 chunk in the middle of a message starts a new one.
 *   - a chunk size of any size from CHUNK_SIZE_MIN on, at any time.
 */
#ifndef LV_CHUNK_H
#define LV_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define CHUNK_STREAMS 64
#define CHUNK_SIZE_MIN 128

struct chunk_message {
	uint8_t type;
	uint32_t csid, timestamp, stream;
	const uint8_t *body;
	size_t size;
};

struct chunk_stream {
	uint32_t csid, timestamp, delta, length, stream, extended;
	uint8_t type;
	bool seen, has_extended, absolute, open; /* open: a message is unfinished */
	struct buf body;
};

struct chunk_reader {
	struct chunk_stream streams[CHUNK_STREAMS];
	int count;
	struct chunk_stream *now; /* the chunk whose payload is being read, NULL between chunks */
	struct chunk_stream *done; /* the message given last, its body to be emptied */
	uint32_t size, left;      /* chunk size of the peer; of this chunk still to come */
	size_t max_message, partial;
	uint8_t head[18]; /* a chunk's header that has not come whole yet */
	size_t head_len;
	const uint8_t *at, *end; /* what was fed */
};

void chunk_init(struct chunk_reader *, size_t max_message);
void chunk_feed(struct chunk_reader *, const void *, size_t); /* only after next gave 0 */
int chunk_next(struct chunk_reader *, struct chunk_message *);
void chunk_free(struct chunk_reader *);

/* One message in one chunk: size is at most the chunk size that the peer was told (128 before). */
void chunk_put(struct buf *, uint32_t csid, uint8_t type, uint32_t stream, const void *, size_t);

#endif
