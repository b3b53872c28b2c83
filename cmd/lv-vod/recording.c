#include "recording_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE_MS 100        /* a step between segments that is smaller is no hole */
#define KEEP_MAX_S (12 * 3600)  /* a longer hole is closed: it is a clock that was set */
#define LEAD_MS 1000            /* sound before the first picture that stays, unheard */
#define SEGMENT_MAX_S 3600      /* a longer one is damaged */
#define ASTRAY_S 10             /* so far from what the archive's journal says, times are damaged */
#define APART_MAX_S 60          /* sound this far from its picture is damaged */

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
	e = rows_new(&r->pieces, how->tables, sizeof(struct piece));
	if (!e)
		e = rec_edges(r);
	if (e < 0)
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
		rec_note(r, NOTE_GAP, r->held.end, s->dur_us / 1000, l, s->file);
		return -ENOENT;
	}
	l->media.near = rescale(r->in_end, r->lane[0].timescale ? r->lane[0].timescale : 1, 90000);
	if ((e = media_load(&l->media, s)) < 0) {
		if (media_is_lost(e))
			return e;
		rec_note(r, e == -ENOENT ? NOTE_MISSING : NOTE_DAMAGED, r->held.end, s->dur_us / 1000, l, s->file);
		return -ENOENT;
	}
	if (l->media.truncated)
		rec_note(r, NOTE_TRUNCATED, r->held.end, 0, l, s->file);
	if (l->out < 0 && (e = begin_lane(r, l)) < 0)
		return e;
	t = l->media.track;
	if ((*entry = rec_entry(r, l)) < 0)
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

	return rec_ticks(l, said > 0 && said < SEGMENT_MAX_S ? said + ASTRAY_S : SEGMENT_MAX_S);
}

/* Is a hole of so many ticks before a segment one that the wall clock knows of, as far as it is told? */
static bool
is_true_hole(const struct recording *r, const struct segment *s, int64_t step)
{
	int64_t wall = s->wall_ms - r->last->wall_ms - r->last->dur_us / 1000;

	return !s->wall_ms || !r->last->wall_ms || rec_ms(&r->lane[0], step) < wall + ASTRAY_S * 1000;
}

/* Is it the same time as before, a hole, or another clock?  The shift follows; true: broken. */
static bool
join(struct recording *r, const struct mp4_sample *first, const struct segment *s)
{
	struct lane *l = &r->lane[0];
	int64_t step = first->dts - r->in_end, at = r->held.end;
	int64_t tolerance = r->video ? rec_ticks(l, TOLERANCE_MS / 1000.0) : r->in_dur / 2;
	bool hole = step > tolerance;

	if (step >= 0 && !hole)
		return false;
	if (step < 0 && -step < tolerance && first->dts > r->in_end - (int64_t)r->in_dur)
		return false; /* the last frame was told a little too long */
	if (hole && r->how.keep && step <= rec_ticks(l, KEEP_MAX_S) && is_true_hole(r, s, step)) {
		rec_note(r, NOTE_KEPT, at, rec_ms(l, step), l, s->file);
		return false;
	}
	rec_note(r, hole ? NOTE_CLOSED : NOTE_BACK, at, rec_ms(l, step < 0 ? -step : step), l, s->file);
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
	int64_t far = rec_ticks(l, APART_MAX_S);

	return begin < r->held.p[0].dts - far || end > r->held.p[r->held.np - 1].dts + far;
}

static void
note_params(struct recording *r, const struct lane *l, int before, int now, const struct segment *s)
{
	if (r->last && before != now)
		rec_note(r, NOTE_PARAMS, r->held.end, 0, l, s->file);
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
	if (!r->last || first->dts - r->in_end > rec_ticks(l, TOLERANCE_MS / 1000.0) || first->dts < r->in_end - r->in_dur)
		for (; n && !first->key; first++, n--)
			l->dropped++;
	if (!n || first[n - 1].dts + first[n - 1].dur - first->dts > longest(l, s)) {
		rec_note(r, NOTE_DAMAGED, r->held.end, s->dur_us / 1000, l, s->file);
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
	if ((e = rec_release(r, &next, broken)) < 0 || r->finished)
		return e;
	if (r->how.chapters)
		chapters_segment(r->how.chapters, s, (double)(next.dts + next.cts - r->zero) / l->timescale);
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
		rec_note(r, NOTE_DAMAGED, r->held.p[0].dts, sound->dur_us / 1000, a, sound->file);
		sound = NULL;
	}
	if (sound) {
		if (a->begun)
			note_params(r, a, a->entry, entry_s, sound);
		a->entry = entry_s;
		sound_shift = rescale(r->shift, l->timescale, a->timescale);
		lead = a->begun ? INT64_MIN : rescale(r->zero, l->timescale, a->timescale) - rec_ticks(a, LEAD_MS / 1000.0);
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

	*begin = r->zero + rec_ticks(l, r->how.from_s);
	*end = r->how.to_s > 0 ? r->zero + rec_ticks(l, r->how.to_s) : INT64_MAX;
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
		e = rec_release(r, NULL, false);
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
	if (r->how.chapters)
		chapters_write(r->how.chapters, r->writer, r->how.from_s, recording_seconds(r));
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
	for (i = 0; i < 2; i++) {
		media_free(&(*r)->lane[i].media);
		media_free(&(*r)->edge[i]);
	}
	media_stream_free(&(*r)->stream);
	free((*r)->held.p);
	free((*r)->held.s);
	mp4_writer_free(&(*r)->writer);
	rows_free(&(*r)->pieces);
	free(*r);
	*r = NULL;
}
