/*
 * tsread takes a segment of an MPEG transport stream apart: H.264 and AAC of its first program,
 * as MP4 holds them: pictures with NAL lengths, sound without ADTS headers.  No I/O.
 *
 * Shape:  a zeroed struct; tsread_segment as often as needed; tsread_free.
 * Units:  90000 Hz; the wrap of 33 bits is undone within a segment, around near.
 * Owner:  the frames' bytes lie one after another in the track's data until the next call.
 * Errors: -EBADMSG when it is no transport stream or holds neither; -EMSGSIZE over a limit.
 *         Packets that are missing or cut off are counted in lost; frames that lack some leave.
 *         unsure: the last picture may go on where the segment ends.
 * Spec:   ISO/IEC 13818-1 2.4.3, 2.4.4; ITU-T H.264 annex B; ISO/IEC 14496-15 5.2.4, 13818-7 6.2.
 */
#ifndef LV_TSREAD_H
#define LV_TSREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Limits. */
#define TSREAD_FRAMES_MAX 100000  /* of a track in a segment */
#define TSREAD_PES_MAX (16 << 20) /* bytes of a packet */

struct tsread_frame {
	int64_t dts, pts;
	size_t offset;
	uint32_t size;
	bool key;
};

struct tsread_track {
	struct tsread_frame *frame;
	size_t count, room;
	struct buf data;
	struct buf config; /* avcC, or the AudioSpecificConfig; empty: the segment has none */
	/* Being put together: */
	unsigned pid; /* 0: the program has no such track */
	int counter;  /* the next packet's; -1: any */
	struct buf pes, rest;
	bool open, full; /* full: the newest packet has no stuffing, as the last one of a frame nearly always has */
	int64_t last; /* the newest DTS, for the wrap */
};

struct tsread {
	struct tsread_track video, audio;
	unsigned lost;
	bool unsure;
	unsigned pmt;
	struct buf sps, pps; /* the configuration's */
};

int tsread_segment(struct tsread *, const uint8_t *, size_t, int64_t near);
void tsread_free(struct tsread *);

#endif
