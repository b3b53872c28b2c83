#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health.h"

/* A publisher, as it should be and is not. */
struct publisher {
	int64_t frame_ms, gop_ms, apart_ms, burst_bytes, max_kbps, until;
	double speed; /* of its clock */
	int64_t stops, stop_until; /* all of it */
	int64_t video_stops, audio_stops, slow_from, jump_at;
	int b_frames;
};

static const struct publisher good = { .frame_ms = 40, .gop_ms = 2000, .burst_bytes = 5000, .speed = 1.0,
	.stops = 1 << 30, .video_stops = 1 << 30, .audio_stops = 1 << 30, .slow_from = 1 << 30, .jump_at = 1 << 30 };

/* What happened in a minute of it, "+name@second -name@second ..."; the last report. */
static void
run(const struct publisher *p, char *text, size_t cap, struct health_report *last)
{
	struct health_report r;
	struct health h;
	unsigned began, ended;
	int64_t now, dts, key = -10000, jump = 0;
	int i;

	*text = '\0';
	health_begin(&h, 0, 10000, p->max_kbps, p->until);
	for (now = 0; now <= 60000; now += 20) {
		bool there = now < p->stops || now >= p->stop_until;

		if (now == p->jump_at) {
			jump = 50000;
			health_jump(&h);
		}
		dts = (int64_t)((double)now * p->speed) + jump;
		if (there && now < p->audio_stops)
			health_frame(&h, false, false, dts - p->apart_ms, 0, now);
		if (there && now < p->video_stops && now % (now < p->slow_from ? p->frame_ms : 3 * p->frame_ms) == 0) {
			bool is_key = dts - key >= p->gop_ms;

			if (is_key)
				key = dts;
			health_frame(&h, true, is_key, dts, p->b_frames ? 80 : 0, now);
		}
		if (there)
			health_bytes(&h, now, p->burst_bytes);
		if (now % 500)
			continue;
		if (health_look(&h, now, &r, &began, &ended))
			*last = r;
		for (i = 0; i < HEALTH_PROBLEMS; i++)
			if ((began | ended) & 1U << i)
				snprintf(text + strlen(text), cap - strlen(text), "%c%s@%d ", began & 1U << i ? '+' : '-',
					health_names[i], (int)(now / 1000));
	}
}

static void
is(const struct publisher *p, const char *want, struct health_report *r)
{
	char text[512];

	run(p, text, sizeof(text), r);
	assert_string_equal(text, want);
}

static void
a_good_one_has_no_problems(void **state)
{
	struct health_report r;

	(void)state;
	is(&good, "", &r);
	assert_int_equal(r.kbps, 2000);
	assert_true(r.fps > 24.9 && r.fps < 25.1);
	assert_int_equal(r.gop_ms, 2000);
	assert_false(r.b_frames);
	assert_true(r.both);
	assert_int_equal(r.drift_ms, 0);
	assert_in_range(r.av_gap_ms + 40, 0, 80);
}

static void
each_fault_has_its_name_and_its_end(void **state)
{
	struct publisher p = good;
	struct health_report r;

	(void)state;
	p.gop_ms = 8000;
	is(&p, "+key-frames-rare@4 ", &r);
	assert_int_equal(r.gop_ms, 8000);
	p = good;
	p.stops = 20000;
	p.stop_until = 26000;
	is(&p, "+stalled@22 -stalled@26 +key-frames-rare@26 -key-frames-rare@28 ", &r);
	p = good;
	p.video_stops = 30000;
	is(&p, "+video-stopped@32 ", &r);
	assert_true(r.fps < 0.1);
	p = good;
	p.audio_stops = 30000;
	is(&p, "+audio-stopped@32 ", &r);
	p = good;
	p.slow_from = 20000;
	is(&p, "+frames-missing@30 ", &r);
	p = good;
	p.apart_ms = 800;
	is(&p, "+sound-and-picture-apart@10 ", &r);
	assert_in_range(r.av_gap_ms, 760, 840);
	p = good;
	p.speed = 1.03;
	is(&p, "+clock-drift@50 ", &r);
	assert_in_range(r.drift_ms, 1400, 1600);
	p = good;
	p.max_kbps = 1000;
	is(&p, "+bitrate-over@10 ", &r);
	p = good;
	p.until = 90000;
	is(&p, "+time-short@30 ", &r);
	p = good;
	p.b_frames = 1;
	is(&p, "", &r);
	assert_true(r.b_frames);
}

static void
a_repair_of_time_is_no_drift(void **state)
{
	struct publisher p = good;
	struct health_report r;

	(void)state;
	p.jump_at = 30000;
	is(&p, "", &r);
	assert_int_equal(r.drift_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one_has_no_problems),
		cmocka_unit_test(each_fault_has_its_name_and_its_end),
		cmocka_unit_test(a_repair_of_time_is_no_drift),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
