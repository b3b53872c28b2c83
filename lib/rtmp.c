#include "rtmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"
#include "bytes.h"
#include "chunk.h"
#include "shake.h"

#define EARLY_MAX (1 << 20)
#define WINDOW 2500000

enum { /* 5.4, 7.1: message types */
	ABORT_ACK = 3,
	USER_CONTROL = 4,
	WINDOW_ACK_SIZE = 5,
	PEER_BANDWIDTH = 6,
	AUDIO = 8,
	VIDEO = 9,
	DATA_AMF3 = 15,
	COMMAND_AMF3 = 17,
	DATA = 18,
	COMMAND = 20,
	AGGREGATE = 22,
};

struct rtmp {
	struct shake shake;
	struct chunk_reader chunks;
	struct buf out;
	size_t max_message;
	const uint8_t *at, *end; /* of what was fed, during the handshake */
	size_t connect_query;    /* how much of the query came with connect: it is for every publish */
	bool connected, publishing, asked;
	int streams;
	uint32_t stream, csid; /* the one that publishes, and where its command came */
	uint32_t window, received, acknowledged;
	const char *why;
	const struct adobe *adobe;
	struct adobe_answer password;
	char play_url[512];
	char app[129], key[256], query[1025], tcurl[513], client[129];
	bool too_long;
	struct chunk_message aggregate; /* being split */
	uint32_t aggregate_base;
	bool aggregate_begun;
};

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

static int
broken(struct rtmp *r, const char *why)
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

/* ---- what we say ---- */

static void
put_u32(struct rtmp *r, uint8_t type, uint32_t v, int extra)
{
	uint8_t b[5];

	put_be32(b, v);
	b[4] = (uint8_t)extra;
	chunk_put(&r->out, 2, type, 0, b, extra < 0 ? 4 : 5);
}

static void
put_command(struct rtmp *r, uint32_t csid, uint32_t stream, struct buf *body)
{
	chunk_put(&r->out, csid, COMMAND, stream, buf_data(body), buf_len(body));
	if (body->error && !r->out.error)
		r->out.error = body->error;
	buf_free(body);
}

static uint32_t
reply_csid(uint32_t csid)
{
	return csid >= 3 && csid < 64 ? csid : 3;
}

static void
put_field(struct buf *b, const char *key, const char *value)
{
	amf_put_key(b, key);
	amf_put_string(b, value);
}

/* 7.2.2: onStatus on a stream, or on the connection (stream 0). */
static void
put_status(struct rtmp *r, uint32_t stream, const char *name, const char *level, const char *code,
	const char *description)
{
	struct buf b = { 0 };

	amf_put_string(&b, name);
	amf_put_number(&b, 0);
	amf_put_null(&b);
	amf_put_object(&b);
	put_field(&b, "level", level);
	put_field(&b, "code", code);
	put_field(&b, "description", description);
	amf_put_end(&b);
	put_command(r, stream ? 5 : 3, stream, &b);
}

/* The answer to a command that needs none: null, and the number of a stream where one was made. */
static void
put_result(struct rtmp *r, uint32_t csid, double txn, int number)
{
	struct buf b = { 0 };

	amf_put_string(&b, "_result");
	amf_put_number(&b, txn);
	amf_put_null(&b);
	if (number)
		amf_put_number(&b, number);
	else
		amf_put_null(&b);
	put_command(r, reply_csid(csid), 0, &b);
}

