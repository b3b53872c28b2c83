#include "transcode_parts.h"

#include <errno.h>

#include "event.h"

#define SLATE_AFTER_MS 2000 /* longer than the keeper waits for who said goodbye */
#define SLATE_STEP_MS 100   /* a picture that stands still needs no more */
#define SLATE_BACK_MS 10000 /* what more is missing stays missing */

int
transcode_still(struct transcode *t, const AVFrame *f)
{
	t->still_pts = f->pts;
	if (t->how.slate || !t->how.freeze || t->slating)
		return 0;
	av_frame_unref(t->still);
	return av_frame_ref(t->still, f);
}

static void
tell(const char *name, int64_t ms)
{
	struct event e;

	event_begin(&e, name);
	event_int(&e, "pts_ms", ms);
	event_send(&e);
}

int
transcode_slate(struct transcode *t)
{
	AVFrame *f = t->how.slate ? t->how.slate : t->still;
	int64_t at = t->at, step = SLATE_STEP_MS;
	int r = 0;

	if (!t->steps || !f || !f->data[0] || t->still_pts == NEVER || at - t->media_at < SLATE_AFTER_MS)
		return 0;
	if (at - t->still_pts > SLATE_BACK_MS)
		t->still_pts = at - SLATE_BACK_MS;
	if (!t->running) {
		r = transcode_begin_run(t, t->still_pts + step);
		t->at = at;
	}
	if (!t->slating)
		tell("slate.started", t->still_pts + step);
	t->slating = true;
	while (r >= 0 && t->still_pts + step <= at) {
		f->pts = t->video_at = t->still_pts + step;
		r = transcode_picture(t, f);
		t->still_pts = f->pts;
	}
	return r < 0 ? r : transcode_silence(t, at);
}

void
transcode_slate_ends(struct transcode *t)
{
	if (t->slating)
		tell("slate.ended", t->at);
	t->slating = false;
}
