/* mp4write in two: what is taken (mp4write.c), and the index that is made of it (mp4write_head.c). */
#ifndef LV_MP4WRITE_PARTS_H
#define LV_MP4WRITE_PARTS_H

#include "buf.h"
#include "mp4write.h"
#include "rows.h"

struct chunk {
	uint64_t offset; /* in mdat, after its head */
	uint32_t samples, entry;
};

struct track {
	bool video, negative; /* negative: composition times before decoding times */
	uint32_t timescale;
	int width, height;
	struct buf entries[MP4_OUT_ENTRIES];
	int nentries;
	struct rows *samples, *chunks;
	int64_t dur, empty, media_time, shown; /* shown: the edit's length */
	/* What layout counted. */
	uint64_t times, offsets, keys, runs; /* of stts, ctts, stss and stsc */
};

struct mp4_writer {
	uint32_t timescale;
	struct track track[MP4_OUT_TRACKS];
	int count;
	struct buf chapters;
	int nchapters;
	uint64_t payload, moov, front; /* front: bytes before the payload */
	bool wide; /* offsets of 64 bits */
	struct buf out; /* being handed on */
	mp4_emit_fn *emit;
	void *arg;
	int error;
};

#endif
