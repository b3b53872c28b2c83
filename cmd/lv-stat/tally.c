#include "tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "keys.h"
#include "table.h"

enum figure { /* of a stream, in the order of families[] */
	SPEED, LAG, LEVEL, FRAMES_IN, FRAMES_OUT, FRAMES_DROPPED, SEGMENTS, BYTES, GAPS, ERRORS, PUBLISH_LAG,
	PLAYLIST_AGE, TEE_READERS, TEE_FRAMES, TEE_BYTES, FIGURES
};

static const struct {
	const char *name, *help;
	enum metrics_type type;
} families[FIGURES] = {
	[SPEED] = { "lv_transcode_speed_ratio", "How fast media goes through; 1: as it plays.", METRICS_GAUGE },
	[LAG] = { "lv_transcode_lag_seconds", "How far it is behind the clock.", METRICS_GAUGE },
	[LEVEL] = { "lv_transcode_shed_level", "What is left out to keep up; 0: nothing.", METRICS_GAUGE },
	[FRAMES_IN] = { "lv_transcode_input_frames_total", "Pictures of the source.", METRICS_COUNTER },
	[FRAMES_OUT] = { "lv_transcode_output_frames_total", "Pictures of all rungs.", METRICS_COUNTER },
	[FRAMES_DROPPED] = { "lv_transcode_dropped_frames_total", "Pictures left out or damaged.", METRICS_COUNTER },
	[SEGMENTS] = { "lv_segment_segments_total", "Segments written, of all tracks.", METRICS_COUNTER },
	[BYTES] = { "lv_segment_bytes_total", "Their size.", METRICS_COUNTER },
	[GAPS] = { "lv_segment_gaps_total", "Segments that playlists have as a gap.", METRICS_COUNTER },
	[ERRORS] = { "lv_segment_errors_total", "Files that could not be written.", METRICS_COUNTER },
	[PUBLISH_LAG] = { "lv_segment_publish_lag_seconds",
		"From the end of the newest segment's media to its being written.", METRICS_GAUGE },
	[PLAYLIST_AGE] = { "lv_playlist_age_seconds", "Since a playlist was replaced.", METRICS_GAUGE },
	[TEE_READERS] = { "lv_tee_readers", "Readers that are there.", METRICS_GAUGE },
	[TEE_FRAMES] = { "lv_tee_dropped_frames_total", "Frames that slow readers did not get.", METRICS_COUNTER },
	[TEE_BYTES] = { "lv_tee_dropped_bytes_total", "Their size.", METRICS_COUNTER },
};

static const double dur_bounds[] = { 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15 };

struct stream {
	struct table_item item; /* first */
	char name[65], broadcast[32]; /* the one that started last */
	int64_t heard_ms, origin_ms; /* origin: of its broadcast, 0 while it is not known */
	double figures[FIGURES];
	bool known[FIGURES];
	int64_t playlist_ms;
};

struct tally {
	struct table streams;
	struct metrics_histogram durations;
	uint64_t events, faulty, uncounted, lost; /* lost: as events.dropped tells */
	uint64_t ended, recordings, unrecorded;   /* broadcasts; of lv-vod */
	int64_t recorded_ms;
};

/* ---- the fields of an event ---- */

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static double
number_of(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static void
set(struct stream *s, enum figure f, double value)
{
	s->figures[f] = value;
	s->known[f] = true;
}

static void
add(struct stream *s, enum figure f, double value)
{
	set(s, f, s->figures[f] + value);
}

/* ---- what events do ---- */

static void
on_measured(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)at_ms;
	set(s, SPEED, number_of(o, "speed"));
	add(s, FRAMES_IN, number_of(o, "frames_in"));
	add(s, FRAMES_OUT, number_of(o, "frames_out"));
	add(s, FRAMES_DROPPED, number_of(o, "frames_dropped"));
	add(s, LEVEL, 0);
	if (json_object_get(o, "lag_ms"))
		set(s, LAG, number_of(o, "lag_ms") / 1000);
}

