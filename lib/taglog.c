#include "taglog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

#define TAG_HEADER 11
#define HEADER 9
#define ROOM_MIN (64 << 10)  /* less than this at a block's end is not read into */
#define RUN_MAX (256 << 10)  /* bytes one peek gives: a pipe takes no more at once */
#define SPARE_MAX 8          /* blocks kept for the next time */
#define VIDEO_TRACKS 32      /* those above share the last bit */

struct block {
	struct block *next; /* among the spare ones */
	size_t cap;
	int refs;
	uint8_t data[];
};

enum rec_kind { REC_FRAME, REC_STATE, REC_MARK, REC_TICK };

struct rec {
	struct block *block; /* NULL: in the store */
	size_t off, len;
	uint64_t pos; /* bytes of all tags before */
	int64_t dts, at;
	enum rec_kind kind;
	uint32_t video, key; /* the video tracks inside, and those with a key frame */
};

/* A tag that a late reader needs: the last of its kind. */
struct state {
	int refs;
	uint32_t what, tracks; /* STATE_x and, of those below metadata, which tracks */
	size_t len;
	uint8_t data[];
};
enum { STATE_SESSION, STATE_METADATA, STATE_VIDEO, STATE_AUDIO, STATE_COLOUR };

struct states {
	struct state *state[TAGLOG_STATES];
	int count;
};

struct taglog {
	struct block *block, *spare; /* the one being filled */
	size_t fill, parsed;         /* in the block: bytes read, bytes of whole tags */
	int nspare, spare_max;
	size_t block_size;
	bool began, timed;
	int64_t last;
	int error;

	struct rec *recs; /* a ring of cap, a power of two */
	size_t cap;
	uint64_t base, end; /* tags base ... end - 1 are held */
	uint64_t pos;
	struct taglog_store store; /* of the tags before stored; none when write is NULL */
	uint64_t stored;

	size_t group_max;
	bool group_kept; /* recs from group on are there for late readers */
	uint64_t group, serial;
	uint32_t tracks; /* video tracks seen */
	uint64_t key_at[VIDEO_TRACKS];
	int64_t key_pts[VIDEO_TRACKS];
	struct states now, begun; /* as of the last tag, as of the group's first */
	bool changed;             /* they differ */
	struct cursor *cursors;
};

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

static struct rec *
rec_at(const struct taglog *t, uint64_t i)
{
	return &t->recs[i & (t->cap - 1)];
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

static void
states_clear(struct states *s)
{
	while (s->count)
		if (!--s->state[--s->count]->refs)
			free(s->state[s->count]);
}

static void
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

static int
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

static void
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

static uint32_t
track_bit(uint8_t track)
{
	return (uint32_t)1 << (track < VIDEO_TRACKS ? track : VIDEO_TRACKS - 1);
}

/* What a script tag is to us, and what is remembered of it. */
static int
judge_script(struct taglog *t, struct rec *r, const struct flv_tag *tag, const uint8_t *raw)
{
	const uint8_t *values;
	struct mark m;
	size_t n;

	r->kind = REC_MARK;
	if (mark_parse(tag, &m) > 0) {
		if (m.kind == MARK_TICK)
			r->kind = REC_TICK;
		if (m.kind == MARK_SESSION)
			return states_set(t, STATE_SESSION, 0, raw, r->len);
	} else if (flv_script(tag, "onMetaData", &values, &n)) {
		r->kind = REC_STATE;
		return states_set(t, STATE_METADATA, 0, raw, r->len);
	}
	return 0;
}

/* A group begins: at the lead track's key frame, or other tracks' keys of the same picture. */
static void
begin_group(struct taglog *t, uint64_t first)
{
	if (first < t->base)
		first = t->base;
	t->group = first;
	t->serial++;
	t->group_kept = true;
	if (t->changed)
		states_copy(&t->begun, &t->now);
	t->changed = false;
}

static void
judge_keys(struct taglog *t, const struct rec *r, int64_t pts)
{
	uint32_t lead = t->tracks & -t->tracks;
	uint64_t first = t->end;
	int i;

	for (i = 0; i < VIDEO_TRACKS; i++)
		if (r->key >> i & 1) {
			t->key_at[i] = t->end;
			t->key_pts[i] = pts;
		}
	if (!(r->key & lead))
		return;
	for (i = 0; i < VIDEO_TRACKS; i++)
		if ((t->tracks >> i & 1) && t->key_at[i] < first && t->key_at[i] > t->group &&
			t->key_pts[i] >= pts) {
			first = t->key_at[i];
		}
	begin_group(t, first);
}

static int
judge(struct taglog *t, struct rec *r, const struct flv_tag *tag, const uint8_t *raw)
{
	struct flv_walk walk;
	struct flv_packet p;
	uint32_t heads = 0, all = 0;
	int32_t cts = 0;

	if (tag->type == FLV_SCRIPT)
		return judge_script(t, r, tag, raw);
	flv_walk_begin(&walk, tag);
	while (flv_walk_next(&walk, &p) > 0) {
		uint32_t bit = track_bit(p.track);

		all |= bit;
		if (p.kind == FLV_HEADER)
			heads |= bit;
		if (p.type != FLV_VIDEO)
			continue;
		t->tracks |= bit;
		r->video |= bit;
		if (p.kind == FLV_FRAME && p.key) {
			r->key |= bit;
			cts = p.cts;
		}
	}
	if (heads && heads == all) {
		r->kind = REC_STATE;
		r->video = 0;
		return states_set(t, tag->type == FLV_VIDEO ? STATE_VIDEO : STATE_AUDIO, heads, raw, r->len);
	}
	if (tag->type == FLV_VIDEO && tag->size && (tag->data[0] & 0x8f) == 0x84) { /* colour metadata */
		r->kind = REC_STATE;
		r->video = 0;
		return states_set(t, STATE_COLOUR, all, raw, r->len);
	}
	if (r->key)
		judge_keys(t, r, tag->dts + cts);
	else if (tag->type == FLV_AUDIO && !t->tracks)
		begin_group(t, t->end); /* sound alone: every frame is a beginning */
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
	if ((e = judge(t, r, tag, p)) < 0)
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

static void follow(struct cursor *);

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
			follow(c);
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

/* Walk over what a skipping cursor drops, up to the group at which it goes on. */
static void
follow(struct cursor *c)
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
	follow(c);
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
		follow(c);
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
