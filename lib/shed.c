#include "shed.h"

#include <stddef.h>

/* The least of the last minute, each second's in a slot of its own. */
static int64_t
least(struct shed *s, int64_t now, int64_t behind)
{
	int64_t second = now / 1000, low = behind;
	int i;

	if (!s->second || second - s->second > SHED_SECONDS) {
		for (i = 0; i < SHED_SECONDS; i++)
			s->least[i] = INT64_MAX;
		s->second = second;
	}
	while (s->second < second)
		s->least[++s->second % SHED_SECONDS] = INT64_MAX;
	if (behind < s->least[second % SHED_SECONDS])
		s->least[second % SHED_SECONDS] = behind;
	for (i = 0; i < SHED_SECONDS; i++)
		if (s->least[i] < low)
			low = s->least[i];
	return low;
}

int
shed_look(struct shed *s, int64_t now, int64_t behind, int max_level)
{
	s->lag = behind - least(s, now, behind);
	if (!s->wait)
		s->wait = SHED_WAIT_MS;
	if (s->lag > SHED_CALM_MS)
		s->calm = now;
	if (s->lag > SHED_AT_MS && s->level < max_level &&
		now - s->changed >= (s->lag > 2 * SHED_AT_MS ? SHED_SOON_MS : SHED_NEXT_MS)) {
		if (s->lowered && now - s->lowered < 2 * SHED_WAIT_MS && s->wait < SHED_WAIT_MAX_MS)
			s->wait *= 2;
		s->level++;
		s->changed = now;
	} else if (s->level && now - s->calm >= s->wait && now - s->changed >= s->wait) {
		s->level--;
		s->changed = s->lowered = now;
	} else if (!s->level && now - s->changed > SHED_WAIT_MAX_MS) {
		s->wait = SHED_WAIT_MS;
	}
	return s->level;
}
