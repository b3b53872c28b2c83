#include "timeline.h"

#include <stddef.h>

#define HALF (INT64_C(1) << 31)

void
timeline_session(struct timeline *t, int64_t now)
{
	int i;

	for (i = 0; i < TIMELINE_TRACKS; i++)
		t->track[i].seen = false;
	t->begun = false;
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
	const struct timeline_place *q = companion(t, p);

	if (q && away(p->raw + q->offset, at) <= TIMELINE_JUMP_MS)
		p->offset = q->offset;
	else
		p->offset = at - p->raw;
}

const char *
timeline_map(struct timeline *t, enum timeline_track track, uint32_t stamp, int64_t now, int64_t *dts)
{
	struct timeline_place *p = &t->track[track];
	const struct timeline_place *q = companion(t, p);
	const char *why = NULL;
	int64_t step, base = p->seen ? p->raw : q ? q->raw : (int64_t)stamp;

	step = (int32_t)(stamp - (uint32_t)base);
	if (step < 0 && away(step, -HALF) <= TIMELINE_JUMP_MS) /* a wrap after 31 bits */
		step += HALF;
	p->raw = base + step;
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
	*dts = p->raw + p->offset;
	if (*dts < p->last)
		*dts = p->last;
	p->last = *dts;
	timeline_now(t, *dts);
	return why;
}
