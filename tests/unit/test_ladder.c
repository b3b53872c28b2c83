#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ladder.h"
#include "order.h"
#include "shed.h"

static void
rungs_are_read(void **state)
{
	struct ladder l = { 0 };
	char why[LADDER_WHY];

	(void)state;
	assert_int_equal(ladder_add(&l, "source", why), 0);
	assert_int_equal(ladder_add(&l, "hd=1920x1080@59.94:6000k:160k:encoder=h264_nvenc,preset=p4,gop=500,"
		"latency=low,threads=3,profile=main", why), 0);
	assert_int_equal(ladder_add(&l, "sound=-:-:64k", why), 0);
	assert_int_equal(ladder_add(&l, "mute=640x360:400k:-", why), 0);
	assert_true(l.rung[0].source);
	assert_int_equal(l.rung[1].width, 1920);
	assert_true(l.rung[1].fps > 59.93 && l.rung[1].fps < 59.95);
	assert_int_equal(l.rung[1].video_kbps, 6000);
	assert_string_equal(l.rung[1].encoder, "h264_nvenc");
	assert_int_equal(l.rung[1].gop_ms, 500);
	assert_int_equal(l.rung[1].threads, 3);
	assert_true(l.rung[1].low_latency);
	assert_int_equal(l.rung[2].video_kbps, 0);
	assert_int_equal(l.rung[2].audio_kbps, 64);
	assert_int_equal(l.rung[3].audio_kbps, 0);
	assert_true(l.rung[3].fps == 0);
	assert_string_equal(l.rung[3].encoder, "libx264");
}

static void
what_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "=", "720p=", "720p=1280x720", "720p=1280x720:2000k",
		"720p=1280x720@30:2000:128k", "720p=1280x720@30:2000k:128", "720p=x720@30:1k:1k",
		"720p=1280x720@0:1k:1k", "720p=1280x720@nan:1k:1k", "720p=1280x720@30x:1k:1k", "720p=1280:1k:1k",
		"720p=9000x720:1k:1k", "720p=-1x720:1k:1k", "720p=-:1k:1k", "720p=-:-:-", "../x=2x2:1k:1k",
		"a b=16x16:1k:1k", "source=16x16:1k:1k", "a=16x16:0k:1k", "a=16x16:1k:1k:x", "a=16x16:1k:1k:x=1",
		"a=16x16:1k:1k:gop=1", "a=16x16:1k:1k:latency=none", "a=16x16:1k:1k:preset=",
		"a=16x16:1k:1k:threads=99999999999999999999", "a=16x16:1k:1k:gop=500:more" };
	char lines[] = "# mine\nsource\n\n  a=16x16:1k:1k # small\r\nb=-:-:2k\n";
	char many[] = "1=-:-:1k\n2=-:-:1k\n3=-:-:1k\n4=-:-:1k\n5=-:-:1k\n6=-:-:1k\n7=-:-:1k\n8=-:-:1k\n9=-:-:1k\n";
	struct ladder l = { 0 };
	char why[LADDER_WHY];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		*why = '\0';
		if (ladder_add(&l, bad[i], why) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(*why && !l.count);
	}
	assert_int_equal(ladder_add(&l, "source", why), 0);
	assert_true(ladder_add(&l, "source", why) < 0);
	l.count = 0;
	assert_int_equal(ladder_lines(&l, lines, why), 0);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.rung[1].spec, "a=16x16:1k:1k");
	l.count = 0;
	assert_true(ladder_lines(&l, many, why) < 0);
}

