/*
 * ladder: the rungs that are asked for, and which of them a source gets.  No I/O.
 *
 * A rung is written NAME=WxH@FPS:VIDEO:AUDIO[:key=value,...], or "source" for what comes, untouched:
 *   WxH     a box that the picture fits in, turned for portrait; never larger than the source
 *   FPS     a ceiling, met by the smallest whole divisor of the source's rate; "@FPS" may be absent
 *   VIDEO   2000k, or - for a rung of sound alone (WxH@FPS is then - too)
 *   AUDIO   128k, or - for no sound of its own
 *   keys    encoder, preset, profile, gop (ms), latency (normal or low), threads
 *
 * Shape:  ladder_add for each rung asked for (or ladder_lines with a file's text, or ladder_default);
 *         ladder_decide once a broadcast.
 * Errors: -EINVAL, with what is wrong in why; -E2BIG over LADDER_MAX.
 */
#ifndef LV_LADDER_H
#define LV_LADDER_H

#include <stdbool.h>
#include <stddef.h>

#define LADDER_MAX 8
#define LADDER_SPEC 256
#define LADDER_WHY 160
#define LADDER_SIDE_MAX 8192

struct rung {
	char name[33], spec[LADDER_SPEC];
	bool source;
	int width, height; /* the box, then what was decided; 0: sound alone */
	double fps;        /* 0: no ceiling */
	int video_kbps, audio_kbps; /* 0: none */
	char encoder[33], preset[33], profile[33];
	int gop_ms, threads; /* 0: not said */
	bool low_latency;
};

struct ladder {
	struct rung rung[LADDER_MAX];
	int count;
};

int ladder_add(struct ladder *, const char *spec, char why[LADDER_WHY]);
int ladder_lines(struct ladder *, char *text, char why[LADDER_WHY]); /* '#' begins a comment */
void ladder_default(struct ladder *);

/* What is asked for, cut down to a picture shown width x height; 0 x 0: there is none. */
void ladder_decide(const struct ladder *asked, int width, int height, struct ladder *);

/* Of how many frames one is kept, for a ceiling; 1 where either rate is not known. */
int ladder_divisor(double source_fps, double ceiling);

#endif
