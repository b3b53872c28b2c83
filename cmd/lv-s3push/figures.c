#include "figures.h"

#include "clock.h"

enum field { FILES, BYTES, AGE, UP, KNOWN, FAILED, STORED };

static double
value(const struct push_figures *f, enum field field)
{
	switch (field) {
	case FILES: return (double)f->backlog_files;
	case BYTES: return (double)f->backlog_bytes;
	case AGE: return (double)f->backlog_age_ms / 1000;
	case UP: return !f->away;
	case KNOWN: return (double)f->known_files;
	case FAILED: return (double)f->failed_files;
	default: return (double)f->pushed_bytes;
	}
}

static const struct {
	const char *name, *help;
	enum metrics_type type;
	enum field field;
} families[] = {
	{ "lv_s3_backlog_files", "Files that are not in the bucket yet.", METRICS_GAUGE, FILES },
	{ "lv_s3_backlog_bytes", "Their size.", METRICS_GAUGE, BYTES },
	{ "lv_s3_backlog_age_seconds", "The age of the oldest of them.", METRICS_GAUGE, AGE },
	{ "lv_s3_up", "0 while nothing can be stored.", METRICS_GAUGE, UP },
	{ "lv_s3_files_known", "Files of the tree and of the bucket.", METRICS_GAUGE, KNOWN },
	{ "lv_s3_files_failed_total", "Files that can never be stored as they are.", METRICS_COUNTER, FAILED },
	{ "lv_s3_stored_bytes_total", "What was stored.", METRICS_COUNTER, STORED },
};

static void
tell_streams(struct metrics *m, struct target *t)
{
	const struct push_puts *p = push_puts(target_push(t));
	int64_t now = clock_mono_ms();
	const struct push_stream *s;

	for (s = p->streams; s < p->streams + p->nstreams; s++)
		if (now - s->at_ms <= PUSH_STREAM_MS)
			metrics_sample(m, (double)s->lag_ms / 1000, "dest", target_name(t), "stream", s->name, NULL);
}

static void
tell_puts(struct metrics *m, struct target *const *all, size_t n)
{
	size_t i;

	metrics_family(m, "lv_s3_puts_total", METRICS_COUNTER, "Requests that store a file, by outcome.");
	for (i = 0; i < n; i++)
		metrics_counted(m, &push_puts(target_push(all[i]))->outcomes, "outcome", "dest", target_name(all[i]), NULL);
	metrics_family(m, "lv_s3_errors_total", METRICS_COUNTER, "Those that did not, by the answer's code or status.");
	for (i = 0; i < n; i++)
		metrics_counted(m, &push_puts(target_push(all[i]))->codes, "code", "dest", target_name(all[i]), NULL);
	metrics_family(m, "lv_s3_put_seconds", METRICS_HISTOGRAM, "How long such a request takes.");
	for (i = 0; i < n; i++)
		metrics_histogram(m, &push_puts(target_push(all[i]))->put, "dest", target_name(all[i]), NULL);
	metrics_family(m, "lv_s3_lag_seconds", METRICS_HISTOGRAM, "From a file that is whole here to its being stored.");
	for (i = 0; i < n; i++)
		metrics_histogram(m, &push_puts(target_push(all[i]))->lag, "dest", target_name(all[i]), NULL);
	metrics_family(m, "lv_s3_stream_lag_seconds", METRICS_GAUGE, "The same, of the newest file of a stream.");
	for (i = 0; i < n; i++)
		tell_streams(m, all[i]);
}

void
figures_fill(struct metrics *m, struct target *const *all, size_t n)
{
	struct push_figures figures[TARGETS];
	size_t i, k;

	for (i = 0; i < n; i++)
		push_measure(target_push(all[i]), &figures[i]);
	for (k = 0; k < sizeof(families) / sizeof(*families); k++) {
		metrics_family(m, families[k].name, families[k].type, families[k].help);
		for (i = 0; i < n; i++)
			metrics_sample(m, value(&figures[i], families[k].field), "dest", target_name(all[i]), NULL);
	}
	tell_puts(m, all, n);
}
