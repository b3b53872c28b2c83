#include "transcode.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aac.h"
#include "audio.h"
#include "clock.h"
#include "decode.h"
#include "deinterlace.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "h264.h"
#include "json.h"
#include "mark.h"
#include "order.h"
#include "poster.h"
#include "shed.h"
#include "tracks.h"
#include "video.h"

#define HOLD_MAX (32 << 20)   /* bytes before the ladder is decided */
#define HOLD_MS 1000          /* for what nothing has told of; three times as long for what was told */
#define STALE_MS 1500         /* a picture or a sound that has not come for so long is away */
#define SILENCE_LATE_MS 1000  /* sound is waited for so long, and while it is away: */
#define SILENCE_AWAY_MS 200
#define HEAD_MAX 65536        /* bytes of decoder configuration */
#define CADENCE 32            /* intervals that the frame rate is measured over */
#define IDRS 32               /* IDR pictures inside the decoder */
#define MEASURE_MS 10000
#define LOOK_MS 250           /* how often the lag is looked at */
#define NEVER INT64_MIN

struct step { /* a rung of the ladder, as it runs */
	struct transcode *t;
	const struct rung *rung;
	struct video *video;
	struct audio *audio;
	uint8_t track, sound_track;
	int divisor;
	int64_t idr; /* the newest one */
	bool off;    /* shed */
};

struct transcode {
	struct transcode_options how;
	struct ladder ladder;
	struct step step[LADDER_MAX];
	int order_of[LADDER_MAX], steps; /* pictures, the largest first */
	struct step *voice;              /* the first with a sound */
	struct order *order;
	struct buf out, tag, held;
	struct tracks told; /* by the source's onMetaData */
	struct decoder *video, *audio;
	struct deinterlace *deinterlace;
	struct poster *poster;
	struct buf video_head, audio_head;
	int nal_len;
	bool decided, replaying, running, passing, silent; /* silent: the source had no sound */
	bool seen_video, seen_audio, marked, ended, told_extra, told_lost;
	char broadcast[27];
	int64_t origin_ms;
	int width, height; /* of the source as it is shown, when the ladder was decided */
	int64_t first, at, video_at, audio_at; /* times of tags; NEVER: none */
	int64_t idr[IDRS];
	unsigned idrs;
	/* pictures */
	int64_t due, last_pts;
	int phase;
	double fps, fps_told;
	int64_t interval[CADENCE];
	unsigned intervals;
	/* load */
	struct shed shed;
	int64_t looked, measured, measured_at;
	int64_t in, made, lost, reported_in, reported_made, reported_lost;
};

/* ---- out ---- */

static int
put_packet(struct transcode *t, int64_t dts, const struct flv_packet *p)
{
	flv_put_packet(&t->tag, dts, p);
	return order_put(t->order, dts, &t->tag);
}

static int
write_video(void *arg, int64_t dts, const struct flv_packet *p)
{
	struct step *s = arg;
	struct flv_packet q = *p;

	q.track = s->track;
	if (p->kind == FLV_FRAME)
		s->t->made++;
	return put_packet(s->t, dts, &q);
}

static int
write_audio(void *arg, int64_t dts, const struct flv_packet *p)
{
	struct step *s = arg;
	struct flv_packet q = *p;

	q.track = s->sound_track;
	return put_packet(s->t, dts, &q);
}