static void
on_load(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)at_ms;
	set(s, LEVEL, number_of(o, "level"));
	set(s, LAG, number_of(o, "lag_ms") / 1000);
}

static void
on_segment(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	double dur_ms = number_of(o, "dur_ms"), end_ms = (double)s->origin_ms + number_of(o, "pts_ms") + dur_ms;

	add(s, SEGMENTS, 1);
	add(s, BYTES, number_of(o, "size_bytes"));
	add(s, GAPS, 0);
	add(s, ERRORS, 0);
	if (s->origin_ms)
		set(s, PUBLISH_LAG, ((double)at_ms - end_ms) / 1000);
	metrics_observe(&t->durations, dur_ms / 1000);
}

static void
on_gap(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)o;
	(void)at_ms;
	add(s, GAPS, 1);
}

static void
on_failure(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)o;
	(void)at_ms;
	add(s, ERRORS, 1);
}

static void
on_playlist(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	s->playlist_ms = json_is_true(json_object_get(o, "ended")) ? 0 : at_ms;
}

static void
on_reader(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	double change = !strcmp(text_of(o, "event"), "reader.attached") ? 1 : -1;

	(void)t;
	(void)at_ms;
	add(s, TEE_READERS, s->figures[TEE_READERS] + change < 0 ? 0 : change);
	add(s, TEE_FRAMES, 0);
	add(s, TEE_BYTES, 0);
}

static void
on_dropped(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)at_ms;
	if (strcmp(text_of(o, "src"), "lv-tee"))
		return;
	add(s, TEE_FRAMES, number_of(o, "frames"));
	add(s, TEE_BYTES, number_of(o, "size_bytes"));
}

static void
on_started(struct tally *t, struct stream *s, const json_t *o, int64_t at_ms)
{
	(void)t;
	(void)at_ms;
	s->origin_ms = (int64_t)number_of(o, "origin_ms");
	snprintf(s->broadcast, sizeof(s->broadcast), "%s", text_of(o, "broadcast"));
}

static const struct {
	const char *event;
	void (*take)(struct tally *, struct stream *, const json_t *, int64_t at_ms);
} takes[] = { { "transcode.measured", on_measured }, { "load.shed", on_load }, { "load.eased", on_load },
	{ "segment.written", on_segment }, { "segment.missing", on_gap }, { "write.failed", on_failure },
	{ "disk.full", on_failure }, { "playlist.written", on_playlist }, { "reader.attached", on_reader },
	{ "reader.detached", on_reader }, { "media.dropped", on_dropped }, { "publish.started", on_started },
	{ "broadcast.started", on_started } };

/* ---- the streams ---- */

