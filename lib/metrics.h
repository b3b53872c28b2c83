/*
 * metrics writes figures as Prometheus reads them, in its text form.  No I/O, no registry: whoever has
 * the figures says them each time they are asked for.
 *
 * Shape:  a zeroed struct metrics with out.max set; metrics_family, then its samples, family for family;
 *         out holds the text.  Labels are pairs of name and value, ended by NULL.
 * Units:  base units, in the name: seconds, bytes; what only rises ends in _total.
 * Errors: the first one stays in out.error (-EMSGSIZE over out.max), so callers look once.
 * Text:   label values are escaped, and what is not UTF-8 in them becomes U+FFFD.
 * Limits: METRICS_LABELS values of a counted label; the rest is counted as "other".
 * Spec:   Prometheus text exposition format 0.0.4.
 */
#ifndef LV_METRICS_H
#define LV_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define METRICS_BYTES (32 << 20) /* a good bound for out.max */
#define METRICS_BUCKETS 14
#define METRICS_LABELS 32
#define METRICS_LABEL 64 /* bytes of a counted label's value, with its NUL */

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics {
	struct buf out;
	const char *name; /* of the family */
};

void metrics_family(struct metrics *, const char *name, enum metrics_type, const char *help);
void metrics_sample(struct metrics *, double value, ...) __attribute__((sentinel));
/* A family of one sample without labels. */
void metrics_gauge(struct metrics *, const char *name, double value, const char *help);
void metrics_counter(struct metrics *, const char *name, double value, const char *help);

/* How often something took how long: zeroed but for bounds, which rise and are at most METRICS_BUCKETS. */
struct metrics_histogram {
	const double *bounds;
	size_t n;
	uint64_t counts[METRICS_BUCKETS + 1];
	double sum;
};
void metrics_observe(struct metrics_histogram *, double value);
void metrics_histogram(struct metrics *, const struct metrics_histogram *, ...) __attribute__((sentinel));

/* A count for each value of a label that is not known beforehand: zeroed is empty. */
struct metrics_counts {
	struct {
		char label[METRICS_LABEL];
		uint64_t n;
	} all[METRICS_LABELS];
};
void metrics_count(struct metrics_counts *, const char *label, uint64_t more);
void metrics_counted(struct metrics *, const struct metrics_counts *, const char *label_name, ...)
	__attribute__((sentinel)); /* and labels that are the same for all */

#endif
