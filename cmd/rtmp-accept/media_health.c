/* What a publisher sends, measured, told, and bounded. */
#include "media_parts.h"

#include <stdio.h>

#include "clock.h"
#include "die.h"

#define OVER_PERIODS 2 /* over max_kbps in so many looks in a row: the publisher is closed */

struct health media_health;

static void
say_problem(bool begins, enum health_problem p)
{
	struct event *e = &keeper.event;

	event_begin(e, begins ? "problem.began" : "problem.ended");
	event_str(e, "session", keeper.session.session);
	event_str(e, "problem", health_names[p]);
	if (begins)
		event_str(e, "advice", health_advice[p]);
	else
		event_int(e, "dur_ms", clock_mono_ms() - media_health.began[p]);
	event_send(e);
	if (begins)
		warning(0, "%s: %s", keeper.hello.stream, health_advice[p]);
}

static void
say_health(const struct health_report *r)
{
	struct event *e = &keeper.event;

	event_begin(e, "publish.health");
	event_str(e, "session", keeper.session.session);
	event_int(e, "kbps", r->kbps);
	event_num(e, "fps", r->fps, 1);
	event_int(e, "gop_ms", r->gop_ms);
	event_bool(e, "b_frames", r->b_frames);
	if (r->both)
		event_int(e, "av_gap_ms", r->av_gap_ms);
	event_int(e, "ahead_ms", r->ahead_ms);
	event_int(e, "drift_ms", r->drift_ms);
	event_send(e);
}

void
media_say_problems(unsigned began, unsigned ended)
{
	int p;

	for (p = 0; p < HEALTH_PROBLEMS; p++)
		if ((began | ended) & 1U << p)
			say_problem(began & 1U << p, (enum health_problem)p);
}

void
media_look(int64_t now)
{
	struct health_report r;
	unsigned began, ended;
	bool whole = health_look(&media_health, now, &r, &began, &ended);
	char why[96];

	if (whole) {
		say_health(&r);
		keeper.kbps = (uint32_t)r.kbps;
		keeper.fps_tenths = (uint32_t)(r.fps * 10 + 0.5);
		keeper.figures.gop_ms = (int32_t)r.gop_ms;
		keeper.figures.drift_ms = (int32_t)r.drift_ms;
		keeper.figures.av_gap_ms = (int32_t)r.av_gap_ms;
	}
	media_say_problems(began, ended);
	keeper.problems = media_health.problems;
	if (whole || began || ended)
		keeper_tell_state();
	if (media_health.until && now >= media_health.until) {
		keeper_close_publisher("the time of this key is over");
	} else if (whole && media_health.over >= OVER_PERIODS) {
		snprintf(why, sizeof(why), "%d kbit/s are allowed, %d were sent", (int)keeper.session.max_kbps,
			(int)r.kbps);
		keeper_close_publisher(why);
	}
}
