/* Taglog: one reader's place. */
#include "taglog_parts.h"

#include <string.h>

#define RUN_MAX (256 << 10)  /* bytes one peek gives: a pipe takes no more at once */

/* The bytes of a tag, wherever they are. */
static void
copy_rec(const struct taglog *t, const struct rec *r, size_t off, struct buf *to)
{
	uint8_t *p;

	if (r->block)
		buf_append(to, r->block->data + r->off + off, r->len - off);
	else if ((p = buf_reserve(to, r->len - off)) && t->store.read(t->store.arg, r->pos + off, p, r->len - off) == 0)
		buf_grew(to, r->len - off);
}

int
cursor_attach(struct cursor *c, struct taglog *t)
{
	memset(c, 0, sizeof(*c));
	c->log = t;
	c->next = t->cursors;
	t->cursors = c;
	flv_put_header(&c->front);
	c->at = t->end;
	if (!t->end)
		return c->front.error;
	c->waiting = t->tracks;
	if (t->group_kept && t->group < t->end) {
		c->at = t->group;
		states_put(&t->begun, rec_at(t, t->group)->dts, &c->front);
	} else {
		c->skip = true;
		c->serial = t->serial;
		states_put(&t->now, t->last, &c->front);
	}
	return c->front.error;
}

void
cursor_detach(struct cursor *c)
{
	struct cursor **p;

	if (!c->log)
		return;
	for (p = &c->log->cursors; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	c->log = NULL;
	buf_free(&c->front);
}

static void
count(struct cursor *c, const struct rec *r, int by)
{
	if (!c->shedding || r->kind != REC_FRAME)
		return;
	if (!c->dropped_frames)
		c->dropped_from = r->dts;
	c->dropped_frames += by;
	c->dropped_bytes += by * (int64_t)r->len;
	c->dropped_to = r->dts;
}

void
cursor_follow(struct cursor *c)
{
	struct taglog *t = c->log;
	bool found = t->serial != c->serial && t->group < t->end && t->group >= t->base;
	uint64_t to = found ? t->group : t->end, i;

	for (; c->at < to; c->at++) {
		struct rec *r = rec_at(t, c->at);

		count(c, r, 1);
		if (r->kind == REC_STATE)
			c->stale = true;
		if (r->kind == REC_MARK && buf_len(&c->front) + r->len <= CURSOR_FRONT)
			copy_rec(t, r, 0, &c->front);
	}
	if (!found)
		return;
	c->told = c->at;
	for (i = to; i < c->at; i++) /* another track's key frame, taken for lost until now */
		count(c, rec_at(t, i), -1);
	c->at = to;
	c->skip = false;
	c->waiting = t->tracks;
	if (c->stale)
		states_put(&t->begun, rec_at(t, to)->dts, &c->front);
	c->stale = false;
}

void
cursor_shed(struct cursor *c)
{
	struct taglog *t = c->log;

	if (c->skip || c->at == t->end)
		return;
	if (c->off) { /* a tag that was begun is finished */
		struct rec *r = rec_at(t, c->at);

		copy_rec(t, r, c->off, &c->front);
		c->off = 0;
		c->at++;
	}
	c->skip = c->shedding = true;
	c->serial = t->group > c->at ? t->serial - 1 : t->serial;
	cursor_follow(c);
}

static bool
wanted(struct cursor *c, const struct rec *r)
{
	if (c->at < c->told && r->kind != REC_FRAME)
		return false;
	return !(r->video & c->waiting & ~r->key);
}

size_t
cursor_peek(struct cursor *c, const uint8_t **p)
{
	struct taglog *t = c->log;
	struct rec *r, *next;
	size_t n;
	uint64_t i;

	if (buf_len(&c->front)) {
		*p = buf_data(&c->front);
		return buf_len(&c->front);
	}
	if (c->skip)
		cursor_follow(c);
	if (buf_len(&c->front)) {
		*p = buf_data(&c->front);
		return buf_len(&c->front);
	}
	for (; !c->skip && c->at < t->end; c->at++) {
		r = rec_at(t, c->at);
		if (!c->off && !wanted(c, r)) {
			count(c, r, 1);
			continue;
		}
		if (!r->block) { /* out of the store, by way of front */
			copy_rec(t, r, 0, &c->front);
			c->waiting &= ~r->key;
			if (buf_len(&c->front) < RUN_MAX && c->at + 1 < t->stored)
				continue;
			c->at++;
			break;
		}
		if (buf_len(&c->front))
			break;
		*p = r->block->data + r->off + c->off;
		n = r->len - c->off;
		if (c->waiting || c->at < c->told)
			return n;
		for (i = c->at + 1; i < t->end && n < RUN_MAX; i++, r = next) {
			next = rec_at(t, i);
			if (next->block != r->block || next->off != r->off + r->len)
				break;
			n += next->len;
		}
		return n;
	}
	*p = buf_data(&c->front);
	return buf_len(&c->front);
}

void
cursor_took(struct cursor *c, size_t n)
{
	if (buf_len(&c->front)) {
		buf_consume(&c->front, n);
		return;
	}
	while (n) {
		struct rec *r = rec_at(c->log, c->at);
		size_t left = r->len - c->off;

		c->waiting &= ~r->key;
		if (n < left) {
			c->off += n;
			return;
		}
		n -= left;
		c->off = 0;
		c->at++;
	}
}

size_t
cursor_bytes(const struct cursor *c)
{
	size_t n = buf_len(&c->front);

	if (!c->skip && c->at < c->log->end)
		n += (size_t)(c->log->pos - rec_at(c->log, c->at)->pos) - c->off;
	return n;
}

int64_t
cursor_lag(const struct cursor *c, int64_t now)
{
	return c->skip || c->at == c->log->end ? 0 : now - rec_at(c->log, c->at)->at;
}

bool
cursor_dropped(struct cursor *c, bool all, struct cursor_drop *d)
{
	if (!c->dropped_frames || (!all && (c->skip || buf_len(&c->front) || c->waiting)))
		return false;
	*d = (struct cursor_drop){ c->dropped_frames, c->dropped_bytes,
		c->dropped_to - c->dropped_from };
	c->dropped_frames = c->dropped_bytes = 0;
	if (!c->skip)
		c->shedding = false;
	return true;
}
