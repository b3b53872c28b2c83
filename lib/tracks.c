#include "tracks.h"

#include <errno.h>
#include <string.h>

#include "amf.h"

const struct track *
tracks_find(const struct tracks *t, uint8_t type, uint8_t id)
{
	int i;

	for (i = 0; i < t->count; i++)
		if (t->track[i].type == type && t->track[i].id == id)
			return &t->track[i];
	return NULL;
}

bool
tracks_in_rung(const struct track *t, const char *rung, size_t len)
{
	const char *at = t->rung, *end;

	for (;; at = end + 1) {
		end = at + strcspn(at, "+");
		if ((size_t)(end - at) == len && !memcmp(at, rung, len))
			return true;
		if (!*end)
			return false;
	}
}

/* The track's place, made when it is new; NULL when there are too many. */
static struct track *
place(struct tracks *t, uint8_t type, uint8_t id)
{
	struct track *k = (struct track *)tracks_find(t, type, id);

	if (k || t->count == TRACKS_MAX)
		return k;
	k = &t->track[t->count++];
	memset(k, 0, sizeof(*k));
	k->type = type;
	k->id = id;
	return k;
}

static uint32_t
codec_from(uint8_t type, double d)
{
	if (d == 7 && type == FLV_VIDEO)
		return FLV_AVC;
	if (d == 10 && type == FLV_AUDIO)
		return FLV_AAC;
	if (d == 2 && type == FLV_AUDIO)
		return FLV_MP3;
	return d > UINT16_MAX && d <= UINT32_MAX ? (uint32_t)d : 0;
}

static int
bounded(double d, int max)
{
	return d >= 0 && d <= max ? (int)(d + 0.5) : 0;
}

/* One member of a track's description: at the top for the default tracks, or in a map's entry. */
static void
describe(struct track *video, struct track *audio, const char *key, size_t len,
	const struct amf_value *v)
{
	if (video && v->type == AMF_NUMBER) {
		if (amf_equal(key, len, "width"))
			video->width = bounded(v->number, 65535);
		else if (amf_equal(key, len, "height"))
			video->height = bounded(v->number, 65535);
		else if (amf_equal(key, len, "framerate"))
			video->fps = v->number > 0 && v->number < 1000 ? v->number : 0;
		else if (amf_equal(key, len, "videodatarate"))
			video->kbps = bounded(v->number, 10000000);
		else if (amf_equal(key, len, "videocodecid"))
			video->codec = codec_from(FLV_VIDEO, v->number);
	}
	if (audio && v->type == AMF_NUMBER) {
		if (amf_equal(key, len, "audiosamplerate"))
			audio->sample_rate = bounded(v->number, 768000);
		else if (amf_equal(key, len, "audiochannels"))
			audio->channels = bounded(v->number, 255);
		else if (amf_equal(key, len, "audiodatarate"))
			audio->kbps = bounded(v->number, 1000000);
		else if (amf_equal(key, len, "audiocodecid"))
			audio->codec = codec_from(FLV_AUDIO, v->number);
	}
	if (audio && v->type == AMF_BOOLEAN && amf_equal(key, len, "stereo") && !audio->channels)
		audio->channels = v->boolean ? 2 : 1;
	if (v->type == AMF_STRING && amf_equal(key, len, "rung") && v->len && v->len < TRACKS_RUNG) {
		struct track *k = video ? video : audio;

		if (k) {
			memcpy(k->rung, v->str, v->len);
			k->rung[v->len] = '\0';
		}
	}
}

/* 0 ... 255 as text, -1 for anything else. */
static int
track_id(const char *s, size_t len)
{
	int id = 0;

	if (len < 1 || len > 3)
		return -1;
	for (; len; s++, len--) {
		if (*s < '0' || *s > '9')
			return -1;
		id = id * 10 + *s - '0';
	}
	return id <= 255 ? id : -1;
}

