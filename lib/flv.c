#include "flv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"

#define TAG_HEADER 11
#define HEADER 9

enum { VIDEO_AVC = 7, AUDIO_MP3 = 2, AUDIO_AAC = 10, AUDIO_EX = 9 };
/* E-RTMP packet types; the first four of video and the first three of audio have these meanings. */
enum { EX_START = 0, EX_FRAMES = 1, EX_END = 2, EX_FRAMES_X = 3 };
enum { EX_VIDEO_MULTITRACK = 6, EX_VIDEO_MODEX = 7, EX_AUDIO_MULTITRACK = 5, EX_AUDIO_MODEX = 7 };
enum { MULTI_ONE = 0, MULTI_MANY = 1, MULTI_MANY_CODECS = 2 };

struct flv_reader {
	struct buf in;
	size_t max_tag;
	size_t taken; /* bytes of the tag last given, dropped at the next call */
	bool began;
	bool timed; /* last is the time of an earlier tag */
	int64_t last;
	int error;
};

int
flv_reader_new(struct flv_reader **out, size_t max_tag)
{
	struct flv_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->max_tag = max_tag && max_tag < FLV_TAG_MAX ? max_tag : FLV_TAG_MAX;
	*out = r;
	return 0;
}

void
flv_reader_free(struct flv_reader **r)
{
	if (!*r)
		return;
	buf_free(&(*r)->in);
	free(*r);
	*r = NULL;
}

static void
drop_taken(struct flv_reader *r)
{
	if (r->taken)
		buf_consume(&r->in, r->taken);
	r->taken = 0;
}

uint8_t *
flv_reader_room(struct flv_reader *r, size_t want, size_t *room)
{
	uint8_t *p;

	drop_taken(r);
	if ((p = buf_reserve(&r->in, want)))
		*room = r->in.cap - r->in.end;
	return p;
}

void
flv_reader_filled(struct flv_reader *r, size_t n)
{
	buf_grew(&r->in, n);
}

int
flv_reader_feed(struct flv_reader *r, const void *data, size_t n)
{
	drop_taken(r);
	return buf_append(&r->in, data, n);
}

size_t
flv_reader_pending(const struct flv_reader *r)
{
	return buf_len(&r->in) - r->taken;
}

static int
fail(struct flv_reader *r, int error)
{
	return r->error = error;
}

/* The signature and the first PreviousTagSize: 1 when past them, 0 for more bytes. */
static int
begin(struct flv_reader *r)
{
	const uint8_t *p = buf_data(&r->in);
	size_t n = buf_len(&r->in), header;

	if (n && memcmp(p, "FLV\1", n < 4 ? n : 4))
		return fail(r, -EBADMSG);
	if (n < HEADER)
		return 0;
	header = get_be32(p + 5);
	if (header < HEADER || header > 64)
		return fail(r, -EBADMSG);
	if (n < header + 4)
		return 0;
	buf_consume(&r->in, header + 4);
	r->began = true;
	return 1;
}

int
flv_reader_next(struct flv_reader *r, struct flv_tag *tag)
{
	const uint8_t *p;
	size_t n, size;
	uint32_t ts, prev;
	int e;

	if (r->error)
		return r->error;
	drop_taken(r);
	if (!r->began && (e = begin(r)) <= 0)
		return e;
	for (;;) {
		p = buf_data(&r->in);
		n = buf_len(&r->in);
		if (n < TAG_HEADER)
			return 0;
		if (p[0] & 0xe0) /* reserved bits, or the filter bit of encrypted tags */
			return fail(r, -EBADMSG);
		size = get_be24(p + 1);
		if (size > r->max_tag)
			return fail(r, -EMSGSIZE);
		if (n < TAG_HEADER + size + 4)
			return 0;
		prev = get_be32(p + TAG_HEADER + size);
		if (prev != TAG_HEADER + size && prev != 0) /* some writers leave it zero */
			return fail(r, -EBADMSG);
		tag->type = p[0] & 0x1f;
		if (tag->type == FLV_AUDIO || tag->type == FLV_VIDEO || tag->type == FLV_SCRIPT)
			break;
		buf_consume(&r->in, TAG_HEADER + size + 4);
	}
	ts = get_be24(p + 4) | (uint32_t)p[7] << 24;
	r->last = r->timed ? r->last + (int32_t)(ts - (uint32_t)r->last) : (int32_t)ts;
	r->timed = true;
	tag->dts = r->last;
	tag->data = p + TAG_HEADER;
	tag->size = size;
	r->taken = TAG_HEADER + size + 4;
	return 1;
}

