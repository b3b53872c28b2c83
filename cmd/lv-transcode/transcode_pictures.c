#include "transcode_parts.h"

#include <errno.h>

#include "die.h"

void
transcode_lose(struct transcode *t, int r, const char *what)
{
	char why[AV_ERROR_MAX_STRING_SIZE];

	t->lost++;
	av_strerror(r, why, sizeof(why));
	if (!t->told_lost)
		warning(0, "%s cannot be used: %s; left out", what, why);
	t->told_lost = true;
}

static void
measure_rate(struct transcode *t, int64_t pts)
{
	int64_t sum = 0, d = t->last_pts == NEVER ? 0 : pts - t->last_pts;
	int i;

	if (d <= 0 || d > 1000) {
		t->intervals = 0;
		return;
	}
	t->interval[t->intervals++ % CADENCE] = d;
	if (t->intervals < CADENCE || t->intervals % CADENCE)
		return;
	for (i = 0; i < CADENCE; i++)
		sum += t->interval[i];
	t->fps = CADENCE * 1000.0 / (double)sum;
}

static bool
is_source_idr(struct transcode *t, int64_t pts)
{
	int i;

	for (i = 0; i < IDRS; i++)
		if (t->idr[i] == pts) {
			t->idr[i] = NEVER;
			return true;
		}
	return false;
}

/* An IDR of the source, or the picture nearest the time one is due; once, for all rungs. */
static bool
wants_idr(struct transcode *t, int64_t pts)
{
	int64_t half = t->last_pts == NEVER || pts - t->last_pts > 1000 ? 0 : (pts - t->last_pts) / 2;

	if (is_source_idr(t, pts)) {
		t->due = pts + t->how.target_ms;
		return true;
	}
	if (t->due == NEVER || pts + half < t->due)
		return false;
	while (t->due <= pts + half)
		t->due += t->how.target_ms;
	return true;
}

static void
picture_rates(struct transcode *t)
{
	double fps = t->fps > 0 ? t->fps : t->fps_told;
	int i;

	for (i = 0; i < t->ladder.count; i++)
		t->step[i].divisor = ladder_divisor(fps, t->step[i].rung->fps);
}

/* A picture's captions go to every rung, and so does what a rung that leaves the picture out would lose. */
static int
take_captions(struct transcode *t, const AVFrame *f)
{
	const AVFrameSideData *d = av_frame_get_side_data(f, AV_FRAME_DATA_A53_CC);
	int i, r;

	for (i = 0; d && !t->slating && i < t->steps; i++) {
		struct step *s = &t->step[t->order_of[i]];

		if (!s->off && (r = video_captions(s->video, d->data, d->size)) < 0) {
			if (r == -ENOMEM)
				return r;
			transcode_lose(t, r, "captions");
		}
	}
	return 0;
}

static int
encode(struct transcode *t, const AVFrame *f)
{
	const AVFrame *from = f, *scaled;
	bool idr, own, first = t->due == NEVER;
	int i, r;

	if ((r = take_captions(t, f)) < 0)
		return r;
	if (t->last_pts != NEVER && f->pts <= t->last_pts)
		return 0; /* a time already used */
	idr = wants_idr(t, f->pts) || first;
	if (first)
		t->due = f->pts + t->how.target_ms;
	if (!t->slating)
		measure_rate(t, f->pts);
	t->last_pts = f->pts;
	if ((r = transcode_still(t, f)) < 0)
		return r;
	if (idr) {
		t->phase = 0;
		picture_rates(t);
	}
	if (t->poster && (r = poster_look(t->poster, f)) < 0)
		transcode_lose(t, r, "a picture for the poster");
	for (i = 0; i < t->steps; i++) {
		struct step *s = &t->step[t->order_of[i]];
		bool half = t->shed.level && (t->phase / s->divisor) % 2;

		if (s->off && idr && t->shed.level < 2 + i) {
			s->off = false;
			video_floor(s->video, f->pts);
		}
		if (s->off || (!idr && t->phase % s->divisor)) {
			from = f;
			continue;
		}
		if (half && !idr) {
			t->lost++;
			from = f;
			continue;
		}
		if (from->width < s->rung->width || from->height < s->rung->height)
			from = f;
		own = s->rung->gop_ms && f->pts - s->idr >= s->rung->gop_ms;
		if (idr || own)
			s->idr = f->pts;
		if ((r = video_push(s->video, from, idr || own, &scaled)) == -ENOMEM)
			return r;
		if (r < 0)
			transcode_lose(t, r, "a picture");
		from = r >= 0 && scaled ? scaled : f;
	}
	t->phase++;
	return 0;
}

static int
on_whole(void *arg, AVFrame *f)
{
	return encode(arg, f);
}

int
transcode_picture(void *arg, AVFrame *f)
{
	struct transcode *t = arg;

	if (!t->slating && (t->deinterlace || deinterlace_needed(f))) {
		int r = deinterlace_push(&t->deinterlace, f, on_whole, t);

		if (r < 0 && r != -ENOMEM) {
			transcode_lose(t, r, "an interlaced picture");
			return 0;
		}
		return r;
	}
	return encode(t, f);
}

int
transcode_drain_pictures(struct transcode *t)
{
	int i, r = 0, e;

	if (t->video)
		r = decoder_flush(t->video, transcode_picture, t);
	if ((e = deinterlace_drain(&t->deinterlace, on_whole, t)) == -ENOMEM)
		r = e;
	for (i = 0; i < t->steps; i++)
		if ((e = video_drain(t->step[t->order_of[i]].video)) == -ENOMEM)
			r = e;
	t->due = t->last_pts = NEVER;
	t->intervals = 0;
	for (i = 0; i < IDRS; i++)
		t->idr[i] = NEVER;
	return r;
}
