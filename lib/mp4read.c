#include "mp4read.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

#define NOT_SYNC 0x10000u /* sample_is_non_sync_sample */

int
mp4_box(const uint8_t *p, size_t n, struct mp4_box *b)
{
	if (n < 8)
		return 0;
	b->type = get_be32(p + 4);
	b->size = get_be32(p);
	b->head = 8;
	if (b->size == 0) {
		b->size = UINT64_MAX;
	} else if (b->size == 1) {
		if (n < 16)
			return 0;
		b->size = get_be64(p + 8);
		b->head = 16;
	}
	return b->size < b->head || (b->size > INT64_MAX && b->size != UINT64_MAX) ? -EBADMSG : 1;
}

/* The next box between *p and end: its content from *in to *after.  1, 0 at the end, or -EBADMSG. */
static int
next_box(const uint8_t **p, const uint8_t *end, uint32_t *type, const uint8_t **in, const uint8_t **after)
{
	struct mp4_box b;
	int r;

	if (*p == end)
		return 0;
	if ((r = mp4_box(*p, (size_t)(end - *p), &b)) <= 0)
		return -EBADMSG;
	if (b.size == UINT64_MAX)
		b.size = (uint64_t)(end - *p);
	if (b.size > (uint64_t)(end - *p))
		return -EBADMSG;
	*type = b.type;
	*in = *p + b.head;
	*p += b.size;
	*after = *p;
	return 1;
}

/* The first box of a type. */
static int
find(const uint8_t *p, const uint8_t *end, uint32_t want, const uint8_t **in, const uint8_t **after)
{
	uint32_t type;
	int r;

	while ((r = next_box(&p, end, &type, in, after)) > 0)
		if (type == want)
			return 1;
	return r;
}

