/*
 * health measures what one publisher sends and names what is wrong with it; no I/O, no clock.
 *
 * Shape:  health_begin; health_bytes and health_frame as they come; health_look every half second or
 *         so, which gives the problems that begin and end, and at the end of each period a report;
 *         health_jump where time was repaired.
 * Units:  milliseconds of a clock that never goes back for now; dts on any line that keeps step with
 *         it.  The rest in the names.
 * Rule:   a problem begins when it is there, and ends only when it is clearly over: names do not
 *         flicker at a threshold.
 */
#ifndef LV_HEALTH_H
#define LV_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_QUIET_MS 2000  /* nothing came for so long */
#define HEALTH_GOP_MS 4000    /* twice the two seconds of a segment */
#define HEALTH_APART_MS 500   /* between sound and picture */
#define HEALTH_DRIFT_MS 1000
#define HEALTH_TIME_MS 60000 /* before its time is over */
#define HEALTH_OVER_PERCENT 120 /* of the bitrate that is allowed */

enum health_problem {
	HEALTH_STALLED,
	HEALTH_VIDEO_STOPPED,
	HEALTH_AUDIO_STOPPED,
	HEALTH_KEYS_RARE,
	HEALTH_FRAMES_MISSING,
	HEALTH_APART,
	HEALTH_DRIFT,
	HEALTH_BITRATE_OVER,
	HEALTH_TIME_SHORT,
	HEALTH_PROBLEMS
};
extern const char *const health_names[HEALTH_PROBLEMS]; /* "stalled", "video-stopped" ... */
extern const char *const health_advice[HEALTH_PROBLEMS]; /* for people: what it means */

struct health_report {
	int64_t kbps, gop_ms; /* the longest; 0: no whole one */
	double fps;
	bool b_frames;
	bool both;         /* sound and picture: av_gap_ms is one */
	int64_t av_gap_ms; /* the picture ahead of the sound, where they came closest */
	int64_t ahead_ms, drift_ms; /* of the wall clock, and since the session's first period */
};

struct health {
	int64_t period_ms, max_kbps, until; /* 0: no bound */
	int64_t since, heard, drift_base;
	bool based;
	int64_t bytes, pictures, gop_ms, key_dts, gap, ahead;
	bool b_frames, keyed, gapped, seen[2];
	bool broken; /* something stopped in this period: it tells little */
	int64_t newest[2]; /* dts of sound and of picture */
	int64_t last_gop;
	double best_fps;
	int over; /* periods in a row over the bitrate */
	unsigned problems;
	int64_t began[HEALTH_PROBLEMS];
};

void health_begin(struct health *, int64_t now, int64_t period_ms, int64_t max_kbps,
	int64_t until);
void health_bytes(struct health *, int64_t now, int64_t n);
void health_frame(struct health *, bool video, bool key, int64_t dts, int32_t cts, int64_t line_now);
void health_jump(struct health *);
/* True at the end of a period.  began and ended are sets of 1 << enum health_problem. */
bool health_look(struct health *, int64_t now, struct health_report *, unsigned *began, unsigned *ended);

#endif
