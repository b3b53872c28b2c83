/*
 * m3u8 builds the text of playlists; what goes into them is the segmenter's business.  No I/O.
 *
 * Errors: stay in buf.error.
 * Spec:   RFC 8216bis 4.4; version 6 because of EXT-X-MAP, 3 without it (section 8).  Readers that are strict
 *         expect version 8 where there is EXT-X-GAP, though that section does not.
 */
#ifndef LV_M3U8_H
#define LV_M3U8_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define M3U8_GAPS 8

struct m3u8_list {
	int version, target_s;
	int64_t sequence, discontinuity;
	bool independent; /* every segment begins with a key frame */
	bool vod;         /* a recording: it keeps its first segment for ever */
	bool whole;       /* and nothing will come any more */
};
void m3u8_begin(struct buf *, const struct m3u8_list *);

struct m3u8_segment {
	const char *uri;
	const char *map; /* NULL: as before, or none */
	int64_t dur_us, wall_ms; /* wall_ms 0: nobody knows */
	bool discontinuity, gap;
};
void m3u8_segment(struct buf *, const struct m3u8_segment *);
void m3u8_end(struct buf *);

#define M3U8_MASTER 6
#define M3U8_SERVICES 7 /* with captions on a SERVICEn */
#define M3U8_CAPTIONS "cc" /* their group */
void m3u8_master(struct buf *, int version, bool independent);
void m3u8_audio(struct buf *, const char *group, const char *uri, int channels);
void m3u8_captions(struct buf *, const char *channel, const char *language);

struct m3u8_variant {
	int64_t bandwidth, average;
	const char *codecs, *audio, *uri; /* audio: a group, or NULL */
	int width, height;                /* 0: no picture */
	double fps;                       /* 0: unknown */
	const char *range;                /* SDR, HLG, PQ; NULL: unknown */
	const char *captions;             /* M3U8_CAPTIONS; "NONE"; NULL: not known */
};
void m3u8_variant(struct buf *, const struct m3u8_variant *);

#endif