/* 7.2.1.1, with what Enhanced RTMP v2 adds: codecs are forwarded (4), multitrack and ModEx known. */
static void
put_connected(struct rtmp *r, uint32_t csid, double txn)
{
	static const char *const video[] = { "avc1", "hvc1", "av01", "vp09", "vp08" };
	static const char *const audio[] = { "mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3" };
	struct buf b = { 0 };
	size_t i;

	put_u32(r, WINDOW_ACK_SIZE, WINDOW, -1);
	put_u32(r, PEER_BANDWIDTH, WINDOW, 2);
	put_u32(r, 1, RTMP_CHUNK, -1);
	amf_put_string(&b, "_result");
	amf_put_number(&b, txn);
	amf_put_object(&b);
	put_field(&b, "fmsVer", "FMS/3,0,1,123");
	amf_put_key(&b, "capabilities");
	amf_put_number(&b, 31);
	amf_put_end(&b);
	amf_put_object(&b);
	put_field(&b, "level", "status");
	put_field(&b, "code", "NetConnection.Connect.Success");
	put_field(&b, "description", "Connection succeeded.");
	amf_put_key(&b, "objectEncoding");
	amf_put_number(&b, 0);
	amf_put_key(&b, "capsEx");
	amf_put_number(&b, 2 | 4 | 8); /* multitrack, ModEx, nanosecond offsets */
	amf_put_key(&b, "videoFourCcInfoMap");
	amf_put_object(&b);
	for (i = 0; i < sizeof(video) / sizeof(*video); i++) {
		amf_put_key(&b, video[i]);
		amf_put_number(&b, 4);
	}
	amf_put_end(&b);
	amf_put_key(&b, "audioFourCcInfoMap");
	amf_put_object(&b);
	for (i = 0; i < sizeof(audio) / sizeof(*audio); i++) {
		amf_put_key(&b, audio[i]);
		amf_put_number(&b, 4);
	}
	amf_put_end(&b);
	amf_put_end(&b);
	put_command(r, reply_csid(csid), 0, &b);
}

static int
reject_connect(struct rtmp *r, uint32_t csid, double txn, const char *description)
{
	struct buf b = { 0 };

	put_u32(r, 1, RTMP_CHUNK, -1);
	amf_put_string(&b, "_error");
	amf_put_number(&b, txn);
	amf_put_null(&b);
	amf_put_object(&b);
	put_field(&b, "level", "error");
	put_field(&b, "code", "NetConnection.Connect.Rejected");
	put_field(&b, "description", description);
	amf_put_end(&b);
	put_command(r, reply_csid(csid), 0, &b);
	return r->out.error ? r->out.error : -EACCES;
}

void
rtmp_allow(struct rtmp *r)
{
	r->asked = false;
	r->publishing = true;
	r->chunks.max_message = r->max_message;
	put_status(r, r->stream, "onStatus", "status", "NetStream.Publish.Start", "publishing");
}

void
rtmp_refuse(struct rtmp *r, enum rtmp_refusal how, const char *reason)
{
	static const char *const codes[] = { "NetStream.Publish.Denied", "NetStream.Publish.BadName",
		"NetStream.Failed" };

	r->asked = false;
	put_status(r, r->stream, "onStatus", "error", codes[how], reason);
}

void
rtmp_finish(struct rtmp *r, const char *reason)
{
	if (r->publishing)
		put_status(r, r->stream, "onStatus", "error", "NetStream.Publish.Denied", reason);
	r->publishing = false;
}

/* ---- what they say ---- */

/* A name of theirs into a bounded array; what does not fit, or is no text, is nobody's name. */
static void
take_name(struct rtmp *r, char *to, size_t cap, const char *s, size_t n)
{
	size_t i;

	if (n >= cap) {
		r->too_long = true;
		n = 0;
	}
	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			r->too_long = true;
			n = 0;
		}
	}
	memcpy(to, s, n);
	to[n] = '\0';
}

/* Some encoders put the query in every place: what is there already is not said twice. */
static bool
has_query(const struct rtmp *r, const char *s, size_t n)
{
	const char *at = r->query;

	while ((at = memmem(at, strlen(at), s, n))) {
		if ((at == r->query || at[-1] == '&') && (!at[n] || at[n] == '&'))
			return true;
		at++;
	}
	return false;
}

static void
add_query(struct rtmp *r, const char *s, size_t n)
{
	size_t have = strlen(r->query);

	if (!n || has_query(r, s, n))
		return;
	if (have + n + 2 > sizeof(r->query)) {
		r->too_long = true;
		return;
	}
	if (have)
		r->query[have++] = '&';
	take_name(r, r->query + have, sizeof(r->query) - have, s, n);
}

/* "name?query": the name's length; the query is added to what there is. */
static size_t
split_query(struct rtmp *r, const char *s, size_t n)
{
	const char *q = n ? memchr(s, '?', n) : NULL;

	if (!q)
		return n;
	add_query(r, q + 1, n - (size_t)(q - s) - 1);
	return (size_t)(q - s);
}