static int32_t
get_si24(const uint8_t *p)
{
	return (int32_t)(get_be24(p) << 8) >> 8;
}

static void
classic_audio(struct flv_packet *p, const uint8_t *at, const uint8_t *end)
{
	int format = at[0] >> 4;

	at++;
	if (format == AUDIO_AAC) {
		p->codec = FLV_AAC;
		if (at == end)
			return;
		p->kind = *at == 0 ? FLV_HEADER : *at == 1 ? FLV_FRAME : FLV_OTHER;
		at++;
	} else if (format == AUDIO_MP3) {
		p->codec = FLV_MP3;
		p->kind = FLV_FRAME;
	}
	p->data = at;
	p->size = (size_t)(end - at);
}

static void
classic_video(struct flv_packet *p, const uint8_t *at, const uint8_t *end)
{
	int frame = at[0] >> 4, codec = at[0] & 15;

	if (codec != VIDEO_AVC || frame == 5 || end - at < 5) /* 5: a command for the player */
		return;
	p->codec = FLV_AVC;
	p->key = frame == 1;
	p->kind = at[1] == 0 ? FLV_HEADER : at[1] == 1 ? FLV_FRAME : at[1] == 2 ? FLV_END : FLV_OTHER;
	if (p->kind == FLV_FRAME)
		p->cts = get_si24(at + 2);
	p->data = at + 5;
	p->size = (size_t)(end - at - 5);
}

static void
ex_kind(struct flv_packet *p, int type)
{
	p->kind = type == EX_START ? FLV_HEADER
		: type == EX_FRAMES || (type == EX_FRAMES_X && p->type == FLV_VIDEO) ? FLV_FRAME
		: type == EX_END ? FLV_END : FLV_OTHER;
}

/*
 * An extended header: ModEx prefixes, then the packet type, then for multitrack its kind and the
 * inner packet type, then the FourCC unless each track brings its own.  1, or -EBADMSG.
 */
static int
begin_ex(struct flv_walk *w, int type)
{
	struct flv_packet *p = &w->same;
	int modex = p->type == FLV_VIDEO ? EX_VIDEO_MODEX : EX_AUDIO_MODEX;
	int multi = p->type == FLV_VIDEO ? EX_VIDEO_MULTITRACK : EX_AUDIO_MULTITRACK;
	size_t n;

	while (type == modex) {
		if (w->end - w->at < 1)
			return -EBADMSG;
		if ((n = (size_t)*w->at++ + 1) == 256) {
			if (w->end - w->at < 2)
				return -EBADMSG;
			n = (size_t)get_be16(w->at) + 1;
			w->at += 2;
		}
		if ((size_t)(w->end - w->at) < n + 1)
			return -EBADMSG;
		if (w->at[n] >> 4 == 0 && n >= 3) /* TimestampOffsetNano */
			p->nano = get_be24(w->at) % 1000000;
		type = w->at[n] & 15;
		w->at += n + 1;
	}
	w->multi = 0xff;
	if (type == multi) {
		if (w->end - w->at < 1)
			return -EBADMSG;
		w->multi = *w->at >> 4;
		type = *w->at++ & 15;
		if (w->multi > MULTI_MANY_CODECS || type == multi || type == modex)
			return -EBADMSG;
	}
	if (w->multi != MULTI_MANY_CODECS) {
		if (w->end - w->at < 4)
			return -EBADMSG;
		p->codec = get_be32(w->at);
		w->at += 4;
	}
	ex_kind(p, type);
	/* A flag here: the times come a track, and sound has none, whatever codec it claims. */
	p->cts = p->type == FLV_VIDEO && p->kind == FLV_FRAME && type == EX_FRAMES;
	return 1;
}

