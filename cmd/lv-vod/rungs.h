/*
 * rungs: which tracks of an archive make a recording.
 *
 * Shape:  rungs_learn once, then rungs_choose for a name, or rungs_next for all pictures.
 * Errors: -errno of a file that is not to be read; -ENOENT: there is no such track.
 */
#ifndef LV_VOD_RUNGS_H
#define LV_VOD_RUNGS_H

#include "archive.h"

struct rungs {
	struct archive *archive;
	struct {
		bool picture, sound;
		int width, height;
	} about[LISTINGS_MAX];
};

struct rung {
	const struct listing *picture, *sound; /* either may be NULL, not both */
};

int rungs_learn(struct rungs *, struct archive *);
/* name: NULL for the best picture, or the sound where there is none; sound: NULL for what belongs to it,
 * "none" for silence. */
int rungs_choose(const struct rungs *, const char *name, const char *sound, struct rung *);
int rungs_next(const struct rungs *, int *at, const char *sound, struct rung *); /* 1: one, 0: no more */

#endif
