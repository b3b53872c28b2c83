#include "chapters.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "text.h"

#define LINE_BYTES_MAX 65536
#define TIME_MAX_S 1e7

static int
add_line(struct chapters *c, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, 0, NULL), *t = json_object_get(o, "t");
	const char *title = json_string_value(json_object_get(o, "title")), *ts;
	struct chapter *to = &c->chapter[c->count];
	int r = json_is_object(o) ? 0 : -EBADMSG;

	if (r || !title || !*title)
		goto out;
	r = c->count == CHAPTERS_MAX ? -EMSGSIZE : 0;
	if (r)
		goto out;
	memset(to, 0, sizeof(*to));
	to->placed = json_is_number(t);
	to->at_s = json_number_value(t);
	ts = json_string_value(json_object_get(o, "ts"));
	to->wall_ms = ts ? keys_date(ts) : -1;
	if (to->placed ? to->at_s < 0 || to->at_s > TIME_MAX_S : to->wall_ms < 0)
		r = -EBADMSG;
	n = text_cut(title, strlen(title), CHAPTER_TITLE_MAX);
	memcpy(to->title, title, n);
	to->title[n] = '\0';
	if (!r)
		c->count++;
out:
	json_decref(o);
	return r;
}

int
chapters_read(struct chapters *c, const char *path, int *line)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	*line = 0;
	if (!f)
		return -errno;
	while (!r && (n = getline(&text, &room, f)) > 0) {
		++*line;
		if (n > LINE_BYTES_MAX)
			r = -EBADMSG;
		else if (*text != '\n')
			r = add_line(c, text, (size_t)n);
	}
	if (!r && ferror(f))
		r = -EIO;
	free(text);
	if (f != stdin)
		fclose(f);
	return r;
}

void
chapters_segment(struct chapters *c, const struct segment *s, double at_s)
{
	int64_t end_ms = s->wall_ms + s->dur_us / 1000;
	int i;

	if (c->automatic && s->begins && c->count < CHAPTERS_MAX) {
		struct chapter *to = &c->chapter[c->count++];

		to->placed = true;
		to->at_s = at_s;
		snprintf(to->title, sizeof(to->title), "Part %d", c->count);
	}
	if (!s->wall_ms)
		return;
	/* What was in a hole, or before all, is when it goes on. */
	for (i = 0; i < c->count; i++) {
		struct chapter *k = &c->chapter[i];

		if (k->placed || k->wall_ms >= end_ms)
			continue;
		k->placed = true;
		k->at_s = at_s + (k->wall_ms > s->wall_ms ? (double)(k->wall_ms - s->wall_ms) / 1000 : 0);
	}
}

static int
by_time(const void *a, const void *b)
{
	const struct chapter *x = a, *y = b;

	return x->at_s < y->at_s ? -1 : x->at_s > y->at_s;
}

int
chapters_write(struct chapters *c, struct mp4_writer *w, double from_s, double length_s)
{
	int i, n = 0;

	for (i = 0; i < c->count; i++)
		if (c->chapter[i].placed)
			c->chapter[n++] = c->chapter[i];
	if (n == 1 && c->automatic)
		return 0; /* all is one part */
	qsort(c->chapter, (size_t)n, sizeof(*c->chapter), by_time);
	c->count = 0;
	for (i = 0; i < n; i++) {
		double at = c->chapter[i].at_s - from_s;

		/* The part begins in the last chapter that began before it. */
		if (at >= length_s || (at < 0 && i + 1 < n && c->chapter[i + 1].at_s <= from_s))
			continue;
		mp4_writer_chapter(w, at > 0 ? at : 0, c->chapter[i].title);
		c->count++;
	}
	return c->count;
}