static struct stream *
stream_of(struct tally *t, const char *name)
{
	struct stream *s = table_find(&t->streams, name);

	if (s || t->streams.count == TALLY_STREAMS || !(s = calloc(1, sizeof(*s))))
		return s;
	memcpy(s->name, name, strlen(name) + 1);
	if (table_add(&t->streams, &s->item, s->name) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void
forget(struct tally *t, struct stream *s)
{
	table_drop(&t->streams, &s->item);
	free(s);
}

/* One that gave way to another broadcast of its stream ends after that began. */
static void
end_broadcast(struct tally *t, const json_t *o)
{
	struct stream *s = table_find(&t->streams, text_of(o, "stream"));

	t->ended++;
	if (s && (!*s->broadcast || !strcmp(s->broadcast, text_of(o, "broadcast"))))
		forget(t, s);
}

/* Events of the whole, or of a recording.  True: that was all. */
static bool
take_whole(struct tally *t, const char *event, const json_t *o, int64_t at_ms)
{
	if (!strcmp(event, "events.dropped")) {
		t->lost += (uint64_t)json_integer_value(json_object_get(o, "count"));
	} else if (!strcmp(event, "broadcast.ended")) {
		end_broadcast(t, o);
	} else if (!strcmp(event, "vod.ready")) {
		t->recordings++;
		t->recorded_ms = at_ms;
	} else if (!strcmp(event, "vod.failed")) {
		t->unrecorded++;
	} else {
		return !strcmp(text_of(o, "src"), "lv-vod"); /* of a stream, but not as it airs */
	}
	return true;
}

static void
take(struct tally *t, const json_t *o, int64_t at_ms)
{
	const char *event = text_of(o, "event"), *name = text_of(o, "stream");
	struct stream *s;
	size_t i;

	if (take_whole(t, event, o, at_ms))
		return;
	for (i = 0; i < sizeof(takes) / sizeof(*takes); i++)
		if (!strcmp(event, takes[i].event))
			break;
	if (i == sizeof(takes) / sizeof(*takes))
		return;
	if (!*name)
		name = "unnamed"; /* a command run by hand */
	if (!keys_stream_good(name) || !(s = stream_of(t, name))) {
		t->uncounted++;
		return;
	}
	s->heard_ms = at_ms;
	takes[i].take(t, s, o, at_ms);
}

void
tally_line(struct tally *t, const char *line, size_t n, int64_t now_ms)
{
	json_t *o = json_loadb(line, n, 0, NULL);
	int64_t at_ms = keys_date(text_of(o, "ts"));

	if (!*text_of(o, "event")) {
		t->faulty++;
	} else {
		t->events++;
		take(t, o, at_ms < 0 || at_ms > now_ms ? now_ms : at_ms);
	}
	json_decref(o);
}

/* ---- what is told ---- */

static void
fill_streams(struct tally *t, struct metrics *m, int64_t now_ms)
{
	struct stream *s, *next;
	int f;

	for (s = table_next(&t->streams, NULL); s; s = next) {
		next = table_next(&t->streams, s);
		if (now_ms - s->heard_ms > TALLY_SILENT_MS)
			forget(t, s);
		else if (s->playlist_ms)
			set(s, PLAYLIST_AGE, (double)(now_ms - s->playlist_ms) / 1000);
	}
	for (f = 0; f < FIGURES; f++) {
		metrics_family(m, families[f].name, families[f].type, families[f].help);
		for (s = table_next(&t->streams, NULL); s; s = table_next(&t->streams, s))
			if (s->known[f])
				metrics_sample(m, s->figures[f], "stream", s->name, NULL);
	}
}

void
tally_fill(struct tally *t, struct metrics *m, int64_t now_ms)
{
	fill_streams(t, m, now_ms);
	metrics_family(m, "lv_segment_duration_seconds", METRICS_HISTOGRAM, "How long segments play.");
	metrics_histogram(m, &t->durations, NULL);
	metrics_counter(m, "lv_broadcasts_ended_total", (double)t->ended, "Broadcasts that are over.");
	metrics_counter(m, "lv_vod_recordings_total", (double)t->recordings, "Recordings that lv-vod made.");
	metrics_counter(m, "lv_vod_failures_total", (double)t->unrecorded, "Recordings that lv-vod could not make.");
	if (t->recorded_ms)
		metrics_gauge(m, "lv_vod_last_success_timestamp_seconds", (double)t->recorded_ms / 1000,
			"When it made the last one, as Unix time.");
	metrics_counter(m, "lv_events_total", (double)t->events, "Events that were read.");
	metrics_counter(m, "lv_events_faulty_total", (double)t->faulty, "Lines that are no event.");
	metrics_counter(m, "lv_events_uncounted_total", (double)t->uncounted, "Events of more streams than are counted.");
	metrics_counter(m, "lv_events_dropped_total", (double)t->lost, "Events that a reader was too slow for.");
}

int
tally_new(struct tally **out)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->durations = (struct metrics_histogram){ .bounds = dur_bounds, .n = sizeof(dur_bounds) / sizeof(*dur_bounds) };
	*out = t;
	return 0;
}

void
tally_free(struct tally **tp)
{
	if (!*tp)
		return;
	table_empty(&(*tp)->streams, free);
	free(*tp);
	*tp = NULL;
}
