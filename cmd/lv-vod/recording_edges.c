/* Recording: a clip that holds nothing but what is shown; its edges are encoded anew. */
#include "recording_parts.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "h264.h"

static int64_t
shown_at(const struct mp4_sample *s)
{
	return s->dts + s->cts;
}

static void
drop(struct held *h, size_t n)
{
	h->np -= n;
	if (h->np)
		memmove(h->p, h->p + n, h->np * sizeof(*h->p));
}

/* All before the first key frame from --from on leaves, and what follows it but is shown before it. */
static void
trim_begin(struct recording *r)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0];
	int64_t from = r->zero + rec_ticks(l, r->how.from_s), near = rec_ticks(l, NEAR_S);
	size_t i, n;

	for (i = 0; i < h->np && !(h->p[i].key && shown_at(&h->p[i]) >= from - near); i++)
		;
	drop(h, i);
	if (!h->np)
		return;
	r->cut.begun = true;
	r->cut.begins = shown_at(&h->p[0]) > from + near;
	r->cut.begin_s = (double)(shown_at(&h->p[0]) - r->zero) / l->timescale;
	r->cut.delay = h->p[0].cts;
	for (i = n = 1; i < h->np; i++)
		if (shown_at(&h->p[i]) > shown_at(&h->p[0]))
			h->p[n++] = h->p[i];
	h->np = n;
}

/* When the first is shown of key frame i and those that follow it but are shown before it (an open group). */
static int64_t
group_shown_at(const struct held *h, size_t i)
{
	int64_t key = shown_at(&h->p[i]), first = key;

	while (++i < h->np && shown_at(&h->p[i]) < key)
		first = shown_at(&h->p[i]) < first ? shown_at(&h->p[i]) : first;
	return first;
}

/* The last group of pictures that begins before --to leaves, unless all of it is shown.  Where its key frame
   is not at hand the edit list cuts. */
static void
trim_end(struct recording *r, const struct mp4_sample *next)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0];
	int64_t to = r->zero + rec_ticks(l, r->how.to_s) - rec_ticks(l, NEAR_S), first;
	size_t i, key = h->np, last = 0, hidden = h->np; /* hidden: the first that is not shown */

	for (i = 0; i < h->np; i++) {
		if (h->p[i].key && group_shown_at(h, i) < to)
			key = i;
		if (shown_at(&h->p[i]) < to)
			last = i + 1;
		else if (hidden == h->np)
			hidden = i;
	}
	r->finished = hidden < h->np || (next && next->dts >= to);
	if (hidden == h->np)
		return;
	if (key < last && (hidden < last || !h->p[last].key)) {
		first = group_shown_at(h, key);
		r->cut.ends = true;
		r->cut.end_s = (double)(first - r->zero) / l->timescale;
		r->cut.end_delay = (int32_t)(first - h->p[key].dts);
		last = key;
	}
	h->np = last;
}

int
rec_edges(struct recording *r)
{
	int i, e = 0;

	for (i = 0; !e && i < 2; i++) {
		media_new(&r->edge[i], true, NULL);
		if (r->how.edge[i])
			e = media_load(&r->edge[i], r->how.edge[i]);
	}
	return e;
}

/* A sample entry with the parameter sets of an edge beside its own. */
static int
join_entry(struct buf *entry, const struct mp4_track *edge, size_t at)
{
	struct buf config = { 0 }, out = { 0 };
	const uint8_t *p = buf_data(entry);
	size_t n = get_be32(p + at - 8) - 8;
	int e = h264_config_join(&config, p + at, n, edge->config, edge->config_size);

	if (!e) {
		buf_be32(&out, (uint32_t)(buf_len(entry) + buf_len(&config) - n));
		buf_append(&out, p + 4, at - 12);
		buf_be32(&out, (uint32_t)buf_len(&config) + 8);
		buf_append(&out, p + at - 4, 4);
		buf_append(&out, buf_data(&config), buf_len(&config));
		buf_append(&out, p + at + n, buf_len(entry) - at - n);
		e = out.error;
	}
	buf_free(&config);
	if (e) {
		buf_free(&out);
		return e;
	}
	buf_free(entry);
	*entry = out;
	return 0;
}

