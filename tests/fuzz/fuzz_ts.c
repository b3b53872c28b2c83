/* Hostile configurations and frames into a transport stream: whole packets, counters in step. */
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "ts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct buf *b)
{
	static uint8_t next[8192];
	static uint8_t seen[8192];
	const uint8_t *p = buf_data(b), *end = p + buf_len(b);

	memset(seen, 0, sizeof(seen));
	if (buf_len(b) % TS_PACKET)
		__builtin_trap();
	for (; p < end; p += TS_PACKET) {
		unsigned pid = get_be16(p + 1) & 0x1fff;

		if (p[0] != 0x47 || (seen[pid] && (p[3] & 15) != next[pid]))
			__builtin_trap();
		if (p[3] & 0x20 && p[4] > TS_PACKET - 5)
			__builtin_trap();
		seen[pid] = 1;
		next[pid] = (p[3] + 1) & 15;
	}
}

/* A byte of choices, the configuration's length, the configuration, then frames of sound or picture. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ts t = { .video = true, .audio = true };
	struct buf b = { 0 };
	const uint8_t *avcc, *frame;
	size_t n, left;
	int i;

	if (size < 4)
		return 0;
	n = data[1] < size - 2 ? data[1] : size - 2;
	avcc = data + 2;
	frame = avcc + n;
	left = size - 2 - n;
	t.video = data[0] & 1;
	ts_tables(&b, &t);
	for (i = 0; i < 3; i++) {
		struct aac_config c = { .object = data[0] >> 4, .rate = data[0] & 8 ? 44100 : 48000, .channels = data[0] & 7,
			.frame = 1024 };
		uint32_t sizes[TS_AUDIO_MAX];
		size_t k, total = 0;

		ts_video(&b, &t, i * 3000 + (int64_t)left, i * 3000, data[0] & 2, avcc, n, (data[0] & 4) ? 4 : 2, frame, left);
		for (k = 0; k < TS_AUDIO_MAX && total + 1 <= left; k++)
			total += sizes[k] = (uint32_t)(left - total > 37 ? 37 : left - total);
		ts_audio(&b, &t, i * 1920, &c, sizes, k, frame);
	}
	check(&b);
	buf_free(&b);
	ts_free(&t);
	return 0;
}
