/* What has come of the puts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "push_parts.h"
#include "web.h"

#define LIVE "live/"

static const double put_bounds[] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 };
static const double lag_bounds[] = { 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 300 };

void
push_puts_new(struct push_puts *f)
{
	f->put = (struct metrics_histogram){ .bounds = put_bounds, .n = sizeof(put_bounds) / sizeof(*put_bounds) };
	f->lag = (struct metrics_histogram){ .bounds = lag_bounds, .n = sizeof(lag_bounds) / sizeof(*lag_bounds) };
}

void
push_puts_free(struct push_puts *f)
{
	free(f->streams);
}

void
push_puts_answered(struct push_puts *f, const struct s3_result *r, int64_t sent_ms)
{
	static const char *const words[] = { [S3_OK] = "stored", [S3_AGAIN] = "again", [S3_NEVER] = "failed",
		[S3_MISSING] = "missing", [S3_AWAY] = "away", [S3_CONFIG] = "refused" };
	char code[16];

	metrics_count(&f->outcomes, words[r->fault.verdict], 1);
	metrics_observe(&f->put, (double)(clock_mono_ms() - sent_ms) / 1000);
	if (r->fault.verdict == S3_OK)
		return;
	snprintf(code, sizeof(code), "%d", r->fault.status);
	metrics_count(&f->codes, *r->fault.code ? r->fault.code : code, 1);
}

/* The entry of a stream, new where it has none; one that was told for long enough gives its place. */
static struct push_stream *
stream_of(struct push_puts *f, const char *name, size_t n, int64_t now)
{
	struct push_stream *s, *old = NULL, *more;

	for (s = f->streams; s < f->streams + f->nstreams; s++) {
		if (strlen(s->name) == n && !memcmp(s->name, name, n))
			return s;
		if (!old && now - s->at_ms > PUSH_STREAM_MS)
			old = s;
	}
	if (!old && f->nstreams < PUSH_STREAMS &&
		(more = realloc(f->streams, (f->nstreams + 1) * sizeof(*more)))) {
		f->streams = more;
		old = &more[f->nstreams++];
	}
	if (old)
		snprintf(old->name, sizeof(old->name), "%.*s", (int)n, name);
	return old;
}

void
push_puts_stored(struct push_puts *f, const char *path, int64_t lag_ms)
{
	int64_t now = clock_mono_ms();
	struct push_stream *s;
	size_t n;

	metrics_observe(&f->lag, (double)lag_ms / 1000);
	if (strncmp(path, LIVE, strlen(LIVE)))
		return;
	path += strlen(LIVE);
	n = strcspn(path, "/");
	if (path[n] && web_stream_name(path, n) && (s = stream_of(f, path, n, now))) {
		s->at_ms = now;
		s->lag_ms = lag_ms;
	}
}
