#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE_MS 100        /* a step between segments that is smaller is no hole */
#define KEEP_MAX_S (12 * 3600)  /* a longer hole is closed: it is a clock that was set */
#define CHUNK_MS 1000           /* sound and picture lie this near to each other in the file */
#define LEAD_MS 1000            /* sound before the first picture that stays, unheard */
#define PREROLL_MS 100          /* sound before a cut that its decoder needs */
#define SEGMENT_MAX_S 3600      /* a longer one is damaged */
#define ASTRAY_S 10             /* so far from what the archive's journal says, times are damaged */
#define APART_MAX_S 60          /* sound this far from its picture is damaged */
#define SILENCE_MAX 3000000     /* frames of it together */
#define SILENCE_LEAST 256       /* samples of a frame: shorter ones are none of AAC's */

const char *const note_names[NOTE_KINDS] = { "gap", "missing", "damaged", "truncated", "closed", "kept", "clock-back",
	"parameters", "silence", "sound-hole" };

static int64_t
ms(const struct lane *l, int64_t t)
{
	return rescale(t, l->timescale, 1000);
}

static int64_t
ticks(const struct lane *l, double s)
{
	return (int64_t)(s * l->timescale + 0.5);
}

/* at: output time of the leader. */
static void
note(struct recording *r, int kind, int64_t at, int64_t length_ms, const struct lane *l, const char *file)
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

int
recording_new(struct recording **out, const struct listing *leader, const struct listing *sound, bool video,
	const struct recording_options *how)
{
	struct recording *r = calloc(1, sizeof(*r));
	int e, i;

	if (!r)
		return -ENOMEM;
	*out = r;
	r->how = *how;
	r->video = video;
	r->lanes = sound ? 2 : 1;
	r->lane[0].from = leader;
	r->lane[1].from = sound;
	for (i = 0; i < r->lanes; i++) {
		r->lane[i].out = -1;
		media_new(&r->lane[i].media, i == 0 && video, &r->stream);
	}
	if ((e = rows_new(&r->pieces, how->tables, sizeof(struct piece))) < 0)
		recording_free(out);
	return e;
}

/* The lane's track in the file, from the first segment that can be read. */
static int
begin_lane(struct recording *r, struct lane *l)
{
	const struct mp4_track *t = l->media.track;
	struct aac_config aac;
	int e;

	l->timescale = t->timescale;
	if (!r->writer && (e = mp4_writer_new(&r->writer, r->how.tables, r->lane[0].timescale)) < 0)
		return e;
	if (!t->video && t->config && aac_config_parse(t->config, t->config_size, &aac) == 0)
		l->silence_size = aac_silence(l->silence, &aac);
	return l->out = mp4_writer_track(r->writer, t->video, t->timescale, t->width, t->height);
}

/* Loads a segment of a lane into its media, in the lane's timescale. */
static int
load(struct recording *r, struct lane *l, const struct segment *s, int *entry)
{
	const struct mp4_track *t;
	size_t i;
	int e;

	r->segments++;
	if (s->gap) {
		note(r, NOTE_GAP, r->held.end, s->dur_us / 1000, l, s->file);
		return -ENOENT;
	}
	l->media.near = rescale(r->in_end, r->lane[0].timescale ? r->lane[0].timescale : 1, 90000);
	if ((e = media_load(&l->media, s)) < 0) {
		if (e == -ENOMEM || e == -EMFILE || e == -ENFILE || e == -EIO || e == -EACCES || e == -EPERM)
			return e;
		note(r, e == -ENOENT ? NOTE_MISSING : NOTE_DAMAGED, r->held.end, s->dur_us / 1000, l, s->file);
		return -ENOENT;
	}
	if (l->media.truncated)
		note(r, NOTE_TRUNCATED, r->held.end, 0, l, s->file);
	if (l->out < 0 && (e = begin_lane(r, l)) < 0)
		return e;
	t = l->media.track;
	if ((*entry = mp4_writer_entry(r->writer, l->out, t->entry, t->entry_size)) < 0)
		return *entry;
	if (t->timescale != l->timescale)
		for (i = 0; i < l->media.count; i++) {
			struct mp4_sample *at = &l->media.sample[i];
			int64_t end = rescale(at->dts + at->dur, t->timescale, l->timescale);

			at->cts = (int32_t)rescale(at->cts, t->timescale, l->timescale);
			at->dts = rescale(at->dts, t->timescale, l->timescale);
			at->dur = (uint32_t)(end - at->dts);
		}
	r->used++;
	return 0;
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
		note(r, NOTE_SOUND_HOLE, at, ms(l, t - l->end), l, NULL);
		stretch(r, l, t);
		return 0;
	}
	note(r, NOTE_SILENCE, at, ms(l, n * dur), l, NULL);
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