static bool
ends_with(const char *s, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && !memcmp(s + n - m, end, m);
}

static void
take_app(struct rtmp *r, const char *s, size_t n)
{
	n = split_query(r, s, n);
	for (;;) {
		if (n && s[n - 1] == '/')
			n--;
		else if (ends_with(s, n, "/_definst_"))
			n -= 10;
		else
			break;
	}
	take_name(r, r->app, sizeof(r->app), s, n);
}

static void
take_tcurl(struct rtmp *r, const char *s, size_t n)
{
	if (n > 1 && s[0] == '"' && s[n - 1] == '"') {
		s++;
		n -= 2;
	}
	take_name(r, r->tcurl, sizeof(r->tcurl), s, split_query(r, s, n));
}

static int
on_connect(struct rtmp *r, uint32_t csid, double txn, struct amf_in *in)
{
	struct amf_value object, v;
	const char *key;
	char text[ADOBE_TEXT];
	size_t len;
	int got, skipped;

	if (r->connected)
		return broken(r, "connect twice");
	got = amf_next(in, &object);
	if (got > 0 && !amf_is_container(&object))
		got = 0;
	while (got > 0 && (got = amf_member(in, &object, &key, &len, &v)) > 0) {
		if (v.type == AMF_STRING && amf_equal(key, len, "app"))
			take_app(r, v.str, v.len);
		else if (v.type == AMF_STRING && len == 5 && !strncasecmp(key, "tcUrl", 5))
			take_tcurl(r, v.str, v.len);
		else if (v.type == AMF_STRING && amf_equal(key, len, "flashVer"))
			take_name(r, r->client, sizeof(r->client), v.str, v.len < 128 ? v.len : 128);
		else if ((skipped = amf_skip(in, &v)) < 0)
			got = skipped;
	}
	if (got == -E2BIG || got == -ELOOP)
		return got; /* a value of a kind we do not know just ends the list */
	if (r->adobe && *r->adobe->app && !strcmp(r->app, r->adobe->app)) {
		if (!adobe_take(r->adobe, r->query, &r->password, text))
			return reject_connect(r, csid, txn, text);
		*r->query = '\0'; /* it was all about that */
	}
	r->connected = true;
	r->connect_query = strlen(r->query);
	put_connected(r, csid, txn);
	return 0;
}

/* The key: what publish names, else the last part of the app. */
static void
take_key(struct rtmp *r, const char *s, size_t n)
{
	char *slash;

	if ((n = split_query(r, s, n))) {
		take_name(r, r->key, sizeof(r->key), s, n);
	} else if ((slash = strrchr(r->app, '/'))) {
		take_name(r, r->key, sizeof(r->key), slash + 1, strlen(slash + 1));
		*slash = '\0';
	} else {
		take_name(r, r->key, sizeof(r->key), r->app, strlen(r->app));
		*r->app = '\0';
	}
}

static int
on_publish(struct rtmp *r, const struct chunk_message *m, struct amf_in *in, struct rtmp_event *e)
{
	struct amf_value v;
	int got;

	if (!r->connected || !r->streams)
		return broken(r, "publish before connect and createStream");
	if (r->publishing || r->asked)
		return broken(r, "publish twice");
	do
		got = amf_next(in, &v);
	while (got > 0 && v.type != AMF_STRING);
	take_key(r, got > 0 ? v.str : "", got > 0 ? v.len : 0);
	r->stream = m->stream ? m->stream : 1;
	r->asked = true;
	*e = (struct rtmp_event){ .kind = RTMP_PUBLISH, .app = r->app, .key = r->key,
		.query = r->query, .tcurl = r->tcurl, .client = r->client,
		.password = *r->password.user ? &r->password : NULL, .too_long = r->too_long };
	return 1;
}

