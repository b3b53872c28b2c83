#include "merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "metricsread.h"

struct family {
	struct table_item item; /* first */
	char name[METRICSREAD_NAME];
	struct buf head, samples;
	bool typed;
	struct family *next;
};

static struct family *
family_of(struct merge *m, const char *name)
{
	struct family *f = table_find(&m->families, name);

	if (f || !(f = calloc(1, sizeof(*f))))
		return f;
	memcpy(f->name, name, strlen(name) + 1);
	if (table_add(&m->families, &f->item, f->name) < 0) {
		free(f);
		return NULL;
	}
	*(m->last ? &m->last->next : &m->first) = f;
	m->last = f;
	return f;
}

/* Of the family that was named last are its samples, whatever their suffix. */
static bool
belongs(const struct family *f, const char *sample)
{
	size_t n = f ? strlen(f->name) : 0;

	return f && !strncmp(sample, f->name, n) &&
		(!sample[n] || !strcmp(sample + n, "_bucket") || !strcmp(sample + n, "_sum") || !strcmp(sample + n, "_count"));
}

static void
take_head(struct family *f, const struct metricsread_line *l)
{
	bool type = l->kind == METRICSREAD_TYPE;

	if (f->typed) /* another command has said it */
		return;
	buf_printf(&f->head, "# %s %s %.*s\n", type ? "TYPE" : "HELP", l->name, (int)l->text_len, l->text);
}

/* What comes from another lv-stat has a unit already, in front: that is one of this one's. */
static void
take_sample(struct family *f, const char *unit, const struct metricsread_line *l)
{
	static const char inner[] = "unit=\"";
	bool nested = l->labels_len > strlen(inner) && !memcmp(l->labels, inner, strlen(inner));
	const char *labels = nested ? l->labels + strlen(inner) : l->labels;
	size_t n = l->labels_len - (size_t)(labels - l->labels);
	struct buf *b = &f->samples;

	buf_printf(b, "%s{%s%s%s%s", l->name, inner, unit, !nested ? "\"" : *unit ? "/" : "", !nested && n ? "," : "");
	buf_append(b, labels, n);
	buf_append(b, "} ", 2);
	buf_append(b, l->text, l->text_len);
	buf_append(b, "\n", 1);
}

int
merge_take(struct merge *m, const char *unit, const char *text, size_t n)
{
	struct metricsread_line l;
	struct family *f = NULL, *g;
	struct metricsread r;
	int got;

	metricsread_begin(&r, text, n);
	while ((got = metricsread_next(&r, &l)) > 0) {
		if (l.kind != METRICSREAD_SAMPLE || !belongs(f, l.name))
			if (!(f = family_of(m, l.name)))
				return -ENOMEM;
		if (l.kind == METRICSREAD_SAMPLE)
			take_sample(f, unit, &l);
		else
			take_head(f, &l);
	}
	for (g = m->first; g; g = g->next)
		g->typed = buf_len(&g->head) > 0;
	return got;
}

int
merge_text(const struct merge *m, struct buf *to)
{
	const struct family *f;

	for (f = m->first; f; f = f->next) {
		if (f->head.error || f->samples.error)
			return -ENOMEM;
		buf_append(to, buf_data(&f->head), buf_len(&f->head));
		buf_append(to, buf_data(&f->samples), buf_len(&f->samples));
	}
	return to->error;
}

void
merge_free(struct merge *m)
{
	struct family *f;

	for (f = m->first; f; f = f->next) {
		buf_free(&f->head);
		buf_free(&f->samples);
	}
	table_empty(&m->families, free);
	m->first = m->last = NULL;
}