/* What lies outside of --from and --to leaves; next: the leader's next frame, NULL at the end. */
static void
trim(struct recording *r, const struct mp4_sample *next)
{
	struct held *h = &r->held;
	struct lane *l = &r->lane[0], *a = &r->lane[1];
	int64_t from = r->zero + ticks(l, r->how.from_s), to = r->zero + ticks(l, r->how.to_s), t;
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
		t = rescale(from, l->timescale, r->lanes > 1 ? a->timescale : 1) - ticks(a, PREROLL_MS / 1000.0);
		for (i = 0; i < h->ns && h->s[i].dts < t; i++)
			;
		h->ns -= i;
		if (h->ns)
			memmove(h->s, h->s + i, h->ns * sizeof(*h->s));
	}
	if (r->how.to_s > 0) {
		for (i = last = 0; i < h->np; i++)
			if (h->p[i].dts + h->p[i].cts < to)
				last = i + 1;
		r->finished = last < h->np || (next && next->dts >= to);
		h->np = last;
		t = rescale(to, l->timescale, r->lanes > 1 ? a->timescale : 1);
		while (h->ns && h->s[h->ns - 1].dts >= t)
			h->ns--;
	}
}

/* What is held goes into the file; next: the leader's frame that follows it, broken: after a hole. */
static int
release(struct recording *r, const struct mp4_sample *next, bool broken)
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
	trim(r, next);
	while (!e && (p < h->np || s < h->ns)) {
		until = p < h->np ? h->p[p].dts + ticks(l, CHUNK_MS / 1000.0) : INT64_MAX;
		e = put_leader(r, &p, until);
		if (!e && s < h->ns)
			e = put_sound(r, &s, p < h->np ? rescale(until, l->timescale, a->timescale) : INT64_MAX);
	}
	return e;
}

static int
keep(struct mp4_sample **to, size_t *room, size_t *count, const struct mp4_sample *from, size_t n)
{
	struct mp4_sample *more;

	if (n > *room) {
		if (!(more = realloc(*to, n * sizeof(*more))))
			return -ENOMEM;
		*to = more;
		*room = n;
	}
	if (n)
		memcpy(*to, from, n * sizeof(*from));
	*count = n;
	return 0;
}

/* How long a segment may last, in the lane's timescale. */
static int64_t
longest(const struct lane *l, const struct segment *s)
{
	double said = (double)s->dur_us / 1e6;

	return ticks(l, said > 0 && said < SEGMENT_MAX_S ? said + ASTRAY_S : SEGMENT_MAX_S);
}

/* Is a hole of so many ticks before a segment one that the wall clock knows of, as far as it is told? */
static bool
is_true_hole(const struct recording *r, const struct segment *s, int64_t step)
{
	int64_t wall = s->wall_ms - r->last->wall_ms - r->last->dur_us / 1000;

	return !s->wall_ms || !r->last->wall_ms || ms(&r->lane[0], step) < wall + ASTRAY_S * 1000;
}

