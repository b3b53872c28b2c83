/*
 * A publisher's whole session, by messages instead of bytes: the input is a programme whose steps are
 * commands, media, protocol messages, changes of chunk size, raw bytes; each leaves as the chunks that a
 * real encoder would send, so that a mutation changes what is said and not only whether it can be read.
 */
#include <stdint.h>
#include <string.h>

#include "amf.h"
#include "buf.h"
#include "rtmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct programme {
	const uint8_t *at, *end;
};

static unsigned
byte(struct programme *p)
{
	return p->at < p->end ? *p->at++ : 0;
}

static uint32_t
word(struct programme *p)
{
	uint32_t v = byte(p) << 8;

	v |= byte(p);
	return v;
}

static size_t
some(struct programme *p, size_t n, const uint8_t **bytes)
{
	size_t left = (size_t)(p->end - p->at);

	*bytes = p->at;
	n = n < left ? n : left;
	p->at += n;
	return n;
}

static const char *
name(struct programme *p)
{
	static const char *const names[] = { "connect", "releaseStream", "FCPublish", "createStream", "publish",
		"FCUnpublish", "deleteStream", "closeStream", "_checkbw", "play", "getStreamLength", "@setDataFrame",
		"onMetaData", "app", "tcUrl", "flashVer", "type", "fourCcList", "videoFourCcInfoMap", "capsEx", "live",
		"secret?authmod=adobe&user=u", "rtmp://h/live/", "key", "objectEncoding", "videoFunction", "" };

	return names[byte(p) % (sizeof(names) / sizeof(names[0]))];
}

static void
value(struct programme *p, struct buf *b, int depth)
{
	const uint8_t *bytes;
	char text[256];
	size_t n;
	int i, count;

	switch (byte(p) % 10) {
	case 0:
		amf_put_number(b, (double)word(p) - 7);
		break;
	case 1:
		amf_put_string(b, name(p));
		break;
	case 2:
		n = some(p, byte(p), &bytes);
		memcpy(text, bytes, n);
		text[n] = '\0';
		amf_put_string(b, text);
		break;
	case 3:
		amf_put_null(b);
		break;
	case 4:
		amf_put_boolean(b, byte(p) & 1);
		break;
	case 5:
	case 6:
		if (depth > 3)
			break;
		amf_put_object(b);
		count = byte(p) % 6;
		for (i = 0; i < count; i++) {
			amf_put_key(b, name(p));
			value(p, b, depth + 1);
		}
		if (byte(p) & 7) /* some encoders forget the end */
			amf_put_end(b);
		break;
	default: /* what no writer of ours makes: any type, any length */
		n = some(p, byte(p) % 32, &bytes);
		buf_append(b, bytes, n);
	}
}

/* A message in chunks of the given size, its header in the form that the step asks for. */
static void
chunks(struct buf *out, size_t size, unsigned fmt, uint32_t csid, uint8_t type, uint32_t ts, uint32_t stream,
	const struct buf *body)
{
	size_t at = 0, left = buf_len(body), n;
	uint32_t stamp = ts < 0xffffff ? ts : 0xffffff;
	int lead;

	do {
		if (csid < 64) {
			buf_u8(out, (uint8_t)(fmt << 6 | csid));
		} else if (csid < 320) {
			buf_u8(out, (uint8_t)(fmt << 6));
			buf_u8(out, (uint8_t)(csid - 64));
		} else {
			buf_u8(out, (uint8_t)(fmt << 6 | 1));
			buf_u8(out, (uint8_t)(csid - 64));
			buf_u8(out, (uint8_t)((csid - 64) >> 8));
		}
		if (fmt < 3)
			buf_be24(out, stamp);
		if (fmt < 2) {
			buf_be24(out, (uint32_t)buf_len(body));
			buf_u8(out, type);
		}
		if (fmt == 0)
			for (lead = 0; lead < 32; lead += 8)
				buf_u8(out, (uint8_t)(stream >> lead));
		if (stamp == 0xffffff)
			buf_be32(out, ts);
		n = left < size ? left : size;
		if (n)
			buf_append(out, buf_data(body) + at, n);
		at += n;
		left -= n;
		fmt = 3;
	} while (left);
}