/* A descriptor of 14496-1 8.3.3: its content from *p on. */
static int
descriptor(const uint8_t **p, const uint8_t *end, unsigned *tag, size_t *size)
{
	int i;

	if (end - *p < 2)
		return -EBADMSG;
	*tag = *(*p)++;
	*size = 0;
	for (i = 0; i < 4 && *p < end; i++) {
		uint8_t c = *(*p)++;

		*size = *size << 7 | (c & 127);
		if (!(c & 128))
			return *size <= (size_t)(end - *p) ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

static void
parse_esds(struct mp4_track *t, const uint8_t *p, const uint8_t *end)
{
	unsigned tag;
	size_t n;

	if (end - p < 4)
		return;
	p += 4;
	if (descriptor(&p, end, &tag, &n) < 0 || tag != 3 || n < 3 || p[2] & 0xe0)
		return; /* none, or one with fields that MP4 files do not have */
	p += 3;
	if (descriptor(&p, end, &tag, &n) < 0 || tag != 4 || n < 13)
		return;
	if (*p != 0x40) /* AAC */
		return;
	p += 13;
	if (descriptor(&p, end, &tag, &n) < 0 || tag != 5)
		return;
	t->config = p;
	t->config_size = n;
}

static int
parse_stsd(struct mp4_track *t, const uint8_t *p, const uint8_t *end)
{
	static const uint32_t records[] = { FOURCC('a', 'v', 'c', 'C'), FOURCC('h', 'v', 'c', 'C'),
		FOURCC('a', 'v', '1', 'C'), FOURCC('v', 'p', 'c', 'C') };
	const uint8_t *entry, *in, *after, *sub, *sub_end;
	size_t i;

	if (end - p < 8)
		return -EBADMSG;
	entry = p += 8;
	if (next_box(&p, end, &t->codec, &in, &after) <= 0 || after - in < (t->video ? 78 : 28))
		return -EBADMSG;
	if (after - entry > MP4_ENTRY_MAX)
		return -EMSGSIZE;
	t->entry = entry;
	t->entry_size = (size_t)(after - entry);
	if (t->video) {
		t->width = get_be16(in + 24);
		t->height = get_be16(in + 26);
		for (i = 0; i < sizeof(records) / sizeof(*records) && !t->config; i++)
			if (find(in + 78, after, records[i], &sub, &sub_end) > 0) {
				t->config = sub;
				t->config_size = (size_t)(sub_end - sub);
			}
	} else if (t->codec == FOURCC('m', 'p', '4', 'a') && get_be16(in + 8) == 0 &&
		find(in + 28, after, FOURCC('e', 's', 'd', 's'), &sub, &after) > 0) {
		parse_esds(t, sub, after);
	}
	return 0;
}

/* Empty edits, then the one that says where the media begins. */
static void
parse_elst(struct mp4_track *t, const uint8_t *p, const uint8_t *end, uint32_t movie)
{
	size_t each = 12;
	uint32_t count;
	int64_t dur, at, empty = 0;

	if (end - p < 8)
		return;
	each = *p == 1 ? 20 : 12;
	count = get_be32(p + 4);
	for (p += 8; count && (size_t)(end - p) >= each; count--, p += each) {
		dur = each == 20 ? (int64_t)(get_be64(p) & INT64_MAX) : (int64_t)get_be32(p);
		at = each == 20 ? (int64_t)get_be64(p + 8) : (int32_t)get_be32(p + 4);
		if (dur / MP4_EDIT_MAX_S > movie || at / MP4_EDIT_MAX_S > t->timescale)
			return;
		if (at >= 0) {
			t->begins = at - (movie ? (int64_t)((double)empty / movie * t->timescale) : 0);
			return;
		}
		empty = dur;
	}
}

/* 1: a track for us, 0: one that is neither sound nor picture. */
static int
parse_trak(struct mp4_track *t, const uint8_t *p, const uint8_t *end, uint32_t movie)
{
	static const uint32_t path[] = { FOURCC('m', 'i', 'n', 'f'), FOURCC('s', 't', 'b', 'l'),
		FOURCC('s', 't', 's', 'd') };
	const uint8_t *in, *after, *mdia, *mdia_end;
	uint32_t handler;
	size_t i;
	int r;

	memset(t, 0, sizeof(*t));
	if (find(p, end, FOURCC('t', 'k', 'h', 'd'), &in, &after) <= 0 || after - in < 24)
		return -EBADMSG;
	t->id = get_be32(in + (*in == 1 ? 20 : 12));
	if (find(p, end, FOURCC('m', 'd', 'i', 'a'), &mdia, &mdia_end) <= 0)
		return -EBADMSG;
	if (find(mdia, mdia_end, FOURCC('m', 'd', 'h', 'd'), &in, &after) <= 0 || after - in < 24)
		return -EBADMSG;
	t->timescale = get_be32(in + (*in == 1 ? 20 : 12));
	if (find(mdia, mdia_end, FOURCC('h', 'd', 'l', 'r'), &in, &after) <= 0 || after - in < 12)
		return -EBADMSG;
	handler = get_be32(in + 8);
	t->video = handler == FOURCC('v', 'i', 'd', 'e');
	if (!t->video && handler != FOURCC('s', 'o', 'u', 'n'))
		return 0;
	if (!t->timescale || t->timescale > MP4_TIMESCALE_MAX || !t->id)
		return -EBADMSG;
	if (find(p, end, FOURCC('e', 'd', 't', 's'), &in, &after) > 0 && find(in, after, FOURCC('e', 'l', 's', 't'), &in, &after) > 0)
		parse_elst(t, in, after, movie);
	in = mdia;
	after = mdia_end;
	for (i = 0; i < sizeof(path) / sizeof(*path); i++)
		if (find(in, after, path[i], &in, &after) <= 0)
			return -EBADMSG;
	r = parse_stsd(t, in, after);
	return r < 0 ? r : 1;
}

static int
parse_mvex(struct mp4_init *init, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *in, *after;
	uint32_t type;
	int r, i;

	while ((r = next_box(&p, end, &type, &in, &after)) > 0) {
		if (type != FOURCC('t', 'r', 'e', 'x'))
			continue;
		if (after - in < 24)
			return -EBADMSG;
		for (i = 0; i < init->count; i++) {
			if (init->track[i].id != get_be32(in + 4))
				continue;
			init->track[i].dur = get_be32(in + 12);
			init->track[i].size = get_be32(in + 16);
			init->track[i].flags = get_be32(in + 20);
		}
	}
	return r;
}

int
mp4_init_parse(const uint8_t *p, size_t n, struct mp4_init *init)
{
	const uint8_t *moov, *moov_end, *in, *after;
	uint32_t type, movie = 0;
	int r;

	memset(init, 0, sizeof(*init));
	if (n > MP4_INIT_MAX)
		return -EMSGSIZE;
	if (find(p, p + n, FOURCC('m', 'o', 'o', 'v'), &moov, &moov_end) <= 0)
		return -EBADMSG;
	if (find(moov, moov_end, FOURCC('m', 'v', 'h', 'd'), &in, &after) > 0 && after - in >= 24)
		movie = get_be32(in + (*in == 1 ? 20 : 12));
	for (p = moov; (r = next_box(&p, moov_end, &type, &in, &after)) > 0;) {
		if (type != FOURCC('t', 'r', 'a', 'k'))
			continue;
		if (init->count == MP4_TRACKS_MAX)
			return -EMSGSIZE;
		if ((r = parse_trak(&init->track[init->count], in, after, movie)) < 0)
			return r;
		init->count += r;
	}
	if (r < 0)
		return r;
	if (find(moov, moov_end, FOURCC('m', 'v', 'e', 'x'), &in, &after) > 0 &&
		(r = parse_mvex(init, in, after)) < 0)
		return r;
	return init->count ? 0 : -ENOMSG;
}

int
mp4_walk_begin(struct mp4_walk *w, const struct mp4_init *init, const uint8_t *moof, size_t n, uint64_t offset)
{
	const uint8_t *end = moof + n;
	uint32_t type;

	if (n > MP4_MOOF_MAX)
		return -EMSGSIZE;
	w->init = init;
	w->moof = w->base = w->data = offset;
	w->traf = w->traf_end = w->trun = w->trun_end = NULL;
	w->left = w->samples = 0;
	w->begun = false;
	if (next_box(&moof, end, &type, &w->at, &w->end) <= 0 || type != FOURCC('m', 'o', 'o', 'f'))
		return -EBADMSG;
	return 0;
}

static int
begin_traf(struct mp4_walk *w, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *in, *after;
	const struct mp4_track *t;
	uint32_t flags, id;
	uint64_t start;
	size_t need;

	if (find(p, end, FOURCC('t', 'f', 'h', 'd'), &in, &after) <= 0 || after - in < 8)
		return -EBADMSG;
	flags = get_be24(in + 1);
	id = get_be32(in + 4);
	need = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0) + (flags & 8 ? 4 : 0) +
		(flags & 0x10 ? 4 : 0) + (flags & 0x20 ? 4 : 0);
	if ((size_t)(after - in) < need)
		return -EBADMSG;
	in += 8;
	/* 8.8.7.1: without a base the first traf counts from the moof, the next from where data ended. */
	w->base = flags & 0x20000 || !w->begun ? w->moof : w->data;
	w->begun = true;
	if (flags & 1) {
		w->base = get_be64(in);
		in += 8;
	}
	w->data = w->base;
	for (w->track = 0; w->track < w->init->count; w->track++)
		if (w->init->track[w->track].id == id)
			break;
	if (w->track == w->init->count) {
		w->track = -1; /* somebody else's: stepped over, though its data counts */
		w->dur = w->size = w->sample_flags = 0;
	} else {
		t = &w->init->track[w->track];
		w->dur = t->dur;
		w->size = t->size;
		w->sample_flags = t->flags;
	}
	if (flags & 2)
		in += 4;
	if (flags & 8) {
		w->dur = get_be32(in);
		in += 4;
	}
	if (flags & 0x10) {
		w->size = get_be32(in);
		in += 4;
	}
	if (flags & 0x20)
		w->sample_flags = get_be32(in);
	if (w->track >= 0 && find(p, end, FOURCC('t', 'f', 'd', 't'), &in, &after) > 0) {
		if (after - in < (*in == 1 ? 12 : 8))
			return -EBADMSG;
		start = *in == 1 ? get_be64(in + 4) : get_be32(in + 4);
		if (start > (uint64_t)MP4_TIME_MAX)
			return -EBADMSG;
		w->next[w->track] = (int64_t)start;
	}
	w->traf = p;
	w->traf_end = end;
	return 0;
}

static int
begin_trun(struct mp4_walk *w, const uint8_t *p, const uint8_t *end)
{
	size_t each, rest;

	if (end - p < 8)
		return -EBADMSG;
	w->flags = get_be24(p + 1);
	w->left = get_be32(p + 4);
	each = (w->flags & 0x100 ? 4 : 0) + (w->flags & 0x200 ? 4 : 0) + (w->flags & 0x400 ? 4 : 0) +
		(w->flags & 0x800 ? 4 : 0);
	rest = (w->flags & 1 ? 4 : 0) + (w->flags & 4 ? 4 : 0);
	p += 8;
	if ((size_t)(end - p) < rest)
		return -EBADMSG;
	if (w->left > MP4_SAMPLES_MAX || (w->samples += w->left) > MP4_SAMPLES_MAX)
		return -EMSGSIZE;
	if ((size_t)(end - p) - rest < each * w->left)
		return -EBADMSG;
	if (w->flags & 1) {
		w->data = w->base + (uint64_t)(int64_t)(int32_t)get_be32(p);
		p += 4;
	}
	w->first_flags = w->flags & 4 ? get_be32(p) : w->sample_flags;
	p += w->flags & 4 ? 4 : 0;
	w->first = true;
	w->trun = p;
	w->trun_end = end;
	return 0;
}

/* On to the next trun with samples. */
static int
advance(struct mp4_walk *w)
{
	const uint8_t *in, *after;
	uint32_t type;
	int r;

	for (;;) {
		while (w->traf && (r = next_box(&w->traf, w->traf_end, &type, &in, &after)) != 0) {
			if (r < 0)
				return r;
			if (type != FOURCC('t', 'r', 'u', 'n'))
				continue;
			if ((r = begin_trun(w, in, after)) < 0)
				return r;
			if (w->left)
				return 1;
		}
		w->traf = NULL;
		do
			if ((r = next_box(&w->at, w->end, &type, &in, &after)) <= 0)
				return r;
		while (type != FOURCC('t', 'r', 'a', 'f'));
		if ((r = begin_traf(w, in, after)) < 0)
			return r;
	}
}

static uint32_t
field(struct mp4_walk *w, uint32_t flag, uint32_t otherwise)
{
	if (!(w->flags & flag))
		return otherwise;
	w->trun += 4;
	return get_be32(w->trun - 4);
}

int
mp4_walk_next(struct mp4_walk *w, struct mp4_sample *s)
{
	uint32_t flags;
	int r;

	do {
		if (!w->left && (r = advance(w)) <= 0)
			return r;
		w->left--;
		s->track = w->track;
		s->dur = field(w, 0x100, w->dur);
		s->size = field(w, 0x200, w->size);
		flags = field(w, 0x400, w->first ? w->first_flags : w->sample_flags);
		s->cts = (int32_t)field(w, 0x800, 0);
		s->offset = w->data;
		w->first = false;
		if (w->data > (uint64_t)MP4_TIME_MAX)
			return -EBADMSG;
		w->data += s->size;
	} while (w->track < 0);
	s->dts = w->next[w->track];
	w->next[w->track] += s->dur;
	if (w->next[w->track] > MP4_TIME_MAX)
		return -EBADMSG;
	s->key = !w->init->track[w->track].video || !(flags & NOT_SYNC);
	return 1;
}
