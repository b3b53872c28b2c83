/*
 * fmp4 writes fragmented MP4 after CMAF: an init segment a track, and segments of parts.  No I/O.
 *
 * Shape:  fmp4_init once a configuration; fmp4_styp, then fmp4_part for each part of a segment.
 * Units:  dts in the track's timescale, absolute: tfdt is 64 bits and counts from media time zero.
 *         cts may be negative (trun version 1), so that no edit list is needed.
 * Errors: stay in buf.error, as for every builder; -EINVAL for a part that holds nothing.
 * Spec:   ISO/IEC 14496-12 8.8, 14496-14 5.6, 14496-15 5.3; RFC 8216bis 3.1.2.
 */
#ifndef LV_FMP4_H
#define LV_FMP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct fmp4_track {
	bool video;
	uint32_t timescale;
	int width, height;    /* video */
	int rate, channels;   /* audio */
	const uint8_t *config; /* avcC or AudioSpecificConfig; borrowed for the call */
	size_t config_size;
};

struct fmp4_sample {
	uint32_t size, dur;
	int32_t cts;
	bool key;
};

int fmp4_init(struct buf *, const struct fmp4_track *);
int fmp4_styp(struct buf *);
/* The samples' bytes lie one after another at data. */
int fmp4_part(struct buf *, uint32_t sequence, bool video, int64_t dts, const struct fmp4_sample *,
	size_t count, const uint8_t *data);

#endif
