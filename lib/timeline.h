/*
 * timeline puts the times of a broadcast's publishers on one line; no I/O, no clock of its own.
 *
 * Zero is the start of the broadcast.  A publisher that comes begins at the wall clock's time, or
 * after all that is already there; its own clock goes on from there.  A track that jumps (a clock
 * reset, a step) is put back beside the others, and whoever asked is told so that the media says
 * it too.  No track's time ever goes backwards.  Some publishers wrap after 31 bits: that is
 * undone as well.
 *
 * Shape:  zeroed; timeline_session for each publisher, then timeline_map for each of its tags.
 * Units:  milliseconds; stamps are the 32 bits of RTMP and FLV, whose wrap is undone; now is the
 *         wall clock's time since zero.
 */
#ifndef LV_TIMELINE_H
#define LV_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMELINE_JUMP_MS 3000  /* between two tags of a track, more than this is a jump */
#define TIMELINE_LATE_MS 10000 /* behind the wall clock by more: put back to it */
#define TIMELINE_AHEAD_MS 10000 /* ahead of it by more, a step over TIMELINE_STEP_MS is a jump too; */
#define TIMELINE_STEP_MS 500    /* who sends a file faster than it plays is ahead by small steps */

enum timeline_track { TIMELINE_AUDIO, TIMELINE_VIDEO, TIMELINE_OTHER, TIMELINE_TRACKS };

struct timeline {
	int64_t newest; /* the latest time that any track has reached */
	bool begun;     /* the session has an anchor */
	struct timeline_place {
		bool seen;
		int64_t raw;    /* the stamp, unwrapped */
		int64_t offset; /* added to it */
		int64_t last;   /* never less than this */
	} track[TIMELINE_TRACKS];
};

void timeline_session(struct timeline *, int64_t now);
/* The time of a tag; NULL, or why time does not continue here. */
const char *timeline_map(struct timeline *, enum timeline_track, uint32_t stamp, int64_t now,
	int64_t *dts);
int64_t timeline_now(struct timeline *, int64_t now); /* for marks: now, and never backwards */

#endif
