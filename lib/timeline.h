/*
 * timeline puts the times of a broadcast's publishers on one line; no I/O, no clock of its own.
 *
 * Zero is the start of the broadcast.  A publisher that comes begins at the wall clock's time, or
 * after all that is already there; its own clock goes on from there.  A track that jumps (a clock
 * reset, a step) is put back beside the others, and whoever asked is told so that the media says
 * it too.  No track's time ever goes backwards.  Some publishers wrap after 31 bits: that is
 * undone as well.
 *
 * A stream that is read from a file or a pipe has no wall clock: its stamps are times already, what
 * is ahead in it is believed, and only what goes back is put right.
 *
 * Shape:  zeroed; timeline_session for each publisher, then timeline_map for each of its tags; or
 *         timeline_follow for each tag of a stream without a clock.
 * Units:  milliseconds; stamps are the 32 bits of RTMP and FLV, whose wrap is undone; now is the
 *         wall clock's time since zero.  Sound: samples from time zero.
 */
#ifndef LV_TIMELINE_H
#define LV_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMELINE_JUMP_MS 3000  /* between two tags of a track, more than this is a jump */
#define TIMELINE_LATE_MS 10000 /* behind the wall clock by more: put back to it */
#define TIMELINE_AHEAD_MS 10000 /* ahead of it by more, a step over TIMELINE_STEP_MS is a jump too; */
#define TIMELINE_STEP_MS 500    /* who sends a file faster than it plays is ahead by small steps */

/* A publisher's tracks; a stream that is followed has any, below TIMELINE_TRACKS. */
enum timeline_track { TIMELINE_AUDIO, TIMELINE_VIDEO, TIMELINE_OTHER, TIMELINE_TRACKS = 16 };

#define TIMELINE_CTS_MIN (-1000) /* composition times beyond these are absurd, */
#define TIMELINE_CTS_MAX 5000   /* and moved to where the one before was */

struct timeline {
	int64_t newest; /* the latest time that any track has reached */
	bool begun;     /* the session has an anchor */
	int32_t cts, cts_shift; /* the last composition time, as repaired; what is added to them */
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
/* The composition time of a picture; NULL, or why it is another one from here on. */
const char *timeline_cts(struct timeline *, int32_t *cts);
/* The same without a clock; what jumps ahead is told too, but stays where it is. */
const char *timeline_follow(struct timeline *, int track, uint32_t stamp, int64_t *dts);
int64_t timeline_now(struct timeline *, int64_t now); /* for marks: now, and never backwards */

/*
 * Sound lies on the grid of its whole frames from time zero, or of halves, quarters... of them where
 * they are so long that sound and lips would part; it is put back there only when it has been more
 * than a frame off for some frames.  at: where the time belongs exactly, then where the frame lies.
 * False: the frame has no place, one fewer brings the sound back.
 */
struct timeline_sound { /* zeroed where a run begins */
	bool begun;
	int64_t next;
	int off; /* frames in a row that were */
};
bool timeline_sound(struct timeline_sound *, int rate, int frame, int64_t *at);

#endif
