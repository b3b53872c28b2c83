/* Segmenter: where all tracks are cut. */
#include "segmenter_parts.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

/* Others have gone on without it: it is not waited for until it is back. */
static bool
is_away(const struct segmenter *g, const struct strand *k)
{
	return k->last == INT64_MIN ? g->away && is_source(k) : g->newest - k->last > LATE;
}

/* Only onMetaData has told of it so far. */
static bool
is_awaited(const struct strand *k)
{
	return k->type && !k->known && !k->left_out;
}

/* The track that the cuts follow: the first encoded picture, else the source, else the sound. */
static int
pick_leader(const struct segmenter *g)
{
	int i, best = -1, score = INT_MIN, s;

	for (i = 0; i < g->strands; i++) {
		const struct strand *k = &g->strand[i];

		if (!k->known)
			continue;
		s = (k->video ? is_source(k) ? 2 : 3 : 1) - (is_away(g, k) ? 3 : 0);
		if (s > score) {
			score = s;
			best = i;
		}
	}
	return best;
}

/* Where a track's queue is divided for a cut at t; *ready: nothing more has to come first. */
static size_t
divide(const struct segmenter *g, int track, int64_t t, bool *ready)
{
	const struct strand *k = &g->strand[track];
	size_t i;

	*ready = false;
	for (i = 0; k->video && i < k->count; i++)
		if (k->samples[i].key && when(k, &k->samples[i]) >= t - NEAR &&
			when(k, &k->samples[i]) <= t + NEAR) {
			*ready = true;
			return i;
		}
	if (k->count)
		*ready = to_hz(k, k->samples[k->count - 1].dts) > t + (k->video ? NEAR : 0) ||
			(!k->video && when(k, &k->samples[k->count - 1]) >= t);
	for (i = 0; i < k->count; i++)
		if (when(k, &k->samples[i]) >= t)
			return i;
	return i;
}

/* Which of the queued frames a segment takes: those before its end, all there are, none: a gap. */
enum take { TAKE_DIVIDED, TAKE_ALL, TAKE_NONE };

static void
close_segment(struct segmenter *g, int64_t end, enum take take)
{
	struct segment *s = &g->list[g->listed];
	int64_t dur = end - g->start;
	size_t counts[TRACKS_MAX];
	bool ready;
	int i, sec;

	memset(s, 0, sizeof(*s));
	s->n = g->next_n++;
	s->pts = g->start;
	s->dur = dur > 0 ? dur : 1;
	s->wall_ms = g->origin_ms + g->start / 90;
	s->discontinuity = g->broken && take != TAKE_NONE && (g->listed || s->n > 0);
	s->independent = true;
	g->broken = g->broken && take == TAKE_NONE;
	snprintf(s->file, sizeof(s->file), "%s-%" PRId64 "-%" PRId64 ".%s", g->broadcast, g->epoch, s->n,
		g->how.ts ? "ts" : "m4s");
	sec = (int)((s->dur + HZ / 2) / HZ);
	if (!g->target_s) {
		g->target_s = (g->how.target_ms + 999) / 1000;
		if (sec > g->target_s)
			g->target_s = sec;
		g->master_due = true;
	}
	for (i = 0; i < g->strands; i++) {
		const struct strand *k = &g->strand[i];

		counts[i] = take == TAKE_NONE ? 0 :
			take == TAKE_ALL      ? k->count :
						divide(g, i, end, &ready);
		if (k->video && counts[i])
			s->independent &= !k->samples[0].open &&
				(i != g->leader || k->samples[0].key);
	}
	if (!s->independent && !g->dependent)
		g->dependent = g->master_due = true;
	for (i = 0; i < g->strands; i++)
		seg_put_media(g, i, s, counts);
	for (i = 0; i < g->strands; i++)
		seg_drop_samples(&g->strand[i], counts[i]);
	seg_drop_cues(g, take == TAKE_ALL ? INT64_MAX : end);
	g->listed++;
	while (g->listed > g->how.window)
		seg_drop_first(g);
	for (i = 0; i < g->strands; i++)
		seg_put_playlist(g, i, false);
	seg_put_master(g);
	if (g->archive >= 0 &&
		(!g->archived_ms || clock_mono_ms() - g->archived_ms >= ARCHIVE_EVERY_MS))
		seg_put_archive(g, false);
	g->start = end;
	if (take != TAKE_NONE)
		g->media = end;
	g->fresh = false;
	seg_put_state(g);
	seg_expire(g, clock_wall_ms());
}

