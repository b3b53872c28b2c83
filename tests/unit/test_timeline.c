#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "timeline.h"

#define A TIMELINE_AUDIO
#define V TIMELINE_VIDEO

struct step {
	enum timeline_track track;
	uint32_t stamp;
	int64_t now, want;
	bool jump;
};

static void
walk(const struct step *s, size_t n)
{
	struct timeline t = { 0 };
	int64_t dts, last[TIMELINE_TRACKS] = { 0 };
	const char *why;
	size_t i;

	timeline_session(&t, s->now);
	for (i = 0; i < n; i++) {
		why = timeline_map(&t, s[i].track, s[i].stamp, s[i].now, &dts);
		assert_int_equal(dts, s[i].want);
		assert_int_equal(why != NULL, s[i].jump);
		assert_true(dts >= last[s[i].track]);
		last[s[i].track] = dts;
	}
}

#define WALK(...) \
	do { \
		static const struct step s[] = { __VA_ARGS__ }; \
		walk(s, sizeof(s) / sizeof(*s)); \
	} while (0)

static void
begins_at_the_wall_clock(void **state)
{
	(void)state;
	WALK({ V, 5000, 100, 100 }, { A, 5010, 105, 110 }, { V, 5033, 133, 133 }, { A, 5033, 134, 133 });
}

static void
undoes_the_wrap(void **state)
{
	(void)state;
	WALK({ V, 0xffffffe0, 0, 0 }, { A, 0xfffffff0, 10, 16 }, { V, 1, 33, 33 }, { A, 7, 40, 39 });
}

static void
undoes_a_wrap_after_31_bits(void **state)
{
	(void)state;
	WALK({ V, 0x7fffffe0, 0, 0 }, { A, 0x7ffffff0, 10, 16 }, { V, 1, 33, 33 }, { A, 7, 40, 39 },
		{ V, 34, 66, 66 }, { A, 30, 66, 62 });
}

static void
steps_below_a_jump_cannot_run_away_from_the_clock(void **state)
{
	struct timeline t = { 0 };
	int64_t dts = 0, now;
	uint32_t stamp = 0;
	int told = 0;

	(void)state;
	timeline_session(&t, 0);
	for (now = 0; now < 60000; now += 40, stamp += 2900) {
		told += timeline_map(&t, V, stamp, now, &dts) != NULL;
		assert_true(dts - now <= TIMELINE_AHEAD_MS);
	}
	assert_true(told > 10);
	/* A file sent as fast as it goes is no fault. */
	timeline_session(&t, now);
	for (stamp = 0; stamp < 3600000; stamp += 33)
		assert_null(timeline_map(&t, V, stamp, now, &dts));
}

static void
a_jump_of_both_keeps_them_together(void **state)
{
	(void)state;
	WALK({ V, 0, 0, 0 }, { A, 0, 0, 0 }, { V, 33, 33, 33 }, { A, 23, 33, 23 },
		{ V, 3600066, 66, 33, true }, { A, 3600046, 66, 23, true }, { V, 3600099, 99, 66 },
		{ A, 3600069, 99, 36 });
}

static void
a_reset_to_zero_goes_on(void **state)
{
	(void)state;
	WALK({ V, 90000, 0, 0 }, { V, 90033, 33, 33 }, { V, 0, 66, 33, true }, { V, 33, 99, 66 });
}

static void
a_jump_of_one_is_put_back_beside_the_other(void **state)
{
	(void)state;
	WALK({ V, 0, 0, 0 }, { A, 0, 0, 0 }, { A, 23, 23, 23 }, { V, 30033, 33, 23, true },
		{ A, 46, 46, 46 }, { V, 30066, 66, 56 });
}

static void
a_pause_is_no_jump(void **state)
{
	(void)state;
	WALK({ V, 0, 0, 0 }, { V, 33, 33, 33 }, { V, 20033, 20040, 20033 });
}

static void
small_steps_back_are_held(void **state)
{
	(void)state;
	WALK({ V, 100, 0, 0 }, { V, 133, 33, 33 }, { V, 120, 40, 33 }, { V, 166, 66, 66 });
}

static void
far_behind_the_clock_is_put_back_to_it(void **state)
{
	(void)state;
	WALK({ V, 0, 0, 0 }, { V, 33, 11000, 11000, true }, { V, 66, 11033, 11033 });
}

static void
a_new_session_comes_after_all_there_is(void **state)
{
	struct timeline t = { 0 };
	int64_t dts;

	(void)state;
	timeline_session(&t, 0);
	timeline_map(&t, V, 0, 0, &dts);
	timeline_map(&t, V, 2000, 500, &dts); /* faster than the clock */
	assert_int_equal(dts, 2000);
	timeline_session(&t, 700);
	assert_null(timeline_map(&t, V, 77, 700, &dts));
	assert_int_equal(dts, 2000);
	timeline_session(&t, 9000);
	assert_null(timeline_map(&t, A, 1, 9000, &dts));
	assert_int_equal(dts, 9000);
	assert_int_equal(timeline_now(&t, 8000), 9000);
}

