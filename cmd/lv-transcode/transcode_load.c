#include "transcode_parts.h"

#include "clock.h"
#include "die.h"
#include "event.h"

#define MEASURE_MS 10000
#define LOOK_MS 250           /* how often the lag is looked at */

static void
tell_load(struct transcode *t, const char *what)
{
	struct event e;

	event_begin(&e, what);
	event_int(&e, "level", t->shed.level);
	event_int(&e, "lag_ms", t->shed.lag);
	event_send(&e);
}

void
transcode_look_at_load(struct transcode *t)
{
	int64_t now = clock_mono_ms();
	int before = t->shed.level, level, i;
	struct event e;

	if (!t->measured_at) {
		t->measured_at = now;
		t->measured = t->at;
	}
	if (now - t->measured_at >= MEASURE_MS) {
		event_begin(&e, "transcode.measured");
		event_num(&e, "speed", (double)(t->at - t->measured) / (double)(now - t->measured_at), 3);
		event_int(&e, "frames_in", t->in - t->reported_in);
		event_int(&e, "frames_out", t->made - t->reported_made);
		event_int(&e, "frames_dropped", t->lost - t->reported_lost);
		if (t->how.live)
			event_int(&e, "lag_ms", t->shed.lag);
		event_send(&e);
		t->measured_at = now;
		t->measured = t->at;
		t->reported_in = t->in;
		t->reported_made = t->made;
		t->reported_lost = t->lost;
	}
	if (!t->how.live || !t->origin_ms || now - t->looked < LOOK_MS)
		return;
	t->looked = now;
	level = shed_look(&t->shed, now, clock_wall_ms() - t->origin_ms - t->at, 1 + t->steps);
	if (level == before)
		return;
	tell_load(t, level > before ? "load.shed" : "load.eased");
	if (level > before)
		warning(0, "%lld ms behind: %s", (long long)t->shed.lag,
			level == 1 ? "every second picture of the rungs is left out" : "a rung is left out");
	for (i = 0; i < t->steps; i++) {
		struct step *s = &t->step[t->order_of[i]];

		if (level >= 2 + i && !s->off) {
			s->off = true;
			t->lost += video_abandon(s->video);
		}
	}
}