static void
a_source_gets_no_rung_larger_than_itself(void **state)
{
	static const struct {
		int w, h, count, w1, h1, w2, h2;
	} table[] = {
		{ 1920, 1080, 3, 1280, 720, 854, 480 },
		{ 1280, 720, 3, 1280, 720, 854, 480 },
		{ 960, 540, 2, 854, 480, 0, 0 },
		{ 854, 480, 2, 854, 480, 0, 0 },
		{ 640, 360, 1, 0, 0, 0, 0 },
		{ 1080, 1920, 3, 720, 1280, 480, 854 },
		{ 1440, 1080, 3, 960, 720, 640, 480 },
		{ 3840, 1600, 3, 1280, 534, 854, 356 },
		{ 1080, 1080, 3, 720, 720, 480, 480 },
		{ 0, 0, 1, 0, 0, 0, 0 },
	};
	struct ladder asked = { 0 }, got;
	size_t i;

	(void)state;
	ladder_default(&asked);
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		ladder_decide(&asked, table[i].w, table[i].h, &got);
		assert_int_equal(got.count, table[i].count);
		assert_true(got.rung[0].source);
		if (got.count > 1) {
			assert_int_equal(got.rung[1].width, table[i].w1);
			assert_int_equal(got.rung[1].height, table[i].h1);
		}
		if (got.count > 2) {
			assert_int_equal(got.rung[2].width, table[i].w2);
			assert_int_equal(got.rung[2].height, table[i].h2);
		}
	}
	/* Without the source something has to be left. */
	asked.rung[0] = asked.rung[2];
	asked.count = 2;
	ladder_decide(&asked, 321, 181, &got);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.rung[0].name, "480p");
	assert_int_equal(got.rung[0].width, 322);
}

static void
rates_are_divided_by_whole_numbers(void **state)
{
	(void)state;
	assert_int_equal(ladder_divisor(60, 30), 2);
	assert_int_equal(ladder_divisor(59.94, 30), 2);
	assert_int_equal(ladder_divisor(50, 30), 2);
	assert_int_equal(ladder_divisor(30.3, 30), 1);
	assert_int_equal(ladder_divisor(29.97, 30), 1);
	assert_int_equal(ladder_divisor(60, 25), 3);
	assert_int_equal(ladder_divisor(120, 30), 4);
	assert_int_equal(ladder_divisor(0, 30), 1);
	assert_int_equal(ladder_divisor(30, 0), 1);
}

static void
load_is_shed_and_taken_up_again(void **state)
{
	struct shed s = { 0 };
	int64_t now = 1000000, behind = 5000; /* the clocks differ: only what is more counts */
	int i, level = 0, most = 0;

	(void)state;
	for (i = 0; i < 40; i++, now += 250)
		assert_int_equal(shed_look(&s, now, behind + i % 3 * 100, 3), 0);
	for (i = 0; i < 40; i++, now += 250) { /* twice as slow as the camera, until all is shed */
		level = shed_look(&s, now, behind += level < 2 ? 125 : level < 3 ? 0 : -250, 3);
		if (behind < 5000)
			behind = 5000;
		most = level > most ? level : most;
		assert_true(s.lag < 4000);
	}
	assert_int_equal(most, 3);
	for (i = 0; i < 4 * 60; i++, now += 250)
		level = shed_look(&s, now, behind, 3);
	assert_int_equal(level, 0);
	/* It does not hold: each try comes later. */
	for (i = most = 0; i < 4 * 600; i++, now += 250) {
		int before = level;

		behind += level ? -125 : 125;
		if (behind < 5000)
			behind = 5000;
		level = shed_look(&s, now, behind, 3);
		most += level > before;
	}
	assert_in_range(most, 3, 14);
}

static void
tags_leave_in_order(void **state)
{
	static const int dts[] = { 5, 1, 9, 1, 7, 3, 9 };
	struct order *o;
	struct buf tag = { 0 }, out = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(order_new(&o), 0);
	for (i = 0; i < sizeof(dts) / sizeof(*dts); i++) {
		buf_u8(&tag, (unsigned)('a' + i));
		assert_int_equal(order_put(o, dts[i], &tag), 0);
	}
	assert_int_equal(order_release(o, 0, &out), 0);
	assert_int_equal(buf_len(&out), 0);
	order_release(o, 5, &out);
	assert_memory_equal(buf_data(&out), "bdfa", 4);
	buf_u8(&tag, 'h'); /* later than what is held by more than is held for */
	order_put(o, 9 + ORDER_MS, &tag);
	order_release(o, 5, &out);
	assert_memory_equal(buf_data(&out), "bdfae", 5);
	order_release(o, INT64_MAX, &out);
	assert_memory_equal(buf_data(&out), "bdfaecgh", 8);
	order_free(&o);
	buf_free(&tag);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs_are_read),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_source_gets_no_rung_larger_than_itself),
		cmocka_unit_test(rates_are_divided_by_whole_numbers),
		cmocka_unit_test(load_is_shed_and_taken_up_again),
		cmocka_unit_test(tags_leave_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
