#include "board.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metricsread.h"

/* How figures of several commands, or of several series, become one. */
enum join { ADD, MOST };

static const struct {
	const char *name;
	enum board_figure figure;
	enum join join;
} series[] = {
	{ "lv_stream_live", BOARD_LIVE, MOST },
	{ "lv_stream_start_time_seconds", BOARD_START_S, MOST },
	{ "lv_stream_reconnects_total", BOARD_RECONNECTS, MOST },
	{ "lv_ingest_bytes_per_second", BOARD_BPS, ADD },
	{ "lv_ingest_frames_per_second", BOARD_FPS, ADD },
	{ "lv_ingest_keyframe_interval_seconds", BOARD_KEYS_S, MOST },
	{ "lv_ingest_clock_drift_seconds", BOARD_DRIFT_S, MOST },
	{ "lv_viewers", BOARD_VIEWERS, ADD },
	{ "lv_chat_viewers", BOARD_CHAT, MOST }, /* each box knows of all */
	{ "lv_transcode_speed_ratio", BOARD_SPEED, MOST },
	{ "lv_transcode_shed_level", BOARD_LEVEL, MOST },
	{ "lv_transcode_lag_seconds", BOARD_LAG_S, MOST },
	{ "lv_segment_publish_lag_seconds", BOARD_PUBLISH_LAG_S, MOST },
	{ "lv_playlist_age_seconds", BOARD_PLAYLIST_AGE_S, MOST },
	{ "lv_s3_stream_lag_seconds", BOARD_S3_LAG_S, MOST },
};

static int
compare_rows(const void *a, const void *b)
{
	return strcmp((*(struct board_row *const *)a)->stream, (*(struct board_row *const *)b)->stream);
}

static struct board_row *
row_of(struct board *b, const char *stream)
{
	struct board_row *r = table_find(&b->streams, stream);
	int f;

	if (r || b->streams.count == BOARD_STREAMS || !(r = calloc(1, sizeof(*r))))
		return r;
	snprintf(r->stream, sizeof(r->stream), "%s", stream);
	for (f = 0; f < BOARD_FIGURES; f++)
		r->figures[f] = (double)NAN;
	if (table_add(&b->streams, &r->item, r->stream) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

static void
join_in(double *figure, double value, enum join how)
{
	if (isnan(*figure) || (how == MOST && value > *figure))
		*figure = value;
	else if (how == ADD)
		*figure += value;
}

static void
take_problem(struct board_row *r, const struct metricsread_line *l)
{
	size_t n = strlen(r->problems);
	char name[40];

	if (l->value > 0 && metricsread_label(l, "problem", name, sizeof(name)))
		snprintf(r->problems + n, sizeof(r->problems) - n, "%s%s", n ? "," : "", name);
}

static void
take_stream(struct board *b, const struct metricsread_line *l, const char *stream)
{
	struct board_row *r;
	size_t i = 0;

	while (i < sizeof(series) / sizeof(*series) && strcmp(l->name, series[i].name))
		i++;
	if (i < sizeof(series) / sizeof(*series)) {
		if ((r = row_of(b, stream)))
			join_in(&r->figures[series[i].figure], l->value, series[i].join);
	} else if (!strcmp(l->name, "lv_ingest_problem") && (r = row_of(b, stream))) {
		take_problem(r, l);
	}
}

static void
take_whole(struct board *b, struct board_unit *u, const struct metricsread_line *l)
{
	if (!strcmp(l->name, "lv_build_info")) {
		(void)metricsread_label(l, "command", u->command, sizeof(u->command));
		(void)metricsread_label(l, "version", u->version, sizeof(u->version));
	} else if (!strcmp(l->name, "process_start_time_seconds")) {
		u->start_s = l->value;
	} else if (!strcmp(l->name, "process_resident_memory_bytes")) {
		u->memory_bytes = l->value;
	} else if (!strcmp(l->name, "process_cpu_seconds_total")) {
		u->cpu_s = l->value;
	} else if (!strcmp(l->name, "lv_ingest_publishers")) {
		b->publishers += l->value;
	} else if (!strcmp(l->name, "lv_http_connections")) {
		b->connections += l->value;
	} else if (!strcmp(l->name, "lv_chat_connections")) {
		b->chat += l->value;
	}
}

void
board_clear(struct board *b)
{
	board_free(b);
	b->nunits = 0;
	b->publishers = b->connections = b->chat = 0;
}

void
board_take(struct board *b, const char *unit, bool up, const char *text, size_t n)
{
	struct metricsread_line l;
	struct metricsread r;
	char stream[65];
	struct board_unit own, *u = unit && b->nunits < SOURCES_MAX ? &b->units[b->nunits++] : &own;

	*u = (struct board_unit){ .up = up };
	snprintf(u->unit, sizeof(u->unit), "%s", unit ? unit : "");
	metricsread_begin(&r, text, n);
	while (metricsread_next(&r, &l) > 0) {
		if (l.kind != METRICSREAD_SAMPLE)
			continue;
		if (metricsread_label(&l, "stream", stream, sizeof(stream)))
			take_stream(b, &l, stream);
		else
			take_whole(b, u, &l);
	}
}

int
board_sort(struct board *b)
{
	struct board_row *r = NULL;

	if (!(b->rows = calloc(b->streams.count + 1, sizeof(struct board_row *))))
		return -ENOMEM;
	while ((r = table_next(&b->streams, r)))
		b->rows[b->nrows++] = r;
	qsort(b->rows, b->nrows, sizeof(struct board_row *), compare_rows);
	return 0;
}

void
board_free(struct board *b)
{
	table_empty(&b->streams, free);
	free(b->rows);
	b->rows = NULL;
	b->nrows = 0;
}