/* Without a clock: what is ahead is believed, what goes back goes on beside the others. */
static void
a_stream_without_a_clock_keeps_its_times(void **state)
{
	static const struct {
		int track;
		uint32_t stamp;
		int64_t want;
		const char *why;
	} s[] = { { 9, 5000, 5000, NULL }, { 2, 4990, 4990, NULL }, { 9, 5033, 5033, NULL }, { 2, 5013, 5013, NULL },
		{ 9, 25000, 25000, "time jumped ahead" }, { 2, 25010, 25010, NULL }, { 7, 24900, 24900, NULL },
		{ 9, 25033, 25033, NULL }, { 9, 100, 25033, "time jumped back" }, { 2, 25031, 25031, NULL },
		{ 2, 110, 25043, "time jumped back" }, { 9, 133, 25066, NULL }, { 7, 120, 25053, "time jumped back" },
		{ 7, 110, 25053, NULL } };
	struct timeline t = { 0 };
	const char *why;
	int64_t dts;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(s) / sizeof(*s); i++) {
		why = timeline_follow(&t, s[i].track, s[i].stamp, &dts);
		assert_int_equal(dts, s[i].want);
		assert_int_equal(why != NULL, s[i].why != NULL);
		if (why)
			assert_string_equal(why, s[i].why);
	}
}

/* Milliseconds in, samples out: jitter and rounding leave the grid alone, what stays off moves it. */
static void
sound_lies_on_its_grid(void **state)
{
	struct timeline_sound s = { 0 }, flac = { 0 };
	int64_t at, ms;
	int i, n = 0;

	(void)state;
	for (i = 0; i < 200; i++) { /* 21.33 ms told as whole ones, and some jitter */
		ms = 1000 + i * 64 / 3 + (i % 3 - 1) * 5;
		at = ms * 48;
		assert_true(timeline_sound(&s, 48000, 1024, &at));
		assert_int_equal(at, (47 + i) * 1024);
	}
	for (; i < 210; i++) { /* 100 ms are missing */
		at = (1100 + i * 64 / 3) * 48;
		assert_true(timeline_sound(&s, 48000, 1024, &at));
		n += at != (47 + i) * 1024;
		assert_int_equal(at % 1024, 0);
	}
	assert_int_equal(n, 7); /* believed when it stayed */
	for (n = 0; i < 220; i++) { /* too much of it: a frame is left out now and then */
		at = (1000 + i * 64 / 3) * 48;
		n += !timeline_sound(&s, 48000, 1024, &at);
	}
	assert_int_equal(n, 2);
	at = 200 * 48; /* 96 ms a frame: quarters of it */
	assert_true(timeline_sound(&flac, 48000, 4608, &at));
	assert_int_equal(at, 8 * 1152);
}

static void
moves_absurd_composition_times(void **state)
{
	static const struct {
		int32_t cts, want;
		bool told;
	} c[] = { { 67, 67, false }, { 0, 0, false }, { 33, 33, false }, { -3000, 33, true }, { -2933, 100, false },
		{ -3033, 0, false }, { 0, 0, true }, { 67, 67, false }, { 8388607, 67, true }, { -8388608, 67, true },
		{ -8388541, 134, false } };
	struct timeline t = { 0 };
	int32_t cts;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
		cts = c[i].cts;
		assert_int_equal(timeline_cts(&t, &cts) != NULL, c[i].told);
		assert_int_equal(cts, c[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_absurd_composition_times),
		cmocka_unit_test(begins_at_the_wall_clock),
		cmocka_unit_test(undoes_the_wrap),
		cmocka_unit_test(undoes_a_wrap_after_31_bits),
		cmocka_unit_test(steps_below_a_jump_cannot_run_away_from_the_clock),
		cmocka_unit_test(a_jump_of_both_keeps_them_together),
		cmocka_unit_test(a_reset_to_zero_goes_on),
		cmocka_unit_test(a_jump_of_one_is_put_back_beside_the_other),
		cmocka_unit_test(a_pause_is_no_jump),
		cmocka_unit_test(small_steps_back_are_held),
		cmocka_unit_test(far_behind_the_clock_is_put_back_to_it),
		cmocka_unit_test(a_new_session_comes_after_all_there_is),
		cmocka_unit_test(a_stream_without_a_clock_keeps_its_times),
		cmocka_unit_test(sound_lies_on_its_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
