/*
 * tracks: which tracks a stream carries and which rung each belongs to, as onMetaData tells it:
 * the default tracks at its top, the others in videoTrackIdInfoMap and audioTrackIdInfoMap, each
 * with our field "rung".  A track that several rungs share names them all, joined by '+'.
 *
 * A stream whose onMetaData names no rung has the one rung "source", on track 0.
 * Spec: enhanced-rtmp v2, "Metadata Message".
 */
#ifndef LV_TRACKS_H
#define LV_TRACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "flv.h"

#define TRACKS_MAX 16
#define TRACKS_RUNG 64

struct track {
	uint8_t type, id; /* FLV_AUDIO or FLV_VIDEO, and the multitrack id */
	char rung[TRACKS_RUNG];
	uint32_t codec; /* 0 where onMetaData does not say */
	int width, height;
	double fps; /* the most a second: a ceiling for variable rates; 0: unknown */
	int kbps;   /* as configured; 0: unknown (the source) */
	int sample_rate, channels;
};

struct tracks {
	struct track track[TRACKS_MAX];
	int count;
};

/* 1 when the tag is an onMetaData and was read, 0 for any other tag, -EBADMSG for a broken one. */
int tracks_parse(const struct flv_tag *, struct tracks *);
void tracks_put(struct buf *, int64_t dts, const struct tracks *);
const struct track *tracks_find(const struct tracks *, uint8_t type, uint8_t id); /* or NULL */
bool tracks_in_rung(const struct track *, const char *rung, size_t len); /* one of its names */

#endif
