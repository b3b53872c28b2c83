#include "timeline.h"

#include <stddef.h>

#define HALF (INT64_C(1) << 31)
#define STAYS 4   /* frames of sound that are off before anything is done */
#define FINEST 40 /* a step of the grid of sound is at most this part of a second */

void
timeline_session(struct timeline *t, int64_t now)
{
	int i;

	for (i = 0; i < TIMELINE_TRACKS; i++)
		t->track[i].seen = false;
	t->begun = false;
	t->cts = t->cts_shift = 0;
	timeline_now(t, now);
}

int64_t
timeline_now(struct timeline *t, int64_t now)
{
	if (now > t->newest)
		t->newest = now;
	return t->newest;
}

/* Another track of this session, whose offset a track that begins or jumps can share. */
static const struct timeline_place *
companion(const struct timeline *t, const struct timeline_place *p)
{
	const struct timeline_place *q;

	for (q = t->track; q < t->track + TIMELINE_TRACKS; q++)
		if (q != p && q->seen)
			return q;
	return NULL;
}

static int64_t
away(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* The newest time; the wall clock's when that is far ahead, or nothing is there yet. */
static int64_t
newest(const struct timeline *t, int64_t now)
{
	return now > t->newest && (!t->begun || now - t->newest > TIMELINE_LATE_MS) ? now : t->newest;
}

/* Where a track goes on after a jump: with the others if that fits, else at the time given. */
static void
anchor(struct timeline *t, struct timeline_place *p, int64_t at)
{
	const struct timeline_place *q;

	p->offset = at - p->raw;
	for (q = t->track; q < t->track + TIMELINE_TRACKS; q++)
		if (q != p && q->seen && away(p->raw + q->offset, at) <= TIMELINE_JUMP_MS) {
			p->offset = q->offset;
			return;
		}
}

/* The stamp without its wraps, in the place; how far it is from the one before. */
static int64_t
unwrap(const struct timeline *t, struct timeline_place *p, uint32_t stamp)
{
	const struct timeline_place *q = companion(t, p);
	int64_t base = p->seen ? p->raw : q ? q->raw : (int64_t)stamp;
	int64_t step = (int32_t)(stamp - (uint32_t)base);

	if (step < 0 && away(step, -HALF) <= TIMELINE_JUMP_MS) /* a wrap after 31 bits */
		step += HALF;
	p->raw = base + step;
	return step;
}

/* Where the tag lies, now that its place has an offset; no track's time goes back. */
static int64_t
settle(struct timeline *t, struct timeline_place *p)
{
	int64_t dts = p->raw + p->offset;

	if (dts < p->last)
		dts = p->last;
	p->last = dts;
	timeline_now(t, dts);
	return dts;
}

const char *
timeline_map(struct timeline *t, enum timeline_track track, uint32_t stamp, int64_t now, int64_t *dts)
{
	struct timeline_place *p = &t->track[track];
	int64_t step = unwrap(t, p, stamp);
	const char *why = NULL;

	if (!p->seen) {
		anchor(t, p, newest(t, now));
		p->seen = t->begun = true;
	} else if (step > TIMELINE_JUMP_MS && p->raw + p->offset > now + TIMELINE_JUMP_MS) {
		/* A step as long as the wall clock's own is a pause, and stays as it is. */
		anchor(t, p, newest(t, now));
		why = "time jumped ahead";
	} else if (step > TIMELINE_STEP_MS && p->raw + p->offset > t->newest &&
		p->raw + p->offset > now + TIMELINE_AHEAD_MS) {
		anchor(t, p, newest(t, now));
		why = "time runs ahead of the clock";
	} else if (step < -TIMELINE_JUMP_MS) {
		anchor(t, p, newest(t, now));
		why = "time jumped back";
	} else if (p->raw + p->offset < now - TIMELINE_LATE_MS) {
		anchor(t, p, now > t->newest ? now : t->newest);
		why = "the publisher fell behind the clock";
	}
	*dts = settle(t, p);
	return why;
}

static bool
absurd(int64_t cts)
{
	return cts < TIMELINE_CTS_MIN || cts > TIMELINE_CTS_MAX;
}

const char *
timeline_cts(struct timeline *t, int32_t *cts)
{
	const char *why = NULL;

	if (t->cts_shift && !absurd(*cts)) { /* it has come to its senses */
		t->cts_shift = 0;
		why = "composition times are in place again";
	} else if (absurd((int64_t)*cts + t->cts_shift)) {
		t->cts_shift = t->cts - *cts;
		why = "a composition time out of place";
	}
	t->cts = *cts += t->cts_shift;
	return why;
}

const char *
timeline_follow(struct timeline *t, int track, uint32_t stamp, int64_t *dts)
{
	struct timeline_place *p = &t->track[track];
	const struct timeline_place *q = companion(t, p);
	int64_t step = unwrap(t, p, stamp);
	const char *why = NULL;

	if (!p->seen) {
		p->offset = q ? q->offset : 0;
		p->seen = t->begun = true;
		step = p->raw + p->offset < t->newest - TIMELINE_LATE_MS ? -TIMELINE_LATE_MS : 0;
	}
	if (step < -TIMELINE_JUMP_MS) {
		anchor(t, p, t->newest);
		why = "time jumped back";
	} else if (step > TIMELINE_JUMP_MS && p->raw + p->offset > t->newest + TIMELINE_JUMP_MS) {
		why = "time jumped ahead";
	}
	*dts = settle(t, p);
	return why;
}

bool
timeline_sound(struct timeline_sound *s, int rate, int frame, int64_t *at)
{
	int64_t step = frame, grid, off;

	while (step > 1 && step > rate / FINEST)
		step /= 2;
	grid = (*at + step / 2) / step * step;
	if (!s->begun)
		s->next = grid;
	s->begun = true;
	off = *at - s->next;
	s->off = off > frame || off < -frame ? s->off + 1 : 0;
	if (off > rate || (s->off >= STAYS && off > 0)) {
		s->next = grid;
		s->off = 0;
	} else if (s->off >= STAYS) {
		s->off = 0;
		return false;
	}
	*at = s->next;
	s->next += frame;
	return true;
}
