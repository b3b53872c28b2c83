/*
 * codec: what a packager has to know of a track, whatever its codec: configuration, size, rate,
 * where it can be begun with, and the name that playlists use.  No I/O.
 *
 * Shape:  codec_config for a configuration as FLV carries it; codec_first for a codec that has
 *         none (AC-3), or tells a part of it only in its first frame (VP9's size).
 * Units:  frame: samples that a frame of sound holds, in the rate's units.
 * Errors: -ENOTSUP for a codec that we cannot package, -EBADMSG for a broken configuration.
 * Spec:   the codecs' own, and how they are bound to ISO media files: RFC 7845 5.1 and
 *         "Encapsulation of Opus" 4.3.2, "Encapsulation of FLAC" 3.3.2, ETSI TS 102 366 F.4,
 *         "VP Codec ISO Media File Format Binding"; enhanced-rtmp v2 for what is in a tag.
 */
#ifndef LV_CODEC_H
#define LV_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aac.h"
#include "av1.h"
#include "flv.h"
#include "h264.h"
#include "hevc.h"

struct codec {
	uint32_t fourcc;
	int width, height; /* video; 0: not known yet */
	double fps;        /* 0: the configuration does not say */
	uint8_t transfer;  /* how light became numbers, H.273 8.2; 2: not known */
	int nal_len;       /* H.264, HEVC */
	int rate, channels, frame; /* audio */
	union {
		struct h264_config h264;
		struct hevc_config hevc;
		struct av1_config av1;
		struct aac_config aac;
		uint8_t vp9[8]; /* the body of vpcC */
		uint8_t ac3[3]; /* the body of dac3 */
	};
};

const char *codec_name(uint32_t fourcc); /* for people; "an unknown codec" */
bool codec_packaged(uint32_t fourcc, bool ts); /* in fragmented MP4, or in a transport stream */
bool codec_has_config(uint32_t fourcc); /* a header comes before the frames */

int codec_config(struct codec *, uint32_t fourcc, const uint8_t *, size_t);
int codec_first(struct codec *, uint32_t fourcc, const uint8_t *frame, size_t); /* 0, or -EBADMSG */

/* Whether decoding can begin with a frame; OPEN: what follows may still refer to what came earlier.
   Reads what only such a frame tells. */
enum codec_start { CODEC_DELTA, CODEC_OPEN, CODEC_KEY };
enum codec_start codec_start(struct codec *, const uint8_t *frame, size_t);
/* Has it a slice?  SEI or parameter sets in a tag of their own belong to the picture that follows. */
bool codec_has_picture(const struct codec *, const uint8_t *frame, size_t);
int codec_samples(const struct codec *, const uint8_t *frame, size_t); /* of sound */
size_t codec_skip(const struct codec *, const uint8_t *frame, size_t); /* bytes in front that MP4 drops */

#define CODEC_TEXT 48
const char *codec_text(char text[CODEC_TEXT], const struct codec *); /* as RFC 6381 has it */
const char *codec_range(const struct codec *); /* "SDR", "HLG", "PQ"; NULL: not known */

#endif
