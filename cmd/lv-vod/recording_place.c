/* Recording: what is held goes into the file's tables. */
#include "recording_parts.h"

#include <string.h>

#define CHUNK_MS 1000           /* sound and picture lie this near to each other in the file */
#define PREROLL_MS 100          /* sound before a cut that its decoder needs */
#define SILENCE_MAX 3000000     /* frames of it together */
#define SILENCE_LEAST 256       /* samples of a frame: shorter ones are none of AAC's */

const char *const note_names[NOTE_KINDS] = { "gap", "missing", "damaged", "truncated", "closed", "kept", "clock-back",
	"parameters", "silence", "sound-hole" };

void
rec_note(struct recording *r, int kind, int64_t at, int64_t length_ms, const struct lane *l, const char *file)
{
	struct note *n = &r->note[r->notes];

	r->count[kind]++;
	if (r->notes == NOTES_MAX)
		return;
	r->notes++;
	n->kind = kind;
	n->at_s = r->lane[0].timescale ? (double)(at - r->zero) / r->lane[0].timescale - r->how.from_s : 0;
	n->at_s = n->at_s < 0 ? 0 : n->at_s;
	n->ms = length_ms;
	n->track = l->from->name;
	n->file = file;
}

static int
add_bytes(struct recording *r, const struct segment *s, bool video, uint64_t offset, uint64_t bytes)
{
	struct piece *p = &r->piece;
	int e = 0;

	if (p->bytes && p->segment == s && s && p->video == video && p->offset + p->bytes == offset) {
		p->bytes += bytes;
		return 0;
	}
	if (p->bytes)
		e = rows_add(r->pieces, p);
	*p = (struct piece){ s, video, offset, bytes };
	return e;
}

/* A frame, at the lane's end. */
static int
add_frame(struct recording *r, struct lane *l, const struct segment *s, const struct mp4_sample *at)
{
	struct mp4_out_sample out = { at->size, at->dur, at->cts, at->key };
	int e = mp4_writer_sample(r->writer, l->out, &out);

	if (!e)
		e = add_bytes(r, s, r->video && l == &r->lane[0], at->offset, at->size);
	l->frames++;
	l->end += at->dur;
	if (l->end + at->cts > l->last_shown)
		l->last_shown = l->end + at->cts;
	l->last_dur = at->dur;
	return e;
}

static void
begin_at(struct lane *l, int64_t t)
{
	if (l->begun)
		return;
	l->begun = true;
	l->base = l->end = t;
}

/* The frame at the lane's end lasts until t. */
static void
stretch(struct recording *r, struct lane *l, int64_t t)
{
	int64_t dur = l->last_dur + t - l->end;

	if (!l->begun || dur < 1 || dur > UINT32_MAX)
		return;
	mp4_writer_stretch(r->writer, l->out, (uint32_t)dur);
	l->last_dur = (uint32_t)dur;
	l->end = t;
}

/* Frames of silence up to t, where we can make them, as a chunk of their own. */
static int
fill(struct recording *r, struct lane *l, int64_t t, uint32_t dur, int entry)
{
	int64_t n = (t - l->end + dur / 2) / dur, i;
	struct mp4_sample quiet = { .dur = dur, .size = (uint32_t)l->silence_size, .key = true };
	int64_t at = rescale(l->end, l->timescale, r->lane[0].timescale);
	int e = 0;

	if (!l->silence_size || dur < SILENCE_LEAST || n > SILENCE_MAX) {
		rec_note(r, NOTE_SOUND_HOLE, at, rec_ms(l, t - l->end), l, NULL);
		stretch(r, l, t);
		return 0;
	}
	rec_note(r, NOTE_SILENCE, at, rec_ms(l, n * dur), l, NULL);
	l->silent += n * dur;
	for (i = 0; !e && i < n; i++)
		e = add_frame(r, l, NULL, &quiet);
	return e ? e : mp4_writer_chunk(r->writer, l->out, entry, (uint32_t)n, (uint64_t)n * (uint64_t)l->silence_size);
}

/* Sound from *i on that begins before t goes into the file, in a chunk. */
static int
put_sound(struct recording *r, size_t *i, int64_t t)
{
	struct lane *l = &r->lane[1];
	const struct held *h = &r->held;
	uint32_t n = 0;
	uint64_t bytes = 0;
	int e = 0;

	for (; !e && *i < h->ns && h->s[*i].dts < t; ++*i) {
		const struct mp4_sample *s = &h->s[*i];
		int64_t off;

		begin_at(l, s->dts);
		off = s->dts - l->end;
		if (off < -(int64_t)(s->dur / 2)) {
			l->dropped++; /* there is sound for this time already */
			continue;
		}
		if (off > s->dur / 2) {
			if (n && (e = mp4_writer_chunk(r->writer, l->out, h->entry_s, n, bytes)) < 0)
				return e;
			n = 0;
			bytes = 0;
			e = fill(r, l, s->dts, s->dur, h->entry_s);
		}
		if (!e)
			e = add_frame(r, l, h->sound, s);
		n++;
		bytes += s->size;
	}
	if (!e && n)
		e = mp4_writer_chunk(r->writer, l->out, h->entry_s, n, bytes);
	return e;
}

