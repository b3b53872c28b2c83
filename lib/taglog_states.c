/* Taglog: the headers and marks that a late reader begins with. */
#include "taglog_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
states_clear(struct states *s)
{
	while (s->count)
		if (!--s->state[--s->count]->refs)
			free(s->state[s->count]);
}

void
states_copy(struct states *to, const struct states *from)
{
	int i;

	states_clear(to);
	for (i = 0; i < from->count; i++) {
		to->state[i] = from->state[i];
		to->state[i]->refs++;
	}
	to->count = from->count;
}

static void
states_remove(struct states *s, int i)
{
	if (!--s->state[i]->refs)
		free(s->state[i]);
	s->count--;
	memmove(s->state + i, s->state + i + 1, (size_t)(s->count - i) * sizeof(*s->state));
}

int
states_set(struct taglog *t, uint32_t what, uint32_t tracks, const uint8_t *raw, size_t len)
{
	struct states *s = &t->now;
	struct state *n;
	int i;

	for (i = s->count - 1; i >= 0; i--) {
		struct state *old = s->state[i];

		if (old->what != what || (old->tracks & ~tracks))
			continue;
		if (old->len == len && old->tracks == tracks &&
			!memcmp(old->data + TAG_HEADER, raw + TAG_HEADER, len - TAG_HEADER)) {
			return 0; /* said again, as before each key frame: nothing new */
		}
		states_remove(s, i);
	}
	if (s->count == TAGLOG_STATES)
		states_remove(s, 0);
	if (!(n = malloc(sizeof(*n) + len)))
		return -ENOMEM;
	n->refs = 1;
	n->what = what;
	n->tracks = tracks;
	n->len = len;
	memcpy(n->data, raw, len);
	for (i = s->count; i && s->state[i - 1]->what > what; i--) /* session, metadata, headers */
		s->state[i] = s->state[i - 1];
	s->state[i] = n;
	s->count++;
	t->changed = true;
	return 0;
}

void
states_put(const struct states *s, int64_t dts, struct buf *out)
{
	int i;

	for (i = 0; i < s->count; i++) {
		struct state *k = s->state[i];
		size_t at = buf_len(out);
		uint8_t *p;

		if (buf_append(out, k->data, k->len) < 0)
			return;
		p = buf_data(out) + at;
		put_be24(p + 4, (uint32_t)dts & 0xffffff);
		p[7] = (uint8_t)((uint32_t)dts >> 24);
	}
}
