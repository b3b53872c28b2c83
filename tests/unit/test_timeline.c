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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