/* The leader's frames from *i on that begin before t. */
static int
put_leader(struct recording *r, size_t *i, int64_t t)
{
	struct lane *l = &r->lane[0];
	const struct held *h = &r->held;
	uint32_t n = 0;
	uint64_t bytes = 0;
	int e = 0;

	for (; !e && *i < h->np && h->p[*i].dts < t; ++*i) {
		begin_at(l, h->p[*i].dts);
		if (r->video)
			stretch(r, l, h->p[*i].dts);
		else if (h->p[*i].dts - l->end > h->p[*i].dur / 2 && *i == 0)
			e = fill(r, l, h->p[*i].dts, h->p[*i].dur, h->entry_p);
		if (!e)
			e = add_frame(r, l, h->picture, &h->p[*i]);
		n++;
		bytes += h->p[*i].size;
	}
	if (!e && n)
		e = mp4_writer_chunk(r->writer, l->out, h->entry_p, n, bytes);
	return e;
}

int
rec_put_leader(struct recording *r, int64_t t)
{
	size_t i = 0;

	return put_leader(r, &i, t);
}

/* What lies outside of --from and --to leaves, but for what has to be decoded first; next: the leader's next frame, NULL at the end. */
static void
trim_pictures(struct recording *r, const struct mp4_sample *next)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0];
	int64_t from = r->zero + rec_ticks(l, r->how.from_s), to = r->zero + rec_ticks(l, r->how.to_s);
	size_t i, first = 0, last = h->np;

	if (r->how.from_s > 0) {
		for (i = 0; i < h->np; i++)
			if (h->p[i].key && h->p[i].dts + h->p[i].cts <= from)
				first = i;
		if (next && next->key && next->dts + next->cts <= from)
			first = h->np;
		h->np -= first;
		if (h->np)
			memmove(h->p, h->p + first, h->np * sizeof(*h->p));
	}
	if (r->how.to_s > 0) {
		for (i = last = 0; i < h->np; i++)
			if (h->p[i].dts + h->p[i].cts < to)
				last = i + 1;
		r->finished = last < h->np || (next && next->dts >= to);
		h->np = last;
	}
}

static void
trim_sound(struct recording *r)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0], *a = &r->lane[1];
	int64_t from = r->zero + rec_ticks(l, r->how.from_s), to = r->zero + rec_ticks(l, r->how.to_s), t;
	size_t i;

	if (r->how.from_s > 0) {
		t = rescale(from, l->timescale, a->timescale) - rec_ticks(a, PREROLL_MS / 1000.0);
		for (i = 0; i < h->ns && h->s[i].dts < t; i++)
			;
		h->ns -= i;
		if (h->ns)
			memmove(h->s, h->s + i, h->ns * sizeof(*h->s));
	}
	if (r->how.to_s > 0) {
		t = rescale(to, l->timescale, a->timescale);
		while (h->ns && h->s[h->ns - 1].dts >= t)
			h->ns--;
	}
}

/* What is held goes into the file; next: the leader's frame that follows it, broken: after a hole. */
int
rec_release(struct recording *r, const struct mp4_sample *next, bool broken)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0], *a = &r->lane[1];
	size_t p = 0, s = 0;
	int64_t until;
	int e = 0;

	if (!r->holding)
		return 0;
	r->holding = false;
	/* Sound that goes on after its picture has ended would cover the next one's. */
	if (broken && r->video && r->lanes > 1) {
		until = rescale(h->end + r->zero, l->timescale, a->timescale);
		while (h->ns && h->s[h->ns - 1].dts >= until) {
			h->ns--;
			a->dropped++;
		}
	}
	if (r->how.exact)
		e = rec_trim_exact(r, next);
	else
		trim_pictures(r, next);
	if (h->ns)
		trim_sound(r);
	while (!e && (p < h->np || s < h->ns)) {
		until = p < h->np ? h->p[p].dts + rec_ticks(l, CHUNK_MS / 1000.0) : INT64_MAX;
		e = put_leader(r, &p, until);
		if (!e && s < h->ns)
			e = put_sound(r, &s, p < h->np ? rescale(until, l->timescale, a->timescale) : INT64_MAX);
	}
	if (!e && r->how.exact && (r->finished || !next))
		e = rec_end_exact(r);
	return e;
}