/* Is it the same time as before, a hole, or another clock?  The shift follows; true: broken. */
static bool
join(struct recording *r, const struct mp4_sample *first, const struct segment *s)
{
	struct lane *l = &r->lane[0];
	int64_t step = first->dts - r->in_end, at = r->held.end;
	int64_t tolerance = r->video ? ticks(l, TOLERANCE_MS / 1000.0) : r->in_dur / 2;
	bool hole = step > tolerance;

	if (step >= 0 && !hole)
		return false;
	if (step < 0 && -step < tolerance && first->dts > r->in_end - (int64_t)r->in_dur)
		return false; /* the last frame was told a little too long */
	if (hole && r->how.keep && step <= ticks(l, KEEP_MAX_S) && is_true_hole(r, s, step)) {
		note(r, NOTE_KEPT, at, ms(l, step), l, s->file);
		return false;
	}
	note(r, hole ? NOTE_CLOSED : NOTE_BACK, at, ms(l, step < 0 ? -step : step), l, s->file);
	r->shift += step;
	return true;
}

/* The sound beside the leader's segment: of the same number. */
static int
load_sound(struct recording *r, const struct segment *s, const struct segment **sound, int *entry)
{
	struct lane *a = &r->lane[1];
	int e;

	*sound = NULL;
	while (a->at < a->from->count && a->from->segment[a->at].n < s->n)
		a->at++;
	if (a->at == a->from->count || a->from->segment[a->at].n != s->n)
		return 0;
	if ((e = load(r, a, &a->from->segment[a->at], entry)) < 0)
		return e == -ENOENT ? 0 : e;
	*sound = &a->from->segment[a->at++];
	return 0;
}

/* Is the sound that was loaded far away from the picture that is held? */
static bool
is_apart(const struct recording *r, int64_t shift)
{
	const struct lane *l = &r->lane[0], *a = &r->lane[1];
	const struct media *m = &a->media;
	int64_t begin = rescale(m->sample[0].dts - shift, a->timescale, l->timescale);
	int64_t end = rescale(m->sample[m->count - 1].dts - shift, a->timescale, l->timescale);
	int64_t far = ticks(l, APART_MAX_S);

	return begin < r->held.p[0].dts - far || end > r->held.p[r->held.np - 1].dts + far;
}

static void
note_params(struct recording *r, const struct lane *l, int before, int now, const struct segment *s)
{
	if (r->last && before != now)
		note(r, NOTE_PARAMS, r->held.end, 0, l, s->file);
}

/* One of the leader's segments, and the sound beside it. */
static int
take(struct recording *r, const struct segment *s)
{
	struct lane *l = &r->lane[0], *a = &r->lane[1];
	const struct segment *sound = NULL;
	struct mp4_sample *first, next;
	int64_t sound_shift, lead;
	size_t n, i;
	int e, entry_p, entry_s = 0;
	bool broken = false;

	if ((e = load(r, l, s, &entry_p)) < 0)
		return e == -ENOENT ? 0 : e;
	if (r->lanes > 1 && (e = load_sound(r, s, &sound, &entry_s)) < 0)
		return e;
	first = l->media.sample;
	n = l->media.count;
	/* After a break nothing can be shown before a key frame. */
	if (!r->last || first->dts - r->in_end > ticks(l, TOLERANCE_MS / 1000.0) || first->dts < r->in_end - r->in_dur)
		for (; n && !first->key; first++, n--)
			l->dropped++;
	if (!n || first[n - 1].dts + first[n - 1].dur - first->dts > longest(l, s)) {
		note(r, NOTE_DAMAGED, r->held.end, s->dur_us / 1000, l, s->file);
		return 0;
	}
	if (r->last)
		broken = join(r, first, s);
	else
		r->shift = first->dts;
	if (!r->anchored)
		r->zero = r->video ? first->cts : 0;
	r->anchored = true;
	next = *first;
	next.dts -= r->shift;
	if ((e = release(r, &next, broken)) < 0 || r->finished)
		return e;
	note_params(r, l, l->entry, entry_p, s);
	l->entry = entry_p;
	r->in_end = first[n - 1].dts + first[n - 1].dur;
	r->in_dur = first[n - 1].dur;
	if ((e = keep(&r->held.p, &r->held.room_p, &r->held.np, first, n)) < 0)
		return e;
	for (i = 0; i < n; i++)
		r->held.p[i].dts -= r->shift;
	r->held.ns = 0;
	if (sound && is_apart(r, rescale(r->shift, l->timescale, a->timescale))) {
		note(r, NOTE_DAMAGED, r->held.p[0].dts, sound->dur_us / 1000, a, sound->file);
		sound = NULL;
	}
	if (sound) {
		if (a->begun)
			note_params(r, a, a->entry, entry_s, sound);
		a->entry = entry_s;
		sound_shift = rescale(r->shift, l->timescale, a->timescale);
		lead = a->begun ? INT64_MIN : rescale(r->zero, l->timescale, a->timescale) - ticks(a, LEAD_MS / 1000.0);
		first = a->media.sample;
		for (n = a->media.count; n && first->dts - sound_shift < lead; first++, n--)
			a->dropped++;
		if ((e = keep(&r->held.s, &r->held.room_s, &r->held.ns, first, n)) < 0)
			return e;
		for (i = 0; i < n; i++)
			r->held.s[i].dts -= sound_shift;
	}
	r->held.picture = s;
	r->held.sound = sound;
	r->held.entry_p = entry_p;
	r->held.entry_s = entry_s;
	r->held.end = r->in_end - r->shift;
	r->holding = true;
	r->last = s;
	return 0;
}

