#include "rate.h"

static int64_t
nth_last(const struct rate *r, unsigned n) /* 1: the last */
{
	return r->at_ms[(r->next + RATE_MAX - n) % RATE_MAX];
}

int64_t
rate_last_ms(const struct rate *r)
{
	return r->count ? nth_last(r, 1) : 0;
}

int64_t
rate_take(struct rate *r, int64_t now_ms, unsigned max, int64_t window_ms, int64_t pause_ms)
{
	int64_t wait = 0, pause = 0;

	if (r->count >= max)
		wait = nth_last(r, max) + window_ms - now_ms;
	if (r->count && pause_ms)
		pause = nth_last(r, 1) + pause_ms - now_ms;
	if (pause > wait)
		wait = pause;
	if (wait > 0)
		return wait;
	r->at_ms[r->next] = now_ms;
	r->next = (r->next + 1) % RATE_MAX;
	r->count += r->count < RATE_MAX;
	return 0;
}
