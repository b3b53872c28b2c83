#include "taglog_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 9
#define ROOM_MIN (64 << 10)  /* less than this at a block's end is not read into */
#define SPARE_MAX 8          /* blocks kept for the next time */

int
taglog_new(struct taglog **out, size_t group_max)
{
	struct taglog *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->group_max = group_max;
	t->block_size = TAGLOG_BLOCK;
	t->spare_max = SPARE_MAX;
	*out = t;
	return 0;
}

void
taglog_small(struct taglog *t, struct taglog_store store)
{
	t->block_size = TAGLOG_SMALL;
	t->spare_max = 1;
	t->store = store;
}

static void
block_release(struct taglog *t, struct block *b)
{
	if (!b || --b->refs)
		return;
	if (b->cap == t->block_size && t->nspare < t->spare_max) {
		b->next = t->spare;
		t->spare = b;
		t->nspare++;
		return;
	}
	free(b);
}

static struct block *
block_take(struct taglog *t, size_t cap)
{
	struct block *b = t->spare;

	if (b && cap <= t->block_size) {
		t->spare = b->next;
		t->nspare--;
	} else {
		cap = cap > t->block_size ? cap : t->block_size;
		if (!(b = malloc(sizeof(*b) + cap)))
			return NULL;
		b->cap = cap;
	}
	b->refs = 1;
	return b;
}

/* Room for want more bytes behind the unfinished tag, which moves to a new block if it must. */
static uint8_t *
room(struct taglog *t, size_t want)
{
	size_t rest = t->fill - t->parsed;
	struct block *b = t->block;

	if (b && b->refs == 1 && t->parsed) { /* nobody needs what was in it */
		memmove(b->data, b->data + t->parsed, rest);
		t->fill = rest;
		t->parsed = 0;
	}
	if (b && b->cap - t->fill >= want)
		return b->data + t->fill;
	if (!(b = block_take(t, rest + want)))
		return NULL;
	if (rest)
		memcpy(b->data, t->block->data + t->parsed, rest);
	block_release(t, t->block);
	t->block = b;
	t->fill = rest;
	t->parsed = 0;
	return b->data + rest;
}

uint8_t *
taglog_room(struct taglog *t, size_t *n)
{
	uint8_t *p;
	size_t want = ROOM_MIN, rest = t->fill - t->parsed, size;

	/* A big tag gets a block that holds it whole, so that its bytes move once at most. */
	if (t->began && rest >= TAG_HEADER) {
		size = TAG_HEADER + get_be24(t->block->data + t->parsed + 1) + 4;
		if (size <= TAG_HEADER + TAGLOG_TAG_MAX + 4 && size > rest && size - rest > want)
			want = size - rest;
	}
	if ((p = room(t, want)))
		*n = t->block->cap - t->fill;
	return p;
}

void
taglog_filled(struct taglog *t, size_t n)
{
	t->fill += n;
}

size_t
taglog_pending(const struct taglog *t)
{
	return t->fill - t->parsed;
}

static uint64_t
pos_of(const struct taglog *t, uint64_t i)
{
	return i < t->end ? rec_at(t, i)->pos : t->pos;
}

static int
recs_grow(struct taglog *t)
{
	size_t cap = t->cap ? t->cap * 2 : 256;
	struct rec *recs = malloc(cap * sizeof(*recs));
	uint64_t i;

	if (!recs)
		return -ENOMEM;
	for (i = t->base; i < t->end; i++)
		recs[i & (cap - 1)] = *rec_at(t, i);
	free(t->recs);
	t->recs = recs;
	t->cap = cap;
	return 0;
}

static int
fail(struct taglog *t, int error)
{
	return t->error = error;
}

static int
begin(struct taglog *t)
{
	const uint8_t *p = t->block ? t->block->data + t->parsed : NULL;
	size_t n = t->fill - t->parsed, header;

	if (n && memcmp(p, "FLV\1", n < 4 ? n : 4))
		return fail(t, -EBADMSG);
	if (n < HEADER)
		return 0;
	header = get_be32(p + 5);
	if (header < HEADER || header > 64)
		return fail(t, -EBADMSG);
	if (n < header + 4)
		return 0;
	t->parsed += header + 4;
	t->began = true;
	return 1;
}