/* Output time of the leader at which the recording begins, and ends. */
static void
bounds(const struct recording *r, int64_t *begin, int64_t *end)
{
	const struct lane *l = &r->lane[0];

	*begin = r->zero + ticks(l, r->how.from_s);
	*end = r->how.to_s > 0 ? r->zero + ticks(l, r->how.to_s) : INT64_MAX;
}

/* What is shown of a lane: from the first picture, or from --from. */
static void
edit(struct recording *r, struct lane *l)
{
	const struct lane *lead = &r->lane[0];
	int64_t begin, end, late, last;

	bounds(r, &begin, &end);
	last = rescale(l->last_shown, l->timescale, lead->timescale);
	late = l->base - rescale(begin, lead->timescale, l->timescale);
	begin += late > 0 ? rescale(late, l->timescale, lead->timescale) : 0;
	end = end < last ? end : last;
	mp4_writer_edit(r->writer, l->out, late > 0 ? rescale(late, l->timescale, lead->timescale) : 0,
		late < 0 ? -late : 0, end > begin ? end - begin : 1);
}

double
recording_seconds(const struct recording *r)
{
	const struct lane *l = &r->lane[0];
	int64_t begin, end;

	bounds(r, &begin, &end);
	end = end < l->last_shown ? end : l->last_shown;
	return (double)(end - begin) / l->timescale;
}

int
recording_scan(struct recording *r)
{
	struct lane *l = &r->lane[0];
	int e = 0, i;

	for (; !e && !r->finished && l->at < l->from->count; l->at++)
		e = take(r, &l->from->segment[l->at]);
	if (!e && !r->finished)
		e = release(r, NULL, false);
	if (!e && r->piece.bytes)
		e = rows_add(r->pieces, &r->piece);
	r->piece.bytes = 0;
	if (!e && (!l->frames || recording_seconds(r) <= 0))
		e = -ENODATA;
	if (e < 0)
		return e;
	for (i = 0; i < r->lanes; i++)
		if (r->lane[i].out >= 0)
			edit(r, &r->lane[i]);
	rows_rewind(r->pieces);
	return mp4_writer_layout(r->writer, &r->size);
}

int
recording_head(struct recording *r, mp4_emit_fn *emit, void *arg)
{
	return mp4_writer_head(r->writer, emit, arg);
}

int
recording_next(struct recording *r, struct piece *out)
{
	const void *p;
	int e = rows_next(r->pieces, &p);

	if (e > 0)
		memcpy(out, p, sizeof(*out));
	return e;
}

void
recording_free(struct recording **r)
{
	int i;

	if (!*r)
		return;
	for (i = 0; i < 2; i++)
		media_free(&(*r)->lane[i].media);
	media_stream_free(&(*r)->stream);
	free((*r)->held.p);
	free((*r)->held.s);
	mp4_writer_free(&(*r)->writer);
	rows_free(&(*r)->pieces);
	free(*r);
	*r = NULL;
}
