/*
 * flv: the media format on our pipes, as Enhanced RTMP v2 defines it; no I/O.
 *
 * Two levels.  A tag is what stands between two PreviousTagSize fields, and is all that a fan-out
 * needs.  A packet is what a tag's body holds for one track: classic and FourCC headers, multitrack
 * and ModEx are undone, so that a codec's bytes and their times are all that is left.
 *
 * Shape:  reader: new, then (room, filled | feed; next until 0) repeated, then free.
 *         packets: flv_walk_begin on an audio or video tag, flv_walk_next until 0.
 * Units:  dts and cts in milliseconds, dts 64 bits with the wrap of the 32-bit field undone;
 *         nano (0 ... 999999) is added to the presentation time, ModEx TimestampOffsetNano.
 * Owner:  a tag's data stays the reader's, good until the next feed or room; a packet's data
 *         points into its tag.
 * Errors: next gives 1 for a tag, 0 for "feed me", -EBADMSG for malformed input, -EMSGSIZE for a
 *         tag over max_tag; an error is final.  flv_walk_next gives 1, 0, or -EBADMSG for a body
 *         that ends too early; packets of codecs and kinds we do not know come as FLV_OTHER.
 * Spec:   Adobe FLV 10.1 annex E; veovera enhanced-rtmp v2, "Enhanced Video", "Enhanced Audio".
 */
#ifndef LV_FLV_H
#define LV_FLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "bytes.h"

#define FLV_TAG_MAX ((1 << 24) - 1) /* the size field's own bound */
#define FLV_MULTITRACK_MAX 32       /* tracks a tag; more is malformed */

enum { FLV_AUDIO = 8, FLV_VIDEO = 9, FLV_SCRIPT = 18 };

#define FLV_AVC FOURCC('a', 'v', 'c', '1')
#define FLV_HEVC FOURCC('h', 'v', 'c', '1')
#define FLV_AV1 FOURCC('a', 'v', '0', '1')
#define FLV_VP9 FOURCC('v', 'p', '0', '9')
#define FLV_VP8 FOURCC('v', 'p', '0', '8')
#define FLV_AAC FOURCC('m', 'p', '4', 'a')
#define FLV_OPUS FOURCC('O', 'p', 'u', 's')
#define FLV_FLAC FOURCC('f', 'L', 'a', 'C')
#define FLV_AC3 FOURCC('a', 'c', '-', '3')
#define FLV_EAC3 FOURCC('e', 'c', '-', '3')
#define FLV_MP3 FOURCC('.', 'm', 'p', '3')

struct flv_tag {
	uint8_t type; /* FLV_AUDIO, FLV_VIDEO or FLV_SCRIPT; others were skipped */
	int64_t dts;
	const uint8_t *data;
	size_t size;
};

struct flv_reader;
int flv_reader_new(struct flv_reader **, size_t max_tag);
uint8_t *flv_reader_room(struct flv_reader *, size_t want, size_t *room); /* NULL: no memory */
void flv_reader_filled(struct flv_reader *, size_t n);
int flv_reader_feed(struct flv_reader *, const void *, size_t); /* room, copy, filled */
int flv_reader_next(struct flv_reader *, struct flv_tag *);
size_t flv_reader_pending(const struct flv_reader *); /* bytes of an unfinished tag */
void flv_reader_free(struct flv_reader **);

enum flv_kind {
	FLV_HEADER, /* decoder configuration: avcC, AudioSpecificConfig, hvcC, av1C, OpusHead ... */
	FLV_FRAME,  /* one coded frame: AVCC NAL units, a raw AAC frame, a temporal unit ... */
	FLV_END,    /* end of sequence */
	FLV_OTHER,  /* colour metadata, channel layout, command frames, unknown codecs */
};

struct flv_packet {
	uint8_t type;  /* FLV_AUDIO or FLV_VIDEO */
	uint8_t track; /* multitrack id; 0 where there is one track */
	enum flv_kind kind;
	bool key;       /* the tag's flag; what counts for H.264 is the NAL type */
	uint32_t codec; /* FourCC, for classic tags too; 0 when unknown */
	int32_t cts;
	uint32_t nano;
	const uint8_t *data;
	size_t size;
};

struct flv_walk {
	const uint8_t *at, *end;
	struct flv_packet same; /* what all tracks of the tag share */
	uint8_t multi;
	bool more;
};
void flv_walk_begin(struct flv_walk *, const struct flv_tag *);
int flv_walk_next(struct flv_walk *, struct flv_packet *);

/* The name of a script tag ("onMetaData"), and where its values begin; false when it has none. */
bool flv_script(const struct flv_tag *, const char *name, const uint8_t **values, size_t *size);

/*
 * Writers append whole tags with their PreviousTagSize; errors stay in buf.error.  A packet on
 * track 0 in H.264, AAC or MP3 becomes a classic tag, any other an enhanced one, on another track
 * a multitrack tag.  dts is reduced to the field's 32 bits.
 */
void flv_put_header(struct buf *); /* signature, both flags set, the first PreviousTagSize */
void flv_put_tag(struct buf *, uint8_t type, int64_t dts, const void *body, size_t size);
void flv_put_packet(struct buf *, int64_t dts, const struct flv_packet *);

#endif