static bool
is_avc(const struct mp4_track *t)
{
	return t && t->codec == FOURCC('a', 'v', 'c', '1') && t->config;
}

int
rec_entry(struct recording *r, struct lane *l)
{
	const struct mp4_track *t = l->media.track;
	struct buf b = { 0 };
	int i, e;

	buf_append(&b, t->entry, t->entry_size);
	for (i = 0; i < 2 && !b.error && l == &r->lane[0] && is_avc(t); i++)
		if (is_avc(r->edge[i].track) && join_entry(&b, r->edge[i].track, (size_t)(t->config - t->entry)) == 0)
			r->joined[i] = true;
	e = b.error ? b.error : mp4_writer_entry(r->writer, l->out, buf_data(&b), buf_len(&b));
	buf_free(&b);
	return e;
}

static uint32_t
family(const struct mp4_track *t)
{
	return t->codec == FOURCC('h', 'e', 'v', '1') ? FOURCC('h', 'v', 'c', '1') : t->codec;
}

/* The edge's own sample entry, under the leader's name: readers want one name in a track. */
static int
own_entry(struct recording *r, struct lane *l, const struct mp4_track *edge)
{
	const struct mp4_track *t = l->media.track;
	struct buf b = { 0 };
	int e;

	if (family(edge) != family(t))
		return -EMEDIUMTYPE;
	buf_append(&b, edge->entry, 4);
	buf_be32(&b, t->codec);
	buf_append(&b, edge->entry + 8, edge->entry_size - 8);
	e = b.error ? b.error : mp4_writer_entry(r->writer, l->out, buf_data(&b), buf_len(&b));
	buf_free(&b);
	return e;
}

/* An edge's pictures, as the leader's. */
static int
put_edge(struct recording *r, int which, double at_s, int32_t delay)
{
	struct lane *l = &r->lane[0];
	struct media *m = &r->edge[which];
	struct held was = r->held;
	int64_t begin = r->zero + rec_ticks(l, at_s) - delay, end;
	int32_t first = m->count ? m->sample[0].cts : 0;
	size_t i;
	int e;

	if (!r->how.edge[which])
		return 0;
	if (!r->joined[which] &&
		(e = r->held.entry_p = own_entry(r, l, m->track)) < 0)
		return e;
	/* What ends the sequence belongs to the last picture. */
	if (family(m->track) == FOURCC('h', 'v', 'c', '1'))
		m->sample[m->count - 1].size = (uint32_t)((uint64_t)m->file_bytes - m->sample[m->count - 1].offset);
	for (i = 0; i < m->count; i++) {
		struct mp4_sample *at = &m->sample[i];

		end = rescale(at->dts + at->dur, m->track->timescale, l->timescale);
		at->dts = rescale(at->dts, m->track->timescale, l->timescale);
		at->dur = (uint32_t)(end - at->dts);
		at->dts += begin;
		at->cts = delay + (int32_t)rescale(at->cts - first, m->track->timescale, l->timescale);
	}
	r->held.picture = r->how.edge[which];
	r->held.p = m->sample;
	r->held.np = m->count;
	e = rec_put_leader(r, INT64_MAX);
	r->held = was;
	return e;
}

int
rec_trim_exact(struct recording *r, const struct mp4_sample *next)
{
	bool begun = r->cut.begun;

	if (!begun)
		trim_begin(r);
	if (r->how.to_s > 0)
		trim_end(r, next);
	if (!r->cut.begun && (r->finished || !next)) { /* no key frame in it: all is encoded */
		r->cut.begun = r->cut.begins = true;
		r->cut.begin_s = r->how.to_s;
	}
	return r->cut.begun && !begun ? put_edge(r, 0, r->how.from_s, r->cut.delay) : 0;
}

int
rec_end_exact(struct recording *r)
{
	return put_edge(r, 1, r->cut.end_s, r->cut.end_delay);
}