/* The next step's bytes as the peer would send them. */
static void
step(struct programme *p, struct buf *out, uint32_t *size, uint32_t *ts)
{
	static const uint8_t types[] = { 8, 9, 18, 1, 2, 3, 4, 5, 6, 15, 17, 20, 22, 0 };
	struct buf body = { .max = 1 << 16 };
	const uint8_t *bytes;
	unsigned what = byte(p);
	uint32_t csid, stream, n;
	int count;

	switch (what % 6) {
	case 0: /* a command, of AMF0 or of AMF3 */
		if (what & 64)
			buf_u8(&body, 0);
		amf_put_string(&body, name(p));
		amf_put_number(&body, byte(p));
		for (count = byte(p) % 6; count > 0; count--)
			value(p, &body, 0);
		chunks(out, *size, 0, 3, what & 64 ? 17 : 20, 0, what & 128 ? 1 : 0, &body);
		break;
	case 1:
	case 2: /* any message on any chunk stream */
		csid = what & 64 ? 2 + word(p) : 4 + byte(p) % 4;
		*ts += what & 128 ? word(p) << 12 : byte(p);
		stream = byte(p);
		n = (uint32_t)some(p, byte(p) * (what & 32 ? 16 : 1), &bytes);
		buf_append(&body, bytes, n);
		chunks(out, *size, stream >> 6, csid, types[stream % sizeof(types)], *ts, 1, &body);
		break;
	case 3: /* its chunks have another size from here on */
		*size = 1 + word(p);
		buf_be32(&body, *size);
		chunks(out, *size, 0, 2, 1, 0, 0, &body);
		break;
	case 4: /* an aggregate of tags, right or not */
		for (count = 1 + byte(p) % 4; count > 0; count--) {
			buf_u8(&body, types[byte(p) % 3]);
			n = (uint32_t)some(p, byte(p), &bytes);
			buf_be24(&body, n + (byte(p) == 255));
			buf_be24(&body, *ts += byte(p));
			buf_be32(&body, 0);
			buf_append(&body, bytes, n);
			buf_be32(&body, n + 11);
		}
		chunks(out, *size, 0, 4, 22, *ts, 1, &body);
		break;
	default: /* what is no step of any protocol */
		n = (uint32_t)some(p, byte(p), &bytes);
		buf_append(out, bytes, n);
	}
	buf_free(&body);
}

/* Everything that the connection says now; false when it is over. */
static bool
listen_to(struct rtmp *r, unsigned mode)
{
	struct rtmp_event e;
	volatile uint8_t last;
	int got;

	while ((got = rtmp_next(r, &e)) > 0) {
		if (e.kind == RTMP_PUBLISH && (mode & 4))
			rtmp_refuse(r, RTMP_BAD_NAME, "taken");
		else if (e.kind == RTMP_PUBLISH)
			rtmp_allow(r);
		else if (e.kind == RTMP_MEDIA && e.size)
			last = e.body[e.size - 1]; /* the last byte is inside the message */
	}
	(void)last;
	buf_clear(rtmp_out(r));
	return got == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct adobe asker = { .app = "live", .now_s = 1764000000 };
	static uint8_t shake[1 + 1536 * 2] = { 3 };
	struct programme p = { data, data + size };
	struct buf out = { .max = 1 << 20 };
	unsigned mode = byte(&p);
	uint32_t chunk = 128, ts = mode & 16 ? 0xfffff0 : 0;
	struct rtmp *r;
	size_t n, at;
	bool goes_on;

	if (rtmp_new(&r, 1 << 16, "http://h/%s") < 0)
		return 0;
	if (mode & 8)
		rtmp_ask_password(r, &asker);
	rtmp_feed(r, shake, sizeof(shake));
	goes_on = listen_to(r, mode);
	while (goes_on && p.at < p.end) {
		step(&p, &out, &chunk, &ts);
		for (at = 0; goes_on && at < buf_len(&out); at += n) {
			n = buf_len(&out) - at;
			if ((mode & 2) && n > 1 + at % 97)
				n = 1 + at % 97;
			rtmp_feed(r, buf_data(&out) + at, n);
			goes_on = listen_to(r, mode);
		}
		buf_clear(&out);
	}
	rtmp_finish(r, "over");
	rtmp_free(&r);
	buf_free(&out);
	return 0;
}