static double
rung_fps(const struct transcode *t, const struct rung *r)
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
				to->codec = FLV_AVC;
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
				to->codec = FLV_AAC;
			all->count++;
		}
	}
	for (i = 0; i < t->ladder.count; i++) {
		const struct step *s = &t->step[i];

		if (s->video)
			all->track[all->count++] = (struct track){ .type = FLV_VIDEO, .id = s->track,
				.codec = FLV_AVC, .width = s->rung->width, .height = s->rung->height,
				.fps = rung_fps(t, s->rung), .kbps = s->rung->video_kbps };
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

static int
put_metadata(struct transcode *t, int64_t dts)
{
	struct tracks all;

	describe(t, &all);
	tracks_put(&t->tag, dts, &all);
	return order_put(t->order, dts, &t->tag);
}

/* ---- pictures ---- */

static void
note_loss(struct transcode *t, int r, const char *what)
{
	t->lost++;
	if (!t->told_lost)
		warning(0, "%s cannot be used (error %d): left out", what, r);
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

static int
encode(struct transcode *t, const AVFrame *f)
{
	const AVFrame *from = f, *scaled;
	bool idr, own, first = t->due == NEVER;
	int i, r;

	if (t->last_pts != NEVER && f->pts <= t->last_pts)
		return 0; /* a time already used */
	idr = wants_idr(t, f->pts) || first;
	if (first)
		t->due = f->pts + t->how.target_ms;
	measure_rate(t, f->pts);
	t->last_pts = f->pts;
	if (idr) {
		t->phase = 0;
		picture_rates(t);
	}
	if (t->poster && (r = poster_look(t->poster, f)) < 0)
		note_loss(t, r, "a picture for the poster");
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
			note_loss(t, r, "a picture");
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

static int
on_picture(void *arg, AVFrame *f)
{
	struct transcode *t = arg;

	if (t->deinterlace || deinterlace_needed(f)) {
		int r = deinterlace_push(&t->deinterlace, f, on_whole, t);

		if (r < 0 && r != -ENOMEM) {
			note_loss(t, r, "an interlaced picture");
			return 0;
		}
		return r;
	}
	return encode(t, f);
}

static int
drain_pictures(struct transcode *t)
{
	int i, r = 0, e;

	if (t->video)
		r = decoder_flush(t->video, on_picture, t);
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

/* ---- sound ---- */

static int
on_sound(void *arg, AVFrame *f)
{
	struct transcode *t = arg;
	int i, r;

	for (i = 0; i < t->ladder.count; i++)
		if (t->step[i].audio && (r = audio_push(t->step[i].audio, f)) < 0) {
			if (r == -ENOMEM)
				return r;
			note_loss(t, r, "a frame of sound");
		}
	return 0;
}

/* Where sound does not come, or not in time, silence takes its place. */
static int
fill_silence(struct transcode *t)
{
	bool away = t->audio_at == NEVER || t->at - t->audio_at > STALE_MS;
	int64_t until = t->at - (away ? SILENCE_AWAY_MS : SILENCE_LATE_MS);
	int i, r;

	for (i = 0; i < t->ladder.count; i++)
		if (t->step[i].audio && (r = audio_fill(t->step[i].audio, until)) < 0)
			return r;
	return 0;
}

/* ---- runs ---- */

static int
begin_run(struct transcode *t, int64_t dts)
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

static int
end_run(struct transcode *t)
{
	int i, r, e;

	r = drain_pictures(t);
	if (t->audio && (e = decoder_flush(t->audio, on_sound, t)) < 0)
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
static int
release(struct transcode *t)
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

/* ---- load ---- */

static void
tell_load(struct transcode *t, const char *what)
{
	struct event e;

	event_begin(&e, what);
	event_int(&e, "level", t->shed.level);
	event_int(&e, "lag_ms", t->shed.lag);
	event_send(&e);
}

static void
look_at_load(struct transcode *t)
{
	int64_t now = clock_mono_ms();
	int before = t->shed.level, level, i;
	struct event e;

	if (!t->measured_at) {
		t->measured_at = now;
		t->measured = t->at;
	}
	if (now - t->measured_at >= MEASURE_MS) {
		event_begin(&e, "transcode.measured");
		event_num(&e, "speed", (double)(t->at - t->measured) / (double)(now - t->measured_at), 3);
		event_int(&e, "frames_in", t->in - t->reported_in);
		event_int(&e, "frames_out", t->made - t->reported_made);
		event_int(&e, "frames_dropped", t->lost - t->reported_lost);
		if (t->how.live)
			event_int(&e, "lag_ms", t->shed.lag);
		event_send(&e);
		t->measured_at = now;
		t->measured = t->at;
		t->reported_in = t->in;
		t->reported_made = t->made;
		t->reported_lost = t->lost;
	}
	if (!t->how.live || !t->origin_ms || now - t->looked < LOOK_MS)
		return;
	t->looked = now;
	level = shed_look(&t->shed, now, clock_wall_ms() - t->origin_ms - t->at, 1 + t->steps);
	if (level == before)
		return;
	tell_load(t, level > before ? "load.shed" : "load.eased");
	if (level > before)
		warning(0, "%lld ms behind: %s", (long long)t->shed.lag,
			level == 1 ? "every second picture of the rungs is left out" : "a rung is left out");
	for (i = 0; i < t->steps; i++) {
		struct step *s = &t->step[t->order_of[i]];

		if (level >= 2 + i && !s->off) {
			s->off = true;
			t->lost += video_abandon(s->video);
		}
	}
}

/* ---- the ladder ---- */

static void
keep_state(const struct transcode *t)
{
	char text[LADDER_MAX * LADDER_SPEC + 512], all[LADDER_MAX * LADDER_SPEC + 16];
	struct json j;
	size_t n = 0;
	int i, r;

	if (t->how.state < 0)
		return;
	*all = '\0';
	for (i = 0; i < t->how.asked.count; i++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? " " : "",
			t->how.asked.rung[i].spec);
	json_begin(&j, text, sizeof(text));
	json_str(&j, "broadcast", t->broadcast);
	json_int(&j, "width", t->width);
	json_int(&j, "height", t->height);
	json_bool(&j, "sound", !t->silent);
	json_str(&j, "rungs", all);
	r = json_end(&j);
	if (r >= 0)
		r = file_put(t->how.state, t->how.state_name, true, text, (size_t)r);
	if (r < 0)
		warning(r, "cannot write the state to %s", t->how.state_name);
}

/* What a process before us decided for this broadcast: true, and it is taken over. */
static bool
get_state(struct transcode *t)
{
	char why[LADDER_WHY], *rungs, *spec, *save = NULL;
	struct ladder asked = { 0 };
	struct buf b = { 0 };
	json_t *o = NULL;
	const char *s;
	bool good = false;

	if (t->how.state < 0 || !*t->broadcast ||
		file_get(t->how.state, t->how.state_name, 1 << 16, &b) < 0)
		goto out;
	o = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL);
	if (!(s = json_string_value(json_object_get(o, "broadcast"))) || strcmp(s, t->broadcast) ||
		!(s = json_string_value(json_object_get(o, "rungs"))) || !(rungs = strdup(s)))
		goto out;
	good = true;
	for (spec = strtok_r(rungs, " ", &save); spec && good; spec = strtok_r(NULL, " ", &save))
		good = ladder_add(&asked, spec, why) == 0;
	free(rungs);
	if (!good || !asked.count)
		goto out;
	t->how.asked = asked;
	t->width = (int)json_integer_value(json_object_get(o, "width"));
	t->height = (int)json_integer_value(json_object_get(o, "height"));
	t->silent = json_is_false(json_object_get(o, "sound"));
	t->seen_video |= t->width > 0;
	t->seen_audio |= !t->silent;
out:
	json_decref(o);
	buf_free(&b);
	return good;
}

static void
tell_ladder(const struct transcode *t)
{
	char text[1024];
	struct event e;
	size_t n = 0;
	int i;

	*text = '\0';
	for (i = 0; i < t->ladder.count; i++) {
		const struct rung *r = &t->ladder.rung[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", r->name);
		if (r->video_kbps)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "=%dx%d", r->width, r->height);
	}
	event_begin(&e, "ladder.decided");
	event_int(&e, "width", t->width);
	event_int(&e, "height", t->height);
	event_bool(&e, "sound", !t->silent);
	event_str(&e, "rungs", text);
	event_send(&e);
	inform("the source is %dx%d%s; the ladder: %s", t->width, t->height,
		t->silent ? " without sound" : "", text);
}

/* Does a rung before this one have a sound of the same rate? */
static bool
spoken_for(const struct transcode *t, int i)
{
	int j;

	for (j = 0; j < i; j++)
		if (t->step[j].audio && t->ladder.rung[j].audio_kbps == t->ladder.rung[i].audio_kbps)
			return true;
	return false;
}

static int take(struct transcode *, const struct flv_tag *);

static int
decide(struct transcode *t)
{
	struct flv_reader *again = NULL;
	struct flv_tag tag;
	int i, j, n = 0, r;

	ladder_decide(&t->how.asked, t->width, t->height, &t->ladder);
	for (i = 0; i < t->ladder.count; i++) {
		struct step *s = &t->step[i];
		const struct rung *g = &t->ladder.rung[i];

		s->t = t;
		s->rung = g;
		s->divisor = 1;
		if (g->source) {
			t->passing = true;
			continue;
		}
		s->track = s->sound_track = (uint8_t)++n;
		if (g->video_kbps && (r = video_new(&s->video, g, rung_fps(t, g), write_video, s)) < 0)
			return r == -ENOMEM ? r : -ENOTSUP;
		if (g->audio_kbps && !spoken_for(t, i) && (r = audio_new(&s->audio, g->audio_kbps, write_audio, s)) < 0)
			return r;
		if (s->audio && !t->voice)
			t->voice = s;
		if (!s->video)
			continue;
		for (j = t->steps++; j > 0 && t->ladder.rung[t->order_of[j - 1]].width < g->width; j--)
			t->order_of[j] = t->order_of[j - 1];
		t->order_of[j] = i;
	}
	keep_state(t);
	tell_ladder(t);
	t->decided = true;
	t->silent &= t->voice != NULL;
	/* The probe's decoders have seen the beginning: it is decoded again. */
	decoder_free(&t->video);
	decoder_free(&t->audio);
	buf_clear(&t->video_head);
	buf_clear(&t->audio_head);
	if (flv_reader_new(&again, 0) < 0 ||
		flv_reader_feed(again, buf_data(&t->held), buf_len(&t->held)) < 0)
		return -ENOMEM;
	r = t->marked ? 0 : put_metadata(t, t->first); /* a session mark comes first, then it */
	if (r == 0)
		while ((r = flv_reader_next(again, &tag)) > 0)
			if ((r = take(t, &tag)) < 0)
				break;
	flv_reader_free(&again);
	buf_free(&t->held);
	return r < 0 ? r : 0;
}

/* ---- in ---- */

static bool
same(const struct buf *b, const struct flv_packet *p)
{
	return buf_len(b) == p->size && !memcmp(buf_data(b), p->data, p->size);
}

/* A track's decoder for the packet's configuration; what was inside the old one comes out first. */
static int
take_head(struct transcode *t, const struct flv_packet *p)
{
	bool video = p->type == FLV_VIDEO;
	struct decoder **d = video ? &t->video : &t->audio;
	struct buf *head = video ? &t->video_head : &t->audio_head;
	struct h264_config c;
	int r = 0;

	if (p->size > HEAD_MAX || (*d && same(head, p)))
		return 0;
	if (*d && t->decided)
		r = decoder_flush(*d, video ? on_picture : on_sound, t);
	decoder_free(d);
	buf_clear(head);
	if (r < 0 || (r = buf_append(head, p->data, p->size)) < 0)
		return r;
	if (video && p->codec == FLV_AVC) {
		if (h264_config_parse(p->data, p->size, &c) < 0)
			return 0;
		t->nal_len = c.nal_len;
		if (c.fps > 0 && c.fps < 1000)
			t->fps_told = c.fps;
	}
	if ((r = decoder_new(d, p)) < 0 && r != -ENOMEM) {
		note_loss(t, r, video ? "the video's codec" : "the audio's codec");
		r = 0;
	}
	return r;
}

static bool
is_idr(const struct transcode *t, const struct flv_packet *p)
{
	return p->codec == FLV_AVC ? h264_idr(p->data, p->size, t->nal_len) : p->key;
}

static int
take_frame(struct transcode *t, int64_t dts, const struct flv_packet *p)
{
	bool video = p->type == FLV_VIDEO;
	struct decoder **d = video ? &t->video : &t->audio;
	int32_t cts = p->cts < -10000 || p->cts > 10000 ? 0 : p->cts; /* damaged */
	int r;

	if (!t->running && (r = begin_run(t, dts)) < 0)
		return r;
	if (!*d && !buf_len(video ? &t->video_head : &t->audio_head) && p->codec != FLV_AVC &&
		p->codec != FLV_AAC && p->codec && p->key &&
		(r = decoder_new(d, p)) == -ENOMEM) /* codecs without a configuration */
		return r;
	if (video) {
		t->video_at = dts;
		t->in++;
		if (is_idr(t, p))
			t->idr[t->idrs++ % IDRS] = dts + cts;
		return *d && (t->steps || t->poster) ? decoder_push(*d, dts + cts, p, on_picture, t) : 0;
	}
	t->audio_at = dts;
	return *d ? decoder_push(*d, dts, p, on_sound, t) : 0;
}

static int
take_packets(struct transcode *t, const struct flv_tag *tag)
{
	struct flv_walk walk;
	struct flv_packet p;
	int r;

	flv_walk_begin(&walk, tag);
	while (flv_walk_next(&walk, &p) > 0) {
		if (p.track) {
			if (!t->told_extra)
				warning(0, "the source has more than one %s track: the first is taken",
					p.type == FLV_VIDEO ? "video" : "audio");
			t->told_extra = true;
			continue;
		}
		if (t->passing && !(p.type == FLV_AUDIO && t->silent)) {
			if (walk.multi)
				r = put_packet(t, tag->dts, &p);
			else {
				flv_put_tag(&t->tag, tag->type, tag->dts, tag->data, tag->size);
				r = order_put(t->order, tag->dts, &t->tag);
			}
			if (r < 0)
				return r;
		}
		r = p.kind == FLV_HEADER ? take_head(t, &p) :
			p.kind == FLV_FRAME && p.size ? take_frame(t, tag->dts, &p) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int
take_mark(struct transcode *t, const struct flv_tag *tag, const struct mark *m)
{
	int r;

	if (m->kind == MARK_TICK) {
		flv_put_tag(&t->tag, tag->type, tag->dts, tag->data, tag->size);
		return order_put(t->order, tag->dts, &t->tag);
	}
	if ((r = end_run(t)) < 0)
		return r;
	flv_put_tag(&t->out, tag->type, tag->dts, tag->data, tag->size);
	if (m->kind == MARK_SESSION && (r = put_metadata(t, tag->dts)) < 0)
		return r;
	return t->out.error;
}

static int
take(struct transcode *t, const struct flv_tag *tag)
{
	struct mark m;
	int r = 0;

	if (tag->dts > t->at)
		t->at = tag->dts;
	if (tag->type != FLV_SCRIPT) {
		r = take_packets(t, tag);
	} else if (mark_parse(tag, &m) > 0) {
		r = take_mark(t, tag, &m);
	} else if (tracks_parse(tag, &t->told)) {
		r = put_metadata(t, tag->dts);
	} else {
		flv_put_tag(&t->tag, tag->type, tag->dts, tag->data, tag->size);
		r = order_put(t->order, tag->dts, &t->tag);
	}
	if (r < 0)
		return r;
	if (t->running && t->video_at != NEVER && t->at - t->video_at > STALE_MS) {
		t->video_at = NEVER; /* the picture is away: the sound goes on alone */
		if ((r = drain_pictures(t)) < 0)
			return r;
	}
	if (t->running && (r = fill_silence(t)) < 0)
		return r;
	look_at_load(t);
	return release(t);
}

/* ---- before the ladder is decided ---- */

static int
on_first_picture(void *arg, AVFrame *f)
{
	struct transcode *t = arg;
	AVRational sar = f->sample_aspect_ratio;

	if (t->width)
		return 0;
	t->width = f->width;
	t->height = f->height;
	if (sar.num > 0 && sar.den > 0 && sar.num != sar.den)
		t->width = (int)((int64_t)f->width * sar.num / sar.den);
	return 0;
}

static int
probe(struct transcode *t, const struct flv_tag *tag)
{
	struct flv_walk walk;
	struct flv_packet p;
	int r = 0;

	flv_walk_begin(&walk, tag);
	while (r >= 0 && flv_walk_next(&walk, &p) > 0) {
		if (p.track)
			continue;
		t->seen_audio |= p.type == FLV_AUDIO && p.kind == FLV_FRAME;
		t->seen_video |= p.type == FLV_VIDEO;
		if (p.kind == FLV_HEADER)
			r = take_head(t, &p);
		if (p.kind != FLV_FRAME || p.type != FLV_VIDEO)
			continue;
		if (!t->video && p.codec != FLV_AVC && p.key)
			r = decoder_new(&t->video, &p) == -ENOMEM ? -ENOMEM : 0;
		if (r >= 0 && t->video)
			r = decoder_push(t->video, tag->dts + p.cts, &p, on_first_picture, t);
	}
	return r;
}

/* Everything is known, or what is missing has had its time. */
static bool
known(const struct transcode *t)
{
	int64_t waited = t->at - t->first;
	bool pictures = t->width || (!t->seen_video && waited > HOLD_MS &&
			(!tracks_find(&t->told, FLV_VIDEO, 0) || waited > 3 * HOLD_MS));
	bool sound = t->seen_audio || (waited > HOLD_MS &&
			(!tracks_find(&t->told, FLV_AUDIO, 0) || waited > 3 * HOLD_MS));

	return (pictures && sound) || waited > 5 * HOLD_MS || buf_len(&t->held) > HOLD_MAX;
}

static int
hold(struct transcode *t, const struct flv_tag *tag)
{
	struct mark m;
	int r;

	if (t->first == NEVER)
		t->first = t->at = tag->dts;
	if (tag->dts > t->at)
		t->at = tag->dts;
	if (tag->type == FLV_SCRIPT && mark_parse(tag, &m) > 0 && m.kind == MARK_SESSION &&
		get_state(t)) {
		flv_put_tag(&t->held, tag->type, tag->dts, tag->data, tag->size);
		return decide(t);
	}
	if (tag->type == FLV_SCRIPT && tracks_parse(tag, &t->told) && t->fps_told <= 0) {
		const struct track *k = tracks_find(&t->told, FLV_VIDEO, 0);

		t->fps_told = k && k->fps < 1000 ? k->fps : 0;
	}
	flv_put_tag(&t->held, tag->type, tag->dts, tag->data, tag->size);
	if (t->held.error)
		return t->held.error;
	if (tag->type != FLV_SCRIPT && (r = probe(t, tag)) < 0)
		return r;
	if (!known(t))
		return 0;
	t->silent = !t->seen_audio;
	return decide(t);
}

/* ---- the module ---- */

int
transcode_new(struct transcode **out, const struct transcode_options *how)
{
	struct transcode *t = calloc(1, sizeof(*t));
	struct mark env;
	int i, r;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->how = *how;
	t->first = t->video_at = t->audio_at = t->due = t->last_pts = NEVER;
	for (i = 0; i < IDRS; i++)
		t->idr[i] = NEVER;
	mark_from_env(&env);
	t->origin_ms = env.origin_ms;
	memcpy(t->broadcast, env.broadcast, sizeof(t->broadcast));
	flv_put_header(&t->out);
	flv_put_header(&t->held);
	if ((r = order_new(&t->order)) < 0 ||
		(how->poster >= 0 && (r = poster_new(&t->poster, how->poster, how->poster_name)) < 0)) {
		transcode_free(&t);
		return r;
	}
	*out = t;
	return 0;
}

int
transcode_tag(struct transcode *t, const struct flv_tag *tag)
{
	struct mark m;

	if (tag->type == FLV_SCRIPT && mark_parse(tag, &m) > 0) {
		t->marked = true;
		if (m.kind == MARK_SESSION || m.kind == MARK_END)
			t->ended = m.kind == MARK_END;
		if (m.kind == MARK_SESSION) {
			events_about(m.stream, m.broadcast);
			memcpy(t->broadcast, m.broadcast, sizeof(t->broadcast));
			if (m.origin_ms)
				t->origin_ms = m.origin_ms;
		}
	}
	return t->decided ? take(t, tag) : hold(t, tag);
}

int
transcode_finish(struct transcode *t)
{
	int r;

	if (!t->decided && t->first != NEVER) {
		t->silent = !t->seen_audio;
		if ((r = decide(t)) < 0)
			return r;
	}
	return end_run(t);
}

struct buf *
transcode_out(struct transcode *t)
{
	return &t->out;
}

bool
transcode_orphan(const struct transcode *t)
{
	return t->marked && !t->ended;
}

int64_t
transcode_time(const struct transcode *t)
{
	return t->first == NEVER ? 0 : t->at - t->first;
}

void
transcode_free(struct transcode **p)
{
	struct transcode *t = *p;
	int i;

	if (!t)
		return;
	for (i = 0; i < t->ladder.count; i++) {
		video_free(&t->step[i].video);
		audio_free(&t->step[i].audio);
	}
	decoder_free(&t->video);
	decoder_free(&t->audio);
	deinterlace_free(&t->deinterlace);
	poster_free(&t->poster);
	order_free(&t->order);
	buf_free(&t->out);
	buf_free(&t->tag);
	buf_free(&t->held);
	buf_free(&t->video_head);
	buf_free(&t->audio_head);
	free(t);
	*p = NULL;
}
