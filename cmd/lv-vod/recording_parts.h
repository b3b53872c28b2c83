/*
 * The parts of recording, which share its struct; nobody else includes this.
 *
 *   recording.c        what the segments hold, and where it belongs on the time line
 *   recording_edges.c  where a clip is cut that holds nothing but what is shown
 *   recording_place.c  what is held goes into the file's tables, sound without a hole
 */
#ifndef LV_VOD_RECORDING_PARTS_H
#define LV_VOD_RECORDING_PARTS_H

#include "recording.h"

static inline int64_t
rec_ms(const struct lane *l, int64_t t)
{
	return rescale(t, l->timescale, 1000);
}

static inline int64_t
rec_ticks(const struct lane *l, double s)
{
	return (int64_t)(s * l->timescale + 0.5);
}

/* recording_place.c; at: output time of the leader. */
void rec_note(struct recording *, int kind, int64_t at, int64_t length_ms, const struct lane *, const char *file);
/* next: the leader's frame that follows what is held, NULL at the end; broken: after a hole that was closed. */
int rec_release(struct recording *, const struct mp4_sample *next, bool broken);
int rec_put_leader(struct recording *, int64_t t); /* what is held of it and begins before t */

/* recording_edges.c */
int rec_edges(struct recording *); /* loads them */
int rec_entry(struct recording *, struct lane *); /* of what its media has loaded; the edges' parameters are in it */
int rec_trim_exact(struct recording *, const struct mp4_sample *next);
int rec_end_exact(struct recording *);

#endif