/* Whoever restarts us sends the last group of pictures again: it begins where the listed media ends. */
static void
skip_known(struct segmenter *g, struct strand *k)
{
	size_t i;

	if (!k->count || when(k, &k->samples[0]) < g->have - AGAIN)
		return; /* something else */
	for (i = 0; i < k->count; i++)
		if (when(k, &k->samples[i]) >= g->have - LEAD && (!k->video || k->samples[i].key))
			break;
	seg_drop_samples(k, i);
}

/* How long sound waits for a picture: longer when onMetaData has told of one. */
static int64_t
patience(const struct segmenter *g)
{
	int i;

	for (i = 0; i < g->strands; i++)
		if (g->strand[i].video && is_awaited(&g->strand[i]))
			return LATE;
	return g->fresh ? ALONE : 0;
}

void
seg_gap(struct segmenter *g, int64_t until)
{
	int64_t target = MS(g->how.target_ms);
	int n;

	for (n = 0; g->start + target <= until && n < g->how.window; n++) {
		close_segment(g, g->start + target, TAKE_NONE);
		g->hole = true;
	}
}

/* The first frame of a run: what lies before it in the other tracks has nowhere to go. */
static bool
start(struct segmenter *g, bool last)
{
	struct strand *k;
	int64_t first;
	size_t n;
	int i, j;

	if ((j = pick_leader(g)) < 0)
		return false;
	k = &g->strand[j];
	/* Sound that waits in vain for its picture goes alone. */
	if (!k->count && g->newest != INT64_MIN)
		for (i = 0; i < g->strands; i++) {
			struct strand *a = &g->strand[i];

			if (a->count && a->last - when(a, &a->samples[0]) > LATE + JUMP) {
				j = i;
				k = a;
				break;
			}
		}
	if (g->have)
		skip_known(g, k);
	if (!k->count || (k->video && !k->samples[0].key))
		return false;
	if (!k->video && !last && k->last - when(k, &k->samples[0]) < patience(g))
		return false;
	g->have = 0;
	g->leader = j;
	if (g->hole) {
		first = when(k, &k->samples[0]);
		seg_gap(g, first);
		if (first - g->start >= MS(100))
			close_segment(g, first, TAKE_NONE);
	}
	g->hole = false;
	g->start = when(k, &k->samples[0]);
	first = to_hz(k, k->samples[0].dts) - LEAD;
	if (g->start < 0)
		g->start = 0;
	for (j = 0; j < g->strands; j++) {
		k = &g->strand[j];
		if (j == g->leader)
			continue;
		for (n = 0; n < k->count && when(k, &k->samples[n]) < (k->video ? g->start - NEAR : first); n++)
			;
		seg_drop_samples(k, n);
	}
	g->started = true;
	g->cutting = false;
	return true;
}

/* A picture that was away while the sound went alone leads again, from its next key frame on. */
static bool
take_lead(struct segmenter *g, int64_t limit)
{
	int j = pick_leader(g);
	struct strand *k = j < 0 ? NULL : &g->strand[j];
	size_t i;
	int64_t t;

	if (!k || !k->video || g->strand[g->leader].video)
		return false;
	for (i = 0; i < k->count; i++)
		if (k->samples[i].key && when(k, &k->samples[i]) >= g->start - NEAR)
			break;
	if (i == k->count || (t = when(k, &k->samples[i])) - g->start > limit)
		return false;
	seg_drop_samples(k, i); /* nothing can be shown of what lies before */
	g->leader = j;
	if (t <= g->start + NEAR)
		return false;
	g->cut = t;
	return g->cutting = true;
}