static int
parse_map(struct amf_in *in, struct amf_value *map, uint8_t type, struct tracks *t)
{
	struct amf_value entry, v;
	const char *key;
	size_t len;
	int r, id;

	while ((r = amf_member(in, map, &key, &len, &entry)) > 0) {
		struct track *k = (id = track_id(key, len)) < 0 ? NULL : place(t, type, (uint8_t)id);

		if (!amf_is_container(&entry))
			continue;
		while ((r = amf_member(in, &entry, &key, &len, &v)) > 0) {
			if (k)
				describe(type == FLV_VIDEO ? k : NULL, type == FLV_AUDIO ? k : NULL, key, len, &v);
			if ((r = amf_skip(in, &v)) < 0)
				return r;
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* A default track: the map's entry 0 has the rung, the top of onMetaData has the rest. */
static void
settle(struct track *k, struct track *top)
{
	static const char source[] = "source";

	if (*k->rung)
		memcpy(top->rung, k->rung, sizeof(top->rung));
	else
		memcpy(top->rung, source, sizeof(source));
	*k = *top;
}

int
tracks_parse(const struct flv_tag *tag, struct tracks *t)
{
	struct track video = { .type = FLV_VIDEO }, audio = { .type = FLV_AUDIO }, *k;
	struct amf_in in;
	struct amf_value top, v;
	const uint8_t *values;
	const char *key;
	size_t size, len;
	int r;

	if (!flv_script(tag, "onMetaData", &values, &size))
		return 0;
	memset(t, 0, sizeof(*t));
	amf_begin(&in, values, size);
	if (amf_next(&in, &top) != 1 || !amf_is_container(&top))
		return -EBADMSG;
	while ((r = amf_member(&in, &top, &key, &len, &v)) > 0) {
		bool is_video = amf_equal(key, len, "videoTrackIdInfoMap");

		if (amf_is_container(&v) && (is_video || amf_equal(key, len, "audioTrackIdInfoMap")))
			r = parse_map(&in, &v, is_video ? FLV_VIDEO : FLV_AUDIO, t);
		else
			r = amf_skip(&in, &v);
		if (r < 0)
			return -EBADMSG;
		if (!amf_equal(key, len, "rung")) {
			describe(&video, NULL, key, len, &v);
			describe(NULL, &audio, key, len, &v);
		}
	}
	if (r < 0)
		return -EBADMSG;
	if ((video.width || video.codec || tracks_find(t, FLV_VIDEO, 0)) &&
		(k = place(t, FLV_VIDEO, 0))) {
		settle(k, &video);
	}
	if ((audio.sample_rate || audio.codec || tracks_find(t, FLV_AUDIO, 0)) &&
		(k = place(t, FLV_AUDIO, 0))) {
		settle(k, &audio);
	}
	return 1;
}

static void
put_num(struct buf *b, const char *key, double d)
{
	if (d <= 0)
		return;
	amf_put_key(b, key);
	amf_put_number(b, d);
}

static void
put_fields(struct buf *b, const struct track *k)
{
	bool video = k->type == FLV_VIDEO;
	uint32_t codec = k->codec;

	if (!k->id && codec == FLV_AVC) /* the default tracks are named as classic FLV does */
		codec = 7;
	else if (!k->id && codec == FLV_AAC)
		codec = 10;
	put_num(b, video ? "videocodecid" : "audiocodecid", codec);
	put_num(b, video ? "videodatarate" : "audiodatarate", k->kbps);
	put_num(b, "width", k->width);
	put_num(b, "height", k->height);
	put_num(b, "framerate", k->fps);
	put_num(b, "audiosamplerate", k->sample_rate);
	put_num(b, "audiochannels", k->channels);
}

static void
put_map(struct buf *b, const struct tracks *t, uint8_t type)
{
	int i;

	amf_put_key(b, type == FLV_VIDEO ? "videoTrackIdInfoMap" : "audioTrackIdInfoMap");
	amf_put_object(b);
	for (i = 0; i < t->count; i++) {
		const struct track *k = &t->track[i];
		char id[4] = { 0 };
		int n = 0;

		if (k->type != type)
			continue;
		if (k->id >= 100)
			id[n++] = (char)('0' + k->id / 100);
		if (k->id >= 10)
			id[n++] = (char)('0' + k->id / 10 % 10);
		id[n] = (char)('0' + k->id % 10);
		amf_put_key(b, id);
		amf_put_object(b);
		if (*k->rung) {
			amf_put_key(b, "rung");
			amf_put_string(b, k->rung);
		}
		if (k->id)
			put_fields(b, k);
		amf_put_end(b);
	}
	amf_put_end(b);
}

void
tracks_put(struct buf *b, int64_t dts, const struct tracks *t)
{
	struct buf body = { 0 };
	int i;

	amf_put_string(&body, "onMetaData");
	amf_put_ecma_array(&body, 0);
	for (i = 0; i < t->count; i++)
		if (!t->track[i].id)
			put_fields(&body, &t->track[i]);
	put_map(&body, t, FLV_VIDEO);
	put_map(&body, t, FLV_AUDIO);
	amf_put_end(&body);
	flv_put_tag(b, FLV_SCRIPT, dts, buf_data(&body), buf_len(&body));
	if (body.error && !b->error)
		b->error = body.error;
	buf_free(&body);
}
