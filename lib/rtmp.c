#include "rtmp_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"
#include "bytes.h"
#include "fourcc.h"

#define EARLY_MAX (1 << 20)

int
rtmp_new(struct rtmp **out, size_t max_message, const char *play_url)
{
	struct rtmp *r = calloc(1, sizeof(*r));

	if (!r || strlen(play_url) >= sizeof(r->play_url)) {
		free(r);
		return -ENOMEM;
	}
	memcpy(r->play_url, play_url, strlen(play_url) + 1);
	r->max_message = max_message;
	r->window = WINDOW;
	r->codecs = FOURCCS_ALL;
	r->out.max = 1 << 20; /* a peer that asks and does not read */
	chunk_init(&r->chunks, EARLY_MAX);
	*out = r;
	return 0;
}

void
rtmp_ask_password(struct rtmp *r, const struct adobe *a)
{
	r->adobe = a;
}

void
rtmp_codecs(struct rtmp *r, uint32_t set)
{
	r->codecs = set;
}

void
rtmp_free(struct rtmp **rp)
{
	struct rtmp *r = *rp;

	if (!r)
		return;
	chunk_free(&r->chunks);
	buf_free(&r->out);
	explicit_bzero(r->key, sizeof(r->key));
	free(r);
	*rp = NULL;
}

struct buf *
rtmp_out(struct rtmp *r)
{
	return &r->out;
}

const char *
rtmp_why(const struct rtmp *r)
{
	return r->why ? r->why : "malformed RTMP";
}

int
rtmp_broken(struct rtmp *r, const char *why)
{
	r->why = why;
	return -EPROTO;
}

void
rtmp_feed(struct rtmp *r, const void *data, size_t n)
{
	r->at = data;
	r->end = r->at + n;
	r->received += (uint32_t)n;
	if (r->shake.want == SHAKE_DONE)
		chunk_feed(&r->chunks, data, n);
}

/* 7.1.2: what FLV has in a script tag: a name and values, without "@setDataFrame" before them. */
static int
on_data(const struct chunk_message *m, struct rtmp_event *e)
{
	struct amf_in in;
	struct amf_value v;
	const uint8_t *start;
	size_t skip = m->type == DATA_AMF3 && m->size && !m->body[0];
	int got;

	amf_begin(&in, m->body + skip, m->size - skip);
	do
		start = in.at;
	while ((got = amf_next(&in, &v)) > 0 && (v.type == AMF_NUMBER || v.type == AMF_BOOLEAN ||
		v.type == AMF_NULL || v.type == AMF_UNDEFINED));
	if (got <= 0 || v.type != AMF_STRING)
		return 0; /* nothing that FLV could hold */
	if (amf_equal(v.str, v.len, "@setDataFrame")) {
		start = in.at;
		if (amf_next(&in, &v) <= 0)
			v.type = AMF_UNDEFINED;
	}
	/* Marks are ours to write. */
	if (start == in.end || (v.type == AMF_STRING && amf_equal(v.str, v.len, "onLvMark")))
		return 0;
	e->body = start;
	e->size = (size_t)(in.end - start);
	e->type = DATA;
	return 1;
}

static int
on_media(struct rtmp *r, const struct chunk_message *m, struct rtmp_event *e)
{
	if (!r->publishing)
		return 0; /* late frames of a stream that was unpublished */
	*e = (struct rtmp_event){ .kind = RTMP_MEDIA, .type = m->type, .timestamp = m->timestamp,
		.body = m->body, .size = m->size };
	if (m->type == DATA || m->type == DATA_AMF3)
		return on_data(m, e);
	return m->type == AUDIO || m->size > 0; /* empty audio is a silence marker */
}

/* 7.1.6: tags in one message; times are relative to the first one's. */
static int
next_of_aggregate(struct rtmp *r, struct rtmp_event *e)
{
	struct chunk_message *a = &r->aggregate, m = *a;
	uint32_t time, size;

	if (a->size < 11)
		return a->size = 0;
	m.type = a->body[0] & 0x1f;
	size = get_be24(a->body + 1);
	time = get_be24(a->body + 4) | (uint32_t)a->body[7] << 24;
	if (size > a->size - 11)
		return a->size = 0, rtmp_broken(r, "an aggregate message that ends too early");
	if (!r->aggregate_begun)
		r->aggregate_base = time;
	r->aggregate_begun = true;
	m.timestamp = a->timestamp + (time - r->aggregate_base);
	m.body = a->body + 11;
	m.size = size;
	size += 11;
	size = a->size - size < 4 ? (uint32_t)a->size : size + 4;
	a->body += size;
	a->size -= size;
	return m.type == AUDIO || m.type == VIDEO || m.type == DATA ? on_media(r, &m, e) : 0;
}

static void
on_user_control(struct rtmp *r, const struct chunk_message *m)
{
	uint8_t pong[6] = { 0, 7 };

	if (m->size < 6 || get_be16(m->body) != 6) /* PingRequest; SetBufferLength is nothing to us */
		return;
	memcpy(pong + 2, m->body + 2, 4);
	chunk_put(&r->out, 2, USER_CONTROL, 0, pong, sizeof(pong));
}

static int
on_message(struct rtmp *r, const struct chunk_message *m, struct rtmp_event *e)
{
	switch (m->type) {
	case AUDIO:
	case VIDEO:
	case DATA:
	case DATA_AMF3:
		return on_media(r, m, e);
	case COMMAND:
	case COMMAND_AMF3:
		return rtmp_command(r, m, e);
	case AGGREGATE:
		r->aggregate = *m;
		r->aggregate_begun = false;
		return 0;
	case USER_CONTROL:
		on_user_control(r, m);
		return 0;
	case WINDOW_ACK_SIZE:
		if (m->size >= 4 && get_be32(m->body) >= 1024)
			r->window = get_be32(m->body);
		return 0;
	default:
		return 0;
	}
}

static int
handshake(struct rtmp *r)
{
	int got = shake_feed(&r->shake, &r->at, r->end, &r->out, &r->why);

	if (got > 0)
		chunk_feed(&r->chunks, r->at, (size_t)(r->end - r->at));
	return got;
}

static void
acknowledge(struct rtmp *r)
{
	if (r->received - r->acknowledged < r->window)
		return;
	r->acknowledged = r->received;
	rtmp_put_u32(r, ABORT_ACK, r->received, -1);
}

int
rtmp_next(struct rtmp *r, struct rtmp_event *e)
{
	struct chunk_message m;
	int got;

	if (r->shake.want != SHAKE_DONE && (got = handshake(r)) <= 0)
		return got;
	for (;;) {
		if (r->asked)
			return 0; /* the rest waits for the verdict; few bytes, for nobody sends them */
		while (r->aggregate.size)
			if ((got = next_of_aggregate(r, e)))
				return got;
		if ((got = chunk_next(&r->chunks, &m)) <= 0) {
			acknowledge(r);
			return got ? got : r->out.error;
		}
		if (!r->publishing && ++r->early > RTMP_EARLY)
			return rtmp_broken(r, "too much said before anything is published");
		if ((got = on_message(r, &m, e)))
			return got;
		if (r->out.error)
			return r->out.error;
	}
}
