/* Any stamps at any time: no track goes back, none falls behind or runs away. */
#include <stdint.h>

#include "bytes.h"
#include "timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A stream without a clock: what goes back is put right, what is ahead stays; sound stays on its grid. */
static void
follow(const uint8_t *data, size_t size)
{
	struct timeline t = { 0 };
	struct timeline_sound s = { 0 };
	int64_t dts, at, heard = 0, last[TIMELINE_TRACKS] = { 0 };
	int rate = 1000, frame = 1;

	if (size >= 3) {
		rate += get_be16(data);
		frame += data[2] << 4;
	}
	for (; size >= 7; data += 7, size -= 7) {
		int k = data[0] % TIMELINE_TRACKS;
		int64_t newest = t.newest;
		const char *why = timeline_follow(&t, k, get_be32(data + 3), &dts);

		if (dts < last[k] || t.newest < dts || (why && dts < newest - TIMELINE_JUMP_MS))
			__builtin_trap();
		last[k] = dts;
		at = dts * rate / 1000;
		if (k == 0 && timeline_sound(&s, rate, frame, &at)) {
			if (at < heard)
				__builtin_trap();
			heard = at;
		}
	}
}

/* Seven bytes a tag: the track or a new session, how long it took, its stamp. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct timeline t = { 0 };
	int64_t now = 0, dts, newest, last[TIMELINE_TRACKS] = { 0 };
	uint32_t stamp;

	follow(data, size);
	timeline_session(&t, 0);
	for (; size >= 7; data += 7, size -= 7) {
		int k = data[0] % (TIMELINE_TRACKS + 1);

		now += get_be16(data + 1);
		stamp = get_be32(data + 3);
		if (k == TIMELINE_TRACKS) {
			timeline_session(&t, now);
			continue;
		}
		newest = t.newest > now ? t.newest : now;
		timeline_map(&t, (enum timeline_track)k, stamp, now, &dts);
		if (dts < last[k] || dts < now - TIMELINE_LATE_MS - TIMELINE_JUMP_MS || t.newest < dts ||
			(dts > newest + TIMELINE_JUMP_MS && dts > now + TIMELINE_AHEAD_MS))
			__builtin_trap();
		last[k] = dts;
	}
	return 0;
}
