/* Taglog: what a tag is, and where groups of pictures begin. */
#include "taglog_parts.h"

#include "mark.h"

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

int
taglog_judge(struct taglog *t, struct rec *r, const struct flv_tag *tag, const uint8_t *raw)
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