/* The next instant to cut at, once the leader has shown it. */
static bool
decide(struct segmenter *g)
{
	struct strand *k;
	int64_t target = MS(g->how.target_ms), high, gop = 0, last, limit, t;
	size_t i;

	if (is_away(g, &g->strand[g->leader]))
		g->leader = pick_leader(g);
	limit = g->target_s ? (int64_t)g->target_s * HZ + HZ / 2 - 1 : GOP_MAX;
	if (take_lead(g, limit))
		return true;
	k = &g->strand[g->leader];
	last = g->start;
	high = g->start;
	for (i = 0; i < k->count; i++) {
		const struct sample *s = &k->samples[i];

		t = when(k, s);
		if (i && k->video && s->key) {
			gop = t - last;
			last = t;
			if (t - g->start >= target - MS(50) ||
				(t - g->start + gop > (g->target_s ? limit : target + HZ / 2) &&
					t - g->start >= MS(500))) {
				g->cut = t;
				return g->cutting = true;
			}
		}
		if (i && t >= high && !k->video && t - g->start >= target) {
			g->cut = t;
			return g->cutting = true;
		}
		/* Past the limit without a key frame: cut before the frame that would cross it. */
		if (i && t - g->start > limit) {
			g->cut = high > g->start ? high : t;
			return g->cutting = true;
		}
		if (t > high)
			high = t;
	}
	if (g->newest - g->start > target + LATE + limit ||
		(g->newest - g->start > target + LATE && k->last < g->start + target &&
			g->newest - k->last > LATE)) {
		g->cut = g->start + target; /* the leader is away, the others go on */
		return g->cutting = true;
	}
	return false;
}

void
seg_cut(struct segmenter *g)
{
	bool ready, waiting;
	int i;

	for (;;) {
		if (!g->started && !start(g, false))
			return;
		if (!g->cutting && !decide(g))
			return;
		waiting = false;
		for (i = 0; i < g->strands; i++) {
			struct strand *k = &g->strand[i];

			if (!k->known && (!is_awaited(k) || !g->fresh))
				continue;
			divide(g, i, g->cut, &ready);
			k->idle = !ready && (g->newest - g->cut > LATE || is_away(g, k));
			waiting |= !ready && !k->idle;
		}
		if (waiting)
			return;
		g->cutting = false;
		close_segment(g, g->cut, TAKE_DIVIDED);
	}
}

/* Everything that has come goes out; what comes next is a new run. */
void
seg_flush(struct segmenter *g)
{
	int64_t end = INT64_MIN;
	bool any = false;
	int i;

	if (!g->started)
		start(g, true);
	while (g->started && (g->cutting || decide(g))) {
		g->cutting = false;
		close_segment(g, g->cut, TAKE_DIVIDED);
	}
	for (i = 0; g->started && i < g->strands; i++) {
		struct strand *k = &g->strand[i];
		int64_t t = INT64_MIN, d;
		size_t j;

		for (j = 0; j < k->count; j++)
			if (when(k, &k->samples[j]) > t)
				t = when(k, &k->samples[j]);
		if (!k->count)
			continue;
		any = true;
		d = k->count > 1 ? k->samples[k->count - 1].dts - k->samples[k->count - 2].dts :
				   k->last_dur;
		t += to_hz(k, d > 0 ? d : 1);
		if (i == g->leader || (end == INT64_MIN && !g->strand[g->leader].count))
			end = t;
	}
	if (any && end > g->start) {
		int64_t limit = (int64_t)g->target_s * HZ + HZ / 2 - 1;

		if (g->target_s && end - g->start > limit)
			end = g->start + limit;
		close_segment(g, end, TAKE_ALL);
	}
	for (i = 0; i < g->strands; i++) {
		seg_drop_samples(&g->strand[i], g->strand[i].count);
		buf_clear(&g->strand[i].data);
		g->strand[i].ahead = 0;
		g->strand[i].last = INT64_MIN;
		g->strand[i].grid = (struct timeline_sound){ 0 };
	}
	g->started = g->cutting = false;
	g->newest = INT64_MIN;
	g->broken = g->broken || g->listed || !g->fresh;
}
