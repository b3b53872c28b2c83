/* rate: so many of something in any window of time, per person; and a pause between two. */
#ifndef LV_RATE_H
#define LV_RATE_H

#include <stdint.h>

#define RATE_MAX 20

struct rate { /* zeroed: nothing was done yet */
	int64_t at_ms[RATE_MAX]; /* a ring of the last ones */
	unsigned next, count;
};

/* 0 and it counts; or how many milliseconds to wait, and it does not.  max is at most RATE_MAX. */
int64_t rate_take(struct rate *, int64_t now_ms, unsigned max, int64_t window_ms, int64_t pause_ms);
int64_t rate_last_ms(const struct rate *); /* 0: never */

#endif