void
flv_walk_begin(struct flv_walk *w, const struct flv_tag *tag)
{
	memset(w, 0, sizeof(*w));
	w->same.type = tag->type;
	w->same.kind = FLV_OTHER;
	w->at = tag->data;
	w->end = tag->data + tag->size;
	w->more = tag->size > 0; /* a tag without a body says nothing: a silence mark */
	w->multi = 0xff;
}

/* The first call reads the header; -EBADMSG, 0, or 1 with the one packet of a classic tag. */
static int
first(struct flv_walk *w, struct flv_packet *p, bool *done)
{
	int b = w->at[0];

	*done = false;
	if (w->same.type == FLV_VIDEO ? b & 0x80 : b >> 4 == AUDIO_EX) {
		w->at++;
		if (w->same.type == FLV_VIDEO) {
			w->same.key = (b >> 4 & 7) == 1;
			if ((b >> 4 & 7) == 5) {
				*done = true;
				w->more = false;
				*p = w->same;
				return 1;
			}
		}
		return begin_ex(w, b & 15);
	}
	*done = true;
	w->more = false;
	*p = w->same;
	p->data = w->at;
	p->size = (size_t)(w->end - w->at);
	if (p->type == FLV_VIDEO)
		classic_video(p, w->at, w->end);
	else if (p->type == FLV_AUDIO)
		classic_audio(p, w->at, w->end);
	return 1;
}

int
flv_walk_next(struct flv_walk *w, struct flv_packet *p)
{
	bool done = false, timed;
	size_t n;
	int r;

	if (!w->more)
		return 0;
	if (!w->same.data) {
		w->same.data = w->at; /* also says that the header has been read */
		if ((r = first(w, p, &done)) < 0) {
			w->more = false;
			return r;
		}
		if (done)
			return r;
	}
	*p = w->same;
	timed = p->cts != 0;
	p->cts = 0;
	n = (size_t)(w->end - w->at);
	if (w->multi != 0xff) {
		if (w->multi == MULTI_MANY_CODECS) {
			if (n < 4)
				goto bad;
			p->codec = get_be32(w->at);
			w->at += 4;
			n -= 4;
		}
		if (n < 1)
			goto bad;
		p->track = *w->at++;
		n--;
		if (w->multi != MULTI_ONE) {
			size_t size;

			if (n < 3 || (size = get_be24(w->at)) > n - 3)
				goto bad;
			w->at += 3;
			n = size;
		}
	}
	p->data = w->at;
	p->size = n;
	w->at += n;
	w->more = w->multi != 0xff && w->multi != MULTI_ONE && w->at < w->end;
	if (timed && (p->codec == FLV_AVC || p->codec == FLV_HEVC)) {
		if (p->size < 3)
			goto bad;
		p->cts = get_si24(p->data);
		p->data += 3;
		p->size -= 3;
	}
	return 1;
bad:
	w->more = false;
	return -EBADMSG;
}

bool
flv_script(const struct flv_tag *tag, const char *name, const uint8_t **values, size_t *size)
{
	struct amf_in in;
	struct amf_value v;

	if (tag->type != FLV_SCRIPT)
		return false;
	amf_begin(&in, tag->data, tag->size);
	if (amf_next(&in, &v) != 1 || v.type != AMF_STRING || !amf_equal(v.str, v.len, name))
		return false;
	*values = in.at;
	*size = (size_t)(in.end - in.at);
	return true;
}

