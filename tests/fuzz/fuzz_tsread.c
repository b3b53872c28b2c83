/* A segment of a transport stream from an archive. */
#include <stdint.h>

#include "tsread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct tsread_track *k)
{
	size_t i, end = 0;

	for (i = 0; i < k->count; i++) {
		if (k->frame[i].offset < end)
			__builtin_trap();
		end = k->frame[i].offset + k->frame[i].size;
	}
	if (end > buf_len(&k->data))
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tsread t; /* used again, as lv-vod does */

	if (tsread_segment(&t, data, size, 0) == 0) {
		check(&t.video);
		check(&t.audio);
	}
	return 0;
}
