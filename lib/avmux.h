/*
 * avmux writes packets of FLV tracks into any container that libavformat can write to a pipe.
 *
 * Shape:  new for a format; avmux_track for each track; start; packets in DTS order; finish, free.
 * Units:  as in flv.h: milliseconds, and nanoseconds on top of the presentation time.
 * Owner:  everything is borrowed for the length of the call; write takes bytes or gives -errno,
 *         which comes back from the call that caused it.
 * Errors: -EINVAL for a format that is not there, -ENOTSUP for a track that the container cannot
 *         hold, else what libavformat said; avmux_error puts any of them in words.
 * Each packet is flushed by itself, so that a pipe's reader waits for nothing but the next key
 * frame where fragmented MP4 is written.
 */
#ifndef LV_AVMUX_H
#define LV_AVMUX_H

#include <stdbool.h>
#include <stddef.h>

#include "flv.h"
#include "tracks.h"

struct avmux;
typedef int avmux_write_fn(void *arg, const void *, size_t);
int avmux_new(struct avmux **, const char *format, avmux_write_fn *, void *arg);

/* The track's number, or an error.  head: its configuration, where the codec has one; first: a
 * frame, from which what head and about (may be NULL) do not say is read. */
int avmux_track(struct avmux *, const struct flv_packet *head, const struct flv_packet *first,
	const struct track *about);
int avmux_start(struct avmux *);
int avmux_packet(struct avmux *, int track, int64_t dts, const struct flv_packet *);
/* New parameters for a track, told with its next key frame. */
int avmux_params(struct avmux *, int track, const struct flv_packet *head);
int avmux_finish(struct avmux *);
void avmux_free(struct avmux **);
const char *avmux_error(int err);

#endif
