#include "crowd.h"

#include <stddef.h>

static const struct {
	int publishers;
	uint32_t ms;
} windows[] = { { 64, CROWD_MERGE_MS }, { 256, 150 } };

uint32_t
crowd_merge_ms(int least, int publishers, uint32_t now)
{
	uint32_t ms = least > 0 ? (uint32_t)least : 0;
	size_t i;
	int enough;

	for (i = 0; least && i < sizeof(windows) / sizeof(*windows); i++) {
		enough = windows[i].publishers;
		if (now >= windows[i].ms)
			enough -= enough / 4;
		if (publishers >= enough && windows[i].ms > ms)
			ms = windows[i].ms;
	}
	return ms;
}
