/* tsread against what ts writes, and against damage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aac.h"
#include "ts.h"
#include "tsread.h"

static const uint8_t avcc[] = { 1, 0x64, 2, 3, 0xff, 0xe1, 0, 4, 0x67, 0x64, 2, 3, 1, 0, 1, 0x68, 0xfd, 0xf8, 0xf8, 0 };
static const uint8_t idr[] = { 0, 0, 0, 5, 0x65, 1, 2, 3, 4 }, other[] = { 0, 0, 0, 3, 0x41, 9, 9 };
static const struct aac_config aac = { .object = 2, .rate = 48000, .channels = 2, .frame = 1024 };

/* Two pictures and two frames of sound, from t on. */
static void
segment(struct buf *b, int64_t t)
{
	static struct ts ts;
	static const uint32_t sizes[] = { 3, 4 };

	memset(&ts, 0, sizeof(ts));
	ts.video = ts.audio = true;
	assert_int_equal(ts_tables(b, &ts), 0);
	ts_video(b, &ts, t + 3000, t, true, avcc, sizeof(avcc), 4, idr, sizeof(idr));
	ts_audio(b, &ts, t, &aac, sizes, 2, (const uint8_t *)"abcdefg");
	assert_int_equal(ts_video(b, &ts, t + 6000, t + 3000, false, avcc, sizeof(avcc), 4, other, sizeof(other)), 0);
	ts_free(&ts);
}

static void
check(const struct tsread *t, int64_t at)
{
	const struct tsread_frame *f = t->video.frame;

	assert_int_equal(t->lost, 0);
	assert_int_equal(t->video.count, 2);
	assert_true(f[0].key && !f[1].key);
	assert_int_equal(f[0].dts, at);
	assert_int_equal(f[0].pts, at + 3000);
	assert_int_equal(f[1].dts, at + 3000);
	assert_int_equal(f[0].size, sizeof(idr));
	assert_memory_equal(buf_data(&t->video.data), idr, sizeof(idr));
	assert_memory_equal(buf_data(&t->video.data) + f[1].offset, other, sizeof(other));
	assert_int_equal(buf_len(&t->video.config), sizeof(avcc));
	assert_memory_equal(buf_data(&t->video.config), avcc, sizeof(avcc));
	f = t->audio.frame;
	assert_int_equal(t->audio.count, 2);
	assert_int_equal(f[0].pts, at);
	assert_int_equal(f[1].pts, at + 1920);
	assert_memory_equal(buf_data(&t->audio.data), "abcdefg", 7);
	assert_int_equal(buf_len(&t->audio.config), 2);
	assert_memory_equal(buf_data(&t->audio.config), "\x11\x90", 2);
}

static void
reads_what_ts_writes(void **state)
{
	struct tsread t = { 0 };
	struct buf b = { 0 };

	(void)state;
	segment(&b, 900000);
	assert_int_equal(tsread_segment(&t, buf_data(&b), buf_len(&b), 0), 0);
	check(&t, 900000 + TS_OFFSET);
	buf_free(&b);
	tsread_free(&t);
}

static void
times_belong_where_they_are_expected(void **state)
{
	static const int64_t wrap = (int64_t)1 << 33;
	struct tsread t = { 0 };
	struct buf b = { 0 };
	int64_t at = wrap - TS_OFFSET - 1500; /* the second picture lies beyond the wrap */

	(void)state;
	segment(&b, at);
	assert_int_equal(tsread_segment(&t, buf_data(&b), buf_len(&b), at), 0);
	check(&t, at + TS_OFFSET);
	assert_int_equal(tsread_segment(&t, buf_data(&b), buf_len(&b), 5 * wrap), 0);
	check(&t, 5 * wrap - 1500);
	buf_free(&b);
	tsread_free(&t);
}

static void
damage_is_counted_and_no_more(void **state)
{
	struct tsread t = { 0 };
	struct buf b = { 0 };
	size_t i, lost = 0;
	uint8_t *copy;
	int k;

	(void)state;
	segment(&b, 0);
	for (i = 0; i < buf_len(&b); i++) {
		copy = malloc(i + 1);
		memcpy(copy, buf_data(&b), i);
		if (tsread_segment(&t, copy, i, 0) == 0 && i % TS_PACKET)
			assert_true(t.lost > 0); /* cut off inside a packet: it is told */
		free(copy);
		copy = malloc(buf_len(&b));
		for (k = 0; k < 3; k++) {
			memcpy(copy, buf_data(&b), buf_len(&b));
			copy[i] = k == 0 ? 0 : k == 1 ? 0xff : (uint8_t)~copy[i];
			if (tsread_segment(&t, copy, buf_len(&b), 0) == 0)
				lost += t.lost;
		}
		free(copy);
	}
	assert_true(lost > 0);
	assert_int_equal(tsread_segment(&t, (const uint8_t *)"GIF89a", 6, 0), -EBADMSG);
	buf_free(&b);
	tsread_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads_what_ts_writes),
		cmocka_unit_test(times_belong_where_they_are_expected), cmocka_unit_test(damage_is_counted_and_no_more) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
