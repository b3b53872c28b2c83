#include "transcode_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "event.h"

#define HOLD_MAX (32 << 20)   /* bytes before the ladder is decided */
#define HOLD_MS 1000          /* for what nothing has told of; three times as long for what was told */
#define HEAD_MAX 65536        /* bytes of decoder configuration */

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
	struct codec c;
	int r = 0;

	if (!p->size || p->size > HEAD_MAX || (*d && same(head, p)))
		return 0; /* some say so before they know */
	if (*d && codec_config(&c, p->codec, p->data, p->size) == -EBADMSG) {
		warning(0, "a configuration of %s is malformed: ignored", codec_name(p->codec));
		return 0;
	}
	if (*d && t->decided)
		r = decoder_flush(*d, video ? transcode_picture : transcode_sound, t);
	decoder_free(d);
	buf_clear(head);
	if (r < 0 || (r = buf_append(head, p->data, p->size)) < 0)
		return r;
	if (video) {
		if (codec_config(&t->source, p->codec, p->data, p->size) == -EBADMSG)
			return 0;
		if (t->source.fps > 0 && t->source.fps < 1000)
			t->fps_told = t->source.fps;
	}
	if ((r = decoder_new(d, p)) < 0 && r != -ENOMEM) {
		transcode_lose(t, r, video ? "the video's codec" : "the audio's codec");
		r = 0;
	}
	return r;
}

static bool
is_idr(struct transcode *t, const struct flv_packet *p)
{
	return t->source.fourcc == p->codec ? codec_start(&t->source, p->data, p->size) == CODEC_KEY : p->key;
}

static int
take_frame(struct transcode *t, int64_t dts, const struct flv_packet *p)
{
	bool video = p->type == FLV_VIDEO;
	struct decoder **d = video ? &t->video : &t->audio;
	int32_t cts = p->cts < -10000 || p->cts > 10000 ? 0 : p->cts; /* damaged */
	int r;

	transcode_slate_ends(t);
	t->media_at = dts;
	if (!t->running && (r = transcode_begin_run(t, dts)) < 0)
		return r;
	if (!*d && !codec_has_config(p->codec) && (p->key || !video) && (r = decoder_new(d, p)) == -ENOMEM)
		return r;
	if (video) {
		t->video_at = dts;
		t->in++;
		if (is_idr(t, p))
			t->idr[t->idrs++ % IDRS] = dts + cts;
		return *d && (t->steps || t->poster) ? decoder_push(*d, dts + cts, p, transcode_picture, t) : 0;
	}
	t->audio_at = dts;
	return *d ? decoder_push(*d, dts, p, transcode_sound, t) : 0;
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
			if (p.kind != FLV_OTHER)
				r = transcode_put_packet(t, tag->dts, &p);
			else { /* what cannot be written anew goes as it came */
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
	if ((r = transcode_end_run(t)) < 0)
		return r;
	flv_put_tag(&t->out, tag->type, tag->dts, tag->data, tag->size);
	if (m->kind == MARK_SESSION && (r = transcode_put_metadata(t, tag->dts)) < 0)
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
	if (tag->type == FLV_SCRIPT && (r = transcode_slate(t)) < 0)
		return r;
	if (tag->type != FLV_SCRIPT) {
		r = take_packets(t, tag);
	} else if (mark_parse(tag, &m) > 0) {
		r = take_mark(t, tag, &m);
	} else if (tracks_parse(tag, &t->told)) {
		r = transcode_put_metadata(t, tag->dts);
	} else {
		flv_put_tag(&t->tag, tag->type, tag->dts, tag->data, tag->size);
		r = order_put(t->order, tag->dts, &t->tag);
	}
	if (r < 0)
		return r;
	if (t->running && t->video_at != NEVER && t->at - t->video_at > STALE_MS) {
		t->video_at = NEVER; /* the picture is away: the sound goes on alone */
		if ((r = transcode_drain_pictures(t)) < 0)
			return r;
	}
	if (t->running && (r = transcode_fill_silence(t)) < 0)
		return r;
	transcode_look_at_load(t);
	return transcode_release(t);
}

/* ---- before the ladder is decided ---- */

static int
decide(struct transcode *t)
{
	struct flv_reader *again = NULL;
	struct flv_tag tag;
	int r;

	if ((r = transcode_open_ladder(t)) < 0)
		return r;
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
	r = t->seen.any ? 0 : transcode_put_metadata(t, t->first); /* a session mark comes first, then it */
	if (r == 0)
		while ((r = flv_reader_next(again, &tag)) > 0)
			if ((r = take(t, &tag)) < 0)
				break;
	flv_reader_free(&again);
	buf_free(&t->held);
	return r < 0 ? r : 0;
}

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
		*(p.type == FLV_VIDEO ? &t->video_codec : &t->audio_codec) = p.codec;
		t->seen_audio |= p.type == FLV_AUDIO && p.kind == FLV_FRAME;
		t->seen_video |= p.type == FLV_VIDEO;
		if (p.kind == FLV_HEADER)
			r = take_head(t, &p);
		if (p.kind != FLV_FRAME || p.type != FLV_VIDEO)
			continue;
		if (!t->video && !codec_has_config(p.codec) && p.key)
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
		transcode_get_state(t)) {
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
	int i, r = -ENOMEM;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->how = *how;
	t->first = t->video_at = t->audio_at = t->due = t->last_pts = t->still_pts = NEVER;
	for (i = 0; i < IDRS; i++)
		t->idr[i] = NEVER;
	mark_from_env(&env);
	t->origin_ms = env.origin_ms;
	memcpy(t->broadcast, env.broadcast, sizeof(t->broadcast));
	flv_put_header(&t->out);
	flv_put_header(&t->held);
	if (!(t->still = av_frame_alloc()) || (r = order_new(&t->order)) < 0 ||
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

	if (tag->type == FLV_SCRIPT && mark_note(&t->seen, tag, &m) > 0 && m.kind == MARK_SESSION) {
		events_about(m.stream, m.broadcast);
		memcpy(t->broadcast, m.broadcast, sizeof(t->broadcast));
		if (m.origin_ms)
			t->origin_ms = m.origin_ms;
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
	return transcode_end_run(t);
}

struct buf *
transcode_out(struct transcode *t)
{
	return &t->out;
}

bool
transcode_orphan(const struct transcode *t)
{
	return mark_orphan(&t->seen);
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
	av_frame_free(&t->still);
	order_free(&t->order);
	buf_free(&t->out);
	buf_free(&t->tag);
	buf_free(&t->held);
	buf_free(&t->video_head);
	buf_free(&t->audio_head);
	free(t);
	*p = NULL;
}
