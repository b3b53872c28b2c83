#include "transcode_parts.h"

#include <stdio.h>
#include <string.h>

int
transcode_put_packet(struct transcode *t, int64_t dts, const struct flv_packet *p)
{
	flv_put_packet(&t->tag, dts, p);
	return order_put(t->order, dts, &t->tag);
}

double
transcode_fps(const struct transcode *t, const struct rung *r)
{
	double fps = t->fps > 0 ? t->fps : t->fps_told;

	return fps > 0 ? fps / ladder_divisor(fps, r->fps) : r->fps;
}

/* The rungs that a sound belongs to: all of its rate; a source without sound has the first one's. */
static void
name_sound(const struct transcode *t, const struct step *s, char name[TRACKS_RUNG])
{
	size_t n = 0;
	int i;

	for (i = 0; i < t->ladder.count && n < TRACKS_RUNG; i++) {
		const struct rung *r = &t->ladder.rung[i];
		bool lent = r->source && t->silent && t->voice == s;

		if (lent || (!r->source && r->audio_kbps == s->rung->audio_kbps))
			n += (size_t)snprintf(name + n, TRACKS_RUNG - n, "%s%s", n ? "+" : "", r->name);
	}
}

/* Our onMetaData: the source as it told of itself, then every rung. */
static void
describe(const struct transcode *t, struct tracks *all)
{
	const struct track *k;
	int i;

	memset(all, 0, sizeof(*all));
	if (t->passing) {
		struct track *to = &all->track[all->count];

		if ((k = tracks_find(&t->told, FLV_VIDEO, 0)))
			*to = *k;
		if (k || t->seen_video) {
			snprintf(to->rung, sizeof(to->rung), "source");
			to->type = FLV_VIDEO;
			if (!to->codec)
				to->codec = t->video_codec ? t->video_codec : FLV_AVC;
			if (!to->width && t->width) {
				to->width = t->width;
				to->height = t->height;
			}
			if (!(to->fps > 0))
				to->fps = t->fps > 0 ? t->fps : t->fps_told;
			all->count++;
		}
		k = tracks_find(&t->told, FLV_AUDIO, 0);
		if (!t->silent && (k || t->seen_audio)) {
			to = &all->track[all->count];
			if (k)
				*to = *k;
			snprintf(to->rung, sizeof(to->rung), "source");
			to->type = FLV_AUDIO;
			if (!to->codec)
				to->codec = t->audio_codec ? t->audio_codec : FLV_AAC;
			all->count++;
		}
	}
	for (i = 0; i < t->ladder.count; i++) {
		const struct step *s = &t->step[i];

		if (s->video)
			all->track[all->count++] = (struct track){ .type = FLV_VIDEO, .id = s->track,
				.codec = video_codec(s->video), .width = s->rung->width, .height = s->rung->height,
				.fps = transcode_fps(t, s->rung), .kbps = s->rung->video_kbps };
		if (s->video)
			snprintf(all->track[all->count - 1].rung, TRACKS_RUNG, "%s", s->rung->name);
		if (s->audio) {
			struct track *to = &all->track[all->count++];

			*to = (struct track){ .type = FLV_AUDIO, .id = s->sound_track, .codec = FLV_AAC,
				.kbps = s->rung->audio_kbps, .sample_rate = 48000, .channels = 2 };
			name_sound(t, s, to->rung);
		}
	}
}

int
transcode_put_metadata(struct transcode *t, int64_t dts)
{
	struct tracks all;

	describe(t, &all);
	tracks_put(&t->tag, dts, &all);
	return order_put(t->order, dts, &t->tag);
}