int
taglog_next(struct taglog *t, struct flv_tag *tag, int64_t now)
{
	const uint8_t *p;
	struct rec *r;
	size_t n, size;
	uint32_t ts, prev;
	int e;

	if (t->error)
		return t->error;
	if (!t->began && (e = begin(t)) <= 0)
		return e;
	for (;;) {
		n = t->fill - t->parsed;
		if (n < TAG_HEADER)
			return 0;
		p = t->block->data + t->parsed;
		size = get_be24(p + 1);
		if (p[0] & 0xe0)
			return fail(t, -EBADMSG);
		if (size > TAGLOG_TAG_MAX)
			return fail(t, -EMSGSIZE);
		if (n < TAG_HEADER + size + 4)
			return 0;
		prev = get_be32(p + TAG_HEADER + size);
		if (prev != TAG_HEADER + size && prev != 0)
			return fail(t, -EBADMSG);
		if (p[0] == FLV_AUDIO || p[0] == FLV_VIDEO || p[0] == FLV_SCRIPT)
			break;
		t->parsed += TAG_HEADER + size + 4;
	}
	if (t->end - t->base == t->cap && recs_grow(t) < 0)
		return fail(t, -ENOMEM);
	ts = get_be24(p + 4) | (uint32_t)p[7] << 24;
	t->last = t->timed ? t->last + (int32_t)(ts - (uint32_t)t->last) : (int32_t)ts;
	t->timed = true;
	*tag = (struct flv_tag){ p[0], t->last, p + TAG_HEADER, size };
	r = rec_at(t, t->end);
	*r = (struct rec){ .block = t->block, .off = t->parsed, .len = TAG_HEADER + size + 4,
		.pos = t->pos, .dts = t->last, .at = now };
	if ((e = taglog_judge(t, r, tag, p)) < 0)
		return fail(t, e);
	t->block->refs++;
	t->parsed += r->len;
	t->pos += r->len;
	t->end++;
	return 1;
}

int
taglog_put(struct taglog *t, const void *data, size_t n, int64_t now)
{
	struct flv_tag tag;
	uint8_t *p;
	int r;

	t->began = true;
	if (!(p = room(t, n)))
		return fail(t, -ENOMEM);
	memcpy(p, data, n);
	t->fill += n;
	do
		r = taglog_next(t, &tag, now);
	while (r > 0);
	return r;
}

int
taglog_put_tag(struct taglog *t, const struct flv_tag *tag, int64_t now)
{
	struct flv_tag same;
	struct buf b = { .cap = TAG_HEADER + tag->size + 4 };

	if (tag->size > TAGLOG_TAG_MAX)
		return fail(t, -EMSGSIZE);
	t->began = true;
	if (!(b.bytes = room(t, b.cap)))
		return fail(t, -ENOMEM);
	flv_put_tag(&b, tag->type, tag->dts, tag->data, tag->size);
	t->fill += buf_len(&b);
	return taglog_next(t, &same, now);
}

size_t
taglog_held(const struct taglog *t)
{
	return t->base == t->end ? 0 : (size_t)(t->pos - rec_at(t, t->base)->pos);
}

/* The bytes of neighbours in one block are written together. */
static void
put_in_store(struct taglog *t, uint64_t to)
{
	uint64_t i = t->stored, first;

	while (i < to && t->store.write && rec_at(t, i)->block != t->block) {
		struct rec *r = rec_at(t, i), *next = r;
		size_t n = 0;

		for (first = i; i < to && next->block == r->block && next->off == r->off + n; next = rec_at(t, i)) {
			n += next->len;
			i++;
		}
		if (t->store.write(t->store.arg, r->pos, r->block->data + r->off, n) < 0) {
			t->store.write = NULL;
			return;
		}
		for (; first < i; first++) {
			block_release(t, rec_at(t, first)->block);
			rec_at(t, first)->block = NULL;
		}
		t->stored = i;
	}
}

void
taglog_trim(struct taglog *t)
{
	uint64_t need = t->end, taken;
	struct cursor *c;

	if (t->group_kept && t->group < t->end &&
		t->pos - rec_at(t, t->group)->pos > t->group_max) {
		t->group_kept = false;
	}
	for (c = t->cursors; c; c = c->next) {
		if (c->skip)
			cursor_follow(c);
		if (c->at < need)
			need = c->at;
	}
	taken = need;
	if (t->group_kept && t->group < need)
		need = t->group;
	if (t->base < need && t->store.forget)
		t->store.forget(t->store.arg, pos_of(t, need));
	for (; t->base < need; t->base++)
		block_release(t, rec_at(t, t->base)->block);
	if (t->stored < t->base)
		t->stored = t->base;
	if (t->stored < taken)
		put_in_store(t, taken);
}

void
taglog_free(struct taglog **out)
{
	struct taglog *t = *out;
	struct block *b;

	if (!t)
		return;
	while (t->cursors)
		cursor_detach(t->cursors);
	for (; t->base < t->end; t->base++)
		block_release(t, rec_at(t, t->base)->block);
	block_release(t, t->block);
	while ((b = t->spare)) {
		t->spare = b->next;
		free(b);
	}
	states_clear(&t->now);
	states_clear(&t->begun);
	free(t->recs);
	free(t);
	*out = NULL;
}