void
flv_put_header(struct buf *b)
{
	buf_append(b, "FLV\1\5\0\0\0\11\0\0\0\0", HEADER + 4);
}

/* A tag's header; the body and put_tail follow. */
static void
put_head(struct buf *b, uint8_t type, int64_t dts, size_t size)
{
	uint8_t h[TAG_HEADER] = { type };

	if (size > FLV_TAG_MAX) {
		b->error = -EMSGSIZE;
		return;
	}
	put_be24(h + 1, (uint32_t)size);
	put_be24(h + 4, (uint32_t)dts & 0xffffff);
	h[7] = (uint8_t)((uint32_t)dts >> 24);
	buf_append(b, h, sizeof(h));
}

void
flv_put_tag(struct buf *b, uint8_t type, int64_t dts, const void *body, size_t size)
{
	put_head(b, type, dts, size);
	buf_append(b, body, size);
	buf_be32(b, (uint32_t)(TAG_HEADER + size));
}

/* The bytes in front of a packet's data: classic where every reader knows it, enhanced otherwise. */
static size_t
put_prefix(uint8_t h[24], const struct flv_packet *p)
{
	bool video = p->type == FLV_VIDEO, classic = !p->track && !p->nano && p->kind != FLV_OTHER;
	bool timed = video && p->kind == FLV_FRAME && (p->codec == FLV_AVC || p->codec == FLV_HEVC);
	int type = p->kind == FLV_HEADER ? EX_START : p->kind == FLV_END ? EX_END
		: timed && !p->cts ? EX_FRAMES_X : EX_FRAMES;
	int frame = video ? 0x80 | (p->key || p->kind != FLV_FRAME ? 1 : 2) << 4 : AUDIO_EX << 4;
	size_t n = 0;

	if (classic && video && p->codec == FLV_AVC) {
		h[n++] = (uint8_t)((p->key || p->kind != FLV_FRAME ? 1 : 2) << 4 | VIDEO_AVC);
		h[n++] = p->kind == FLV_HEADER ? 0 : p->kind == FLV_FRAME ? 1 : 2;
		put_be24(h + n, p->kind == FLV_FRAME ? (uint32_t)p->cts & 0xffffff : 0);
		return n + 3;
	}
	if (classic && !video && p->codec == FLV_AAC && p->kind != FLV_END) {
		h[n++] = AUDIO_AAC << 4 | 15;
		h[n++] = p->kind == FLV_FRAME;
		return n;
	}
	if (classic && !video && p->codec == FLV_MP3 && p->kind == FLV_FRAME) {
		h[n++] = AUDIO_MP3 << 4 | 15;
		return n;
	}
	if (p->nano) {
		h[n++] = (uint8_t)(frame | (video ? EX_VIDEO_MODEX : EX_AUDIO_MODEX));
		h[n++] = 2; /* three bytes, less one */
		put_be24(h + n, p->nano);
		n += 3;
		frame = 0; /* the next packet type shares its byte with the ModEx kind, 0 */
	}
	if (p->track) {
		h[n++] = (uint8_t)(frame | (video ? EX_VIDEO_MULTITRACK : EX_AUDIO_MULTITRACK));
		h[n++] = (uint8_t)(MULTI_ONE << 4 | type);
	} else {
		h[n++] = (uint8_t)(frame | type);
	}
	put_be32(h + n, p->codec);
	n += 4;
	if (p->track)
		h[n++] = p->track;
	if (timed && type == EX_FRAMES) {
		put_be24(h + n, (uint32_t)p->cts & 0xffffff);
		n += 3;
	}
	return n;
}

void
flv_put_packet(struct buf *b, int64_t dts, const struct flv_packet *p)
{
	uint8_t prefix[24];
	size_t n = put_prefix(prefix, p);

	put_head(b, p->type, dts, n + p->size);
	buf_append(b, prefix, n);
	buf_append(b, p->data, p->size);
	buf_be32(b, (uint32_t)(TAG_HEADER + n + p->size));
}
