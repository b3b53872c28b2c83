/*
 * fmp4 writes fragmented MP4 after CMAF: an init segment a track, and segments of parts.  No I/O.
 *
 * Shape:  fmp4_init once a configuration; fmp4_styp, then fmp4_part for each part of a segment.
 * Units:  dts in the track's timescale, absolute: tfdt is 64 bits and counts from media time zero.
 *         cts may be negative (trun version 1), so that no edit list is needed.
 * Errors: stay in buf.error, as for every builder; -EINVAL for a part that holds nothing, -ENOTSUP
 *         for a codec that has no sample entry here.
 * Spec:   ISO/IEC 14496-12 8.8, 14496-14 5.6, 14496-15 5.3 and 8.3, 23009-1 5.10.3.3 (emsg), "Carriage of ID3 Timed Metadata in CMAF"; RFC 8216bis 3.1.2; what codec.h
 *         names for AV1, VP9, Opus, FLAC and AC-3.
 */
#ifndef LV_FMP4_H
#define LV_FMP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "codec.h"

struct fmp4_track { /* borrowed for the call */
	bool video;
	uint32_t timescale;
	const struct codec *codec;
	const uint8_t *config; /* what codec_config took: avcC, AudioSpecificConfig, OpusHead... */
	size_t config_size;
};

struct fmp4_sample {
	uint32_t size, dur;
	int32_t cts;
	bool key;
};

int fmp4_init(struct buf *, const struct fmp4_track *);
int fmp4_styp(struct buf *);
/* An ID3 tag at an instant of the track's timescale: before the part that it falls into. */
int fmp4_id3(struct buf *, uint32_t timescale, int64_t pts, uint32_t id, const uint8_t *id3, size_t);
/* The samples' bytes lie one after another at data. */
int fmp4_part(struct buf *, uint32_t sequence, bool video, int64_t dts, const struct fmp4_sample *,
	size_t count, const uint8_t *data);

#endif
