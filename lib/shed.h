/*
 * shed: what a transcoder that falls behind the camera leaves out, and when it takes it up again.
 * No clock of its own.
 *
 * Level 0 is all; 1: every second picture of the rungs, but IDR pictures; 1 + n: the n largest
 * rungs as well.  A second behind raises the level, time and again; calm for a while lowers it, and
 * a level that did not hold is tried again later each time.
 * Units: milliseconds.
 */
#ifndef LV_SHED_H
#define LV_SHED_H

#include <stdint.h>

#define SHED_AT_MS 1000   /* behind by so much: more is left out */
#define SHED_NEXT_MS 1000 /* from one level to the next */
#define SHED_SOON_MS 250  /* when it is twice as far behind */
#define SHED_CALM_MS 250  /* behind by no more: less may be left out */
#define SHED_WAIT_MS 10000
#define SHED_WAIT_MAX_MS 160000
#define SHED_SECONDS 60 /* the least lag of so long is what the way here costs */

struct shed {
	int level;
	int64_t lag; /* beyond the least */
	int64_t changed, calm, wait, lowered;
	int64_t least[SHED_SECONDS], second;
};

/* behind: now less the time of the media, on any clocks that do not drift; the level. */
int shed_look(struct shed *, int64_t now, int64_t behind, int max_level);

#endif
