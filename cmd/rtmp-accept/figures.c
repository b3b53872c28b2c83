/*
 * What --metrics tells: of the door, and of each broadcast what its keeper said last, which is at most
 * two seconds old.
 */
#include "clock.h"
#include "door.h"
#include "health.h"

struct family {
	const char *name, *help;
	enum metrics_type type;
	double (*value)(const struct keep_state *);
	bool live; /* said of those only who have a publisher */
};

struct telling {
	struct metrics *m;
	const struct family *family;
	int broadcasts, publishing;
};

static double
live(const struct keep_state *s)
{
	return s->publishing != 0;
}

static double
began(const struct keep_state *s)
{
	return (double)s->origin_ms / 1000;
}

static double
came(const struct keep_state *s)
{
	return (double)s->since_ms / 1000;
}

static double
reconnects(const struct keep_state *s)
{
	return s->figures.sessions > 1 ? (double)s->figures.sessions - 1 : 0;
}

static double
restarts(const struct keep_state *s)
{
	return (double)s->figures.restarts;
}

static double
bytes(const struct keep_state *s)
{
	return (double)s->figures.bytes;
}

static double
dropped(const struct keep_state *s)
{
	return (double)s->figures.dropped;
}

static double
jumps(const struct keep_state *s)
{
	return (double)s->figures.jumps;
}

static double
bitrate(const struct keep_state *s)
{
	return s->kbps * 1000.0 / 8;
}

static double
frame_rate(const struct keep_state *s)
{
	return s->fps_tenths / 10.0;
}

static double
key_frames(const struct keep_state *s)
{
	return s->figures.gop_ms / 1000.0;
}

static double
drift(const struct keep_state *s)
{
	return s->figures.drift_ms / 1000.0;
}

static double
apart(const struct keep_state *s)
{
	return s->figures.av_gap_ms / 1000.0;
}

static const struct family families[] = {
	{ "lv_stream_live", "1 while somebody publishes, 0 while the broadcast waits for its publisher.",
		METRICS_GAUGE, live, false },
	{ "lv_stream_start_time_seconds", "When the broadcast began, as Unix time.", METRICS_GAUGE, began, false },
	{ "lv_stream_publisher_start_time_seconds", "When its publisher came, as Unix time.", METRICS_GAUGE, came,
		true },
	{ "lv_stream_reconnects_total", "Publishers of the broadcast after its first.", METRICS_COUNTER, reconnects,
		false },
	{ "lv_stream_restarts_total", "Restarts of the broadcast's program.", METRICS_COUNTER, restarts, false },
	{ "lv_ingest_bytes_total", "What its publishers sent.", METRICS_COUNTER, bytes, false },
	{ "lv_ingest_dropped_frames_total", "Pictures that its program did not get, being late.", METRICS_COUNTER,
		dropped, false },
	{ "lv_ingest_timestamp_jumps_total", "Repairs of its publishers' time.", METRICS_COUNTER, jumps, false },
	{ "lv_ingest_bytes_per_second", "What its publisher sent a second, in the last period of --health-ms.",
		METRICS_GAUGE, bitrate, true },
	{ "lv_ingest_frames_per_second", "Pictures a second, in the last period.", METRICS_GAUGE, frame_rate,
		true },
	{ "lv_ingest_keyframe_interval_seconds", "The longest time between key frames, in the last period.",
		METRICS_GAUGE, key_frames, true },
	{ "lv_ingest_clock_drift_seconds", "How far its publisher's clock has moved against ours.", METRICS_GAUGE,
		drift, true },
	{ "lv_ingest_av_gap_seconds", "How far the picture's time is ahead of the sound's.", METRICS_GAUGE, apart,
		true },
};

static void
tell_one(const struct keep_state *s, void *ctx)
{
	struct telling *t = ctx;

	if (s->publishing || !t->family->live)
		metrics_sample(t->m, t->family->value(s), "stream", s->stream, NULL);
}

static void
tell_frames(const struct keep_state *s, void *ctx)
{
	struct telling *t = ctx;

	metrics_sample(t->m, (double)s->figures.pictures, "stream", s->stream, "kind", "video", NULL);
	metrics_sample(t->m, (double)s->figures.sounds, "stream", s->stream, "kind", "audio", NULL);
}

static void
tell_problems(const struct keep_state *s, void *ctx)
{
	struct telling *t = ctx;
	int p;

	for (p = 0; p < HEALTH_PROBLEMS; p++)
		if (s->publishing && s->problems & 1U << p)
			metrics_sample(t->m, 1, "stream", s->stream, "problem", health_names[p], NULL);
}

static void
count_one(const struct keep_state *s, void *ctx)
{
	struct telling *t = ctx;

	t->broadcasts++;
	t->publishing += s->publishing != 0;
}

static void
tell_door(struct metrics *m, const struct telling *t)
{
	struct clients_stats c;

	clients_stats(&c);
	metrics_gauge(m, "lv_ingest_connections", c.connections, "Connections that are open.");
	metrics_gauge(m, "lv_ingest_pending_connections", c.pending, "Those of them without a verdict.");
	metrics_gauge(m, "lv_ingest_connections_limit", door.max_connections, "As --max-connections has it.");
	metrics_gauge(m, "lv_ingest_broadcasts", t->broadcasts, "Broadcasts that are on, or wait for a publisher.");
	metrics_gauge(m, "lv_ingest_publishers", t->publishing, "Publishers that send.");
	metrics_gauge(m, "lv_ingest_auth_up", auth_runs(), "1 while the coprocess that knows the keys runs.");
	metrics_gauge(m, "lv_ingest_draining", door.draining, "1 when nobody new is let in.");
	metrics_counter(m, "lv_ingest_connections_total", (double)c.accepted, "Connections that came.");
	metrics_counter(m, "lv_ingest_sessions_total", (double)c.published, "Publishers that were let in.");
	metrics_family(m, "lv_ingest_refusals_total", METRICS_COUNTER, "Connections not let in, by reason.");
	metrics_counted(m, &clients_refusals, "reason", NULL);
}

void
figures_fill(void *ctx, struct metrics *m)
{
	struct telling t = { .m = m };
	size_t i;

	(void)ctx;
	keepers_each(count_one, &t);
	tell_door(m, &t);
	for (i = 0; i < sizeof(families) / sizeof(*families); i++) {
		t.family = &families[i];
		metrics_family(m, t.family->name, t.family->type, t.family->help);
		keepers_each(tell_one, &t);
	}
	metrics_family(m, "lv_ingest_frames_total", METRICS_COUNTER, "What its publishers sent, by kind.");
	keepers_each(tell_frames, &t);
	metrics_family(m, "lv_ingest_problem", METRICS_GAUGE, "1 for each thing that is wrong with what it sends.");
	keepers_each(tell_problems, &t);
}
