#include "metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define EXACT 9007199254740992.0 /* 2^53: whole numbers below it are exact */

static void
put(struct metrics *m, const char *s)
{
	buf_append(&m->out, s, strlen(s));
}

/* Whatever is special is escaped; quotes only in a label's value.  Most text has nothing of it. */
static void
put_escaped(struct metrics *m, const char *s, bool quotes)
{
	const char *end = s + strlen(s), *plain = s;
	uint32_t code;
	size_t len;

	while (s < end) {
		len = text_char(s, (size_t)(end - s), &code);
		if (len && *s != '\n' && *s != '\\' && !(quotes && *s == '"')) {
			s += len;
			continue;
		}
		buf_append(&m->out, plain, (size_t)(s - plain));
		put(m, !len ? "\xef\xbf\xbd" : *s == '\n' ? "\\n" : *s == '"' ? "\\\"" : "\\\\");
		plain = ++s;
	}
	buf_append(&m->out, plain, (size_t)(end - plain));
}

static void
put_number(struct metrics *m, double v)
{
	char text[32];

	if (isnan(v))
		put(m, "NaN");
	else if (isinf(v))
		put(m, v < 0 ? "-Inf" : "+Inf");
	else {
		snprintf(text, sizeof(text), fabs(v) < EXACT && v == (double)(int64_t)v ? "%.0f" : "%.15g", v);
		put(m, text);
	}
}

static void
put_label(struct metrics *m, const char *name, const char *value, bool first)
{
	put(m, first ? "{" : ",");
	put(m, name);
	put(m, "=\"");
	put_escaped(m, value, true);
	put(m, "\"");
}

/* name suffix {labels, and one of our own} value */
static void
put_sample(struct metrics *m, const char *suffix, double value, va_list labels, const char *own,
	const char *own_value)
{
	const char *name;
	bool first = true;

	put(m, m->name);
	put(m, suffix);
	for (; (name = va_arg(labels, const char *)); first = false)
		put_label(m, name, va_arg(labels, const char *), first);
	if (own) {
		put_label(m, own, own_value, first);
		first = false;
	}
	put(m, first ? " " : "} ");
	put_number(m, value);
	put(m, "\n");
}

void
metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	m->name = name;
	buf_printf(&m->out, "# HELP %s ", name);
	put_escaped(m, help, false);
	buf_printf(&m->out, "\n# TYPE %s %s\n", name, types[type]);
}

void
metrics_sample(struct metrics *m, double value, ...)
{
	va_list labels;

	va_start(labels, value);
	put_sample(m, "", value, labels, NULL, NULL);
	va_end(labels);
}

void
metrics_gauge(struct metrics *m, const char *name, double value, const char *help)
{
	metrics_family(m, name, METRICS_GAUGE, help);
	metrics_sample(m, value, NULL);
}

void
metrics_counter(struct metrics *m, const char *name, double value, const char *help)
{
	metrics_family(m, name, METRICS_COUNTER, help);
	metrics_sample(m, value, NULL);
}

void
metrics_observe(struct metrics_histogram *h, double value)
{
	size_t i = 0;

	while (i < h->n && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->sum += value;
}

void
metrics_histogram(struct metrics *m, const struct metrics_histogram *h, ...)
{
	uint64_t below = 0;
	va_list labels, again;
	char bound[32];
	size_t i;

	va_start(labels, h);
	for (i = 0; i <= h->n; i++) {
		below += h->counts[i];
		if (i < h->n)
			snprintf(bound, sizeof(bound), "%.15g", h->bounds[i]);
		va_copy(again, labels);
		put_sample(m, "_bucket", (double)below, again, "le", i < h->n ? bound : "+Inf");
		va_end(again);
	}
	va_copy(again, labels);
	put_sample(m, "_sum", h->sum, again, NULL, NULL);
	va_end(again);
	put_sample(m, "_count", (double)below, labels, NULL, NULL);
	va_end(labels);
}

void
metrics_count(struct metrics_counts *c, const char *label, uint64_t more)
{
	char text[METRICS_LABEL];
	size_t i = 0;

	if (!*label)
		label = "none";
	snprintf(text, sizeof(text), "%.*s", (int)text_cut(label, strlen(label), sizeof(text) - 1), label);
	while (i < METRICS_LABELS - 1 && *c->all[i].label && strcmp(c->all[i].label, text))
		i++;
	if (!*c->all[i].label) /* the last one is everybody else's */
		snprintf(c->all[i].label, sizeof(c->all[i].label), "%s", i < METRICS_LABELS - 1 ? text : "other");
	c->all[i].n += more;
}

void
metrics_counted(struct metrics *m, const struct metrics_counts *c, const char *label_name, ...)
{
	va_list labels, again;
	size_t i;

	va_start(labels, label_name);
	for (i = 0; i < METRICS_LABELS && *c->all[i].label; i++) {
		va_copy(again, labels);
		put_sample(m, "", (double)c->all[i].n, again, label_name, c->all[i].label);
		va_end(again);
	}
	va_end(labels);
}
