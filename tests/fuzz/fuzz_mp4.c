/* Fragmented MP4 from an archive: two bytes say how long the init segment is, a moof follows it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mp4read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mp4_init init;
	struct mp4_walk walk = { 0 };
	struct mp4_sample s;
	struct mp4_box b;
	size_t n, samples = 0;
	uint8_t *own;

	if (size < 2)
		return 0;
	n = (size_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	if (n > size)
		n = size;
	/* A block of its own, so that a step beyond it is seen. */
	own = malloc(n + 1);
	memcpy(own, data, n);
	if (mp4_init_parse(own, n, &init) == 0) {
		if (init.count < 1 || init.count > MP4_TRACKS_MAX)
			__builtin_trap();
		if (mp4_walk_begin(&walk, &init, data + n, size - n, 1000) == 0)
			while (mp4_walk_next(&walk, &s) > 0)
				if (++samples > MP4_SAMPLES_MAX || s.track < 0 || s.track >= init.count || s.dts < 0 ||
					s.dts > MP4_TIME_MAX || s.offset > (uint64_t)MP4_TIME_MAX)
					__builtin_trap();
	}
	mp4_box(data, size, &b);
	free(own);
	return 0;
}