static void
on_play(struct rtmp *r, const struct chunk_message *m, struct amf_in *in)
{
	char text[768] = "nothing is played by RTMP here";
	const char *percent = strstr(r->play_url, "%s");
	struct amf_value v = { 0 };
	struct buf b = { .max = sizeof(text) - 1 };
	size_t i;

	if (*r->play_url && amf_next(in, &v) > 0 && v.type == AMF_STRING && v.len <= 64) {
		buf_printf(&b, "watch by HLS: %.*s", percent ? (int)(percent - r->play_url) : 511, r->play_url);
		for (i = 0; percent && i < v.len; i++) /* a key is told to nobody, but this one told us */
			buf_u8(&b, strchr("\"\\<> ", v.str[i]) || v.str[i] < 0x20 ? '_' : (unsigned)v.str[i]);
		if (percent)
			buf_append(&b, percent + 2, strlen(percent + 2));
		if (!b.error) {
			memcpy(text, buf_data(&b), buf_len(&b));
			text[buf_len(&b)] = '\0';
		}
	}
	buf_free(&b);
	put_status(r, m->stream ? m->stream : 1, "onStatus", "error", "NetStream.Play.StreamNotFound",
		text);
}

static int
on_unpublish(struct rtmp *r, uint32_t csid, double txn, const char *name, struct rtmp_event *e)
{
	if (txn != 0)
		put_result(r, csid, txn, 0);
	if (!r->publishing)
		return 0;
	if (!strcmp(name, "FCUnpublish"))
		put_status(r, 0, "onFCUnpublish", "status", "NetStream.Unpublish.Success", "unpublished");
	put_status(r, r->stream, "onStatus", "status", "NetStream.Unpublish.Success", "unpublished");
	r->publishing = false;
	explicit_bzero(r->key, sizeof(r->key));
	r->query[r->connect_query] = '\0';
	*e = (struct rtmp_event){ .kind = RTMP_UNPUBLISH };
	return 1;
}

static int
on_command(struct rtmp *r, const struct chunk_message *m, struct rtmp_event *e)
{
	static const char *const names[] = { "connect", "createStream", "publish", "play", "FCPublish",
		"FCUnpublish", "deleteStream", "closeStream" };
	struct amf_value name, txn = { 0 }, v;
	struct amf_in in, args;
	size_t skip = m->type == COMMAND_AMF3 && m->size && !m->body[0], i = 0;
	int got;

	amf_begin(&in, m->body + skip, m->size - skip);
	if ((got = amf_next(&in, &name)) <= 0 || name.type != AMF_STRING)
		return got < 0 ? got : broken(r, "a command without a name");
	if ((got = amf_next(&in, &txn)) < 0)
		return got;
	if (!got || txn.type != AMF_NUMBER)
		txn.number = 0;
	while (i < sizeof(names) / sizeof(*names) && !amf_equal(name.str, name.len, names[i]))
		i++;
	if (i == 0)
		return on_connect(r, m->csid, txn.number, &in);
	/* The command object of all others is null, or something nobody needs; some leave it out. */
	args = in;
	if (amf_next(&in, &v) <= 0 || v.type == AMF_STRING || amf_skip(&in, &v) < 0)
		in = args;
	switch (i) {
	case 1:
		put_result(r, m->csid, txn.number, ++r->streams);
		return 0;
	case 2:
		return on_publish(r, m, &in, e);
	case 3:
		on_play(r, m, &in);
		return 0;
	case 4:
		if (txn.number != 0)
			put_result(r, m->csid, txn.number, 0);
		put_status(r, 0, "onFCPublish", "status", "NetStream.Publish.Start", "ready");
		return 0;
	case 5:
	case 6:
	case 7:
		return on_unpublish(r, m->csid, txn.number, names[i], e);
	default: /* releaseStream, _checkbw, getStreamLength and whatever else wants an answer */
		if (txn.number != 0 && !amf_equal(name.str, name.len, "_result") &&
			!amf_equal(name.str, name.len, "_error"))
			put_result(r, m->csid, txn.number, 0);
		return 0;
	}
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
	if (amf_equal(v.str, v.len, "@setDataFrame"))
		start = in.at;
	if (start == in.end || amf_equal(v.str, v.len, "onLvMark")) /* marks are ours to write */
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
		return a->size = 0, broken(r, "an aggregate message that ends too early");
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
		return on_command(r, m, e);
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
	put_u32(r, ABORT_ACK, r->received, -1);
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
		if ((got = on_message(r, &m, e)))
			return got;
		if (r->out.error)
			return r->out.error;
	}
}
