#include "transcode_parts.h"

#include <errno.h>

#define SILENCE_LATE_MS 1000 /* sound is waited for so long, and while it is away: */
#define SILENCE_AWAY_MS 200

int
transcode_sound(void *arg, AVFrame *f)
{
	struct transcode *t = arg;
	int i, r;

	for (i = 0; i < t->ladder.count; i++)
		if (t->step[i].audio && (r = audio_push(t->step[i].audio, f)) < 0) {
			if (r == -ENOMEM)
				return r;
			transcode_lose(t, r, "a frame of sound");
		}
	return 0;
}

int
transcode_silence(struct transcode *t, int64_t until)
{
	int i, r;

	for (i = 0; i < t->ladder.count; i++)
		if (t->step[i].audio && (r = audio_fill(t->step[i].audio, until)) < 0)
			return r;
	return 0;
}

/* Where sound does not come, or not in time, silence takes its place. */
int
transcode_fill_silence(struct transcode *t)
{
	bool away = t->audio_at == NEVER || t->at - t->audio_at > STALE_MS;

	return transcode_silence(t, t->at - (away ? SILENCE_AWAY_MS : SILENCE_LATE_MS));
}

/* ---- runs ---- */

int
transcode_begin_run(struct transcode *t, int64_t dts)
{
	int i, r;

	for (i = 0; i < t->ladder.count; i++) {
		struct step *s = &t->step[i];

		if (s->video)
			video_floor(s->video, dts);
		if (s->audio && (r = audio_begin(s->audio, dts)) < 0)
			return r;
	}
	t->running = true;
	t->at = t->video_at = dts;
	t->audio_at = NEVER;
	return 0;
}

int
transcode_end_run(struct transcode *t)
{
	int i, r, e;

	r = transcode_drain_pictures(t);
	if (t->audio && (e = decoder_flush(t->audio, transcode_sound, t)) < 0)
		r = e;
	for (i = 0; i < t->ladder.count; i++)
		if (t->step[i].audio && (e = audio_drain(t->step[i].audio)) == -ENOMEM)
			r = e;
	t->running = false;
	if ((e = order_release(t->order, INT64_MAX, &t->out)) < 0)
		r = e;
	return r;
}

/* What can no longer be preceded by anything leaves. */
int
transcode_release(struct transcode *t)
{
	int64_t low = t->at, p;
	int i;

	for (i = 0; t->running && i < t->ladder.count; i++) {
		struct step *s = &t->step[i];

		if (s->audio && (p = audio_promise(s->audio)) < low)
			low = p;
		if (s->video && !s->off && t->video_at != NEVER && (p = video_promise(s->video)) < low)
			low = p;
	}
	return order_release(t->order, low, &t->out);
}
