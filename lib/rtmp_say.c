#include "rtmp_parts.h"

#include <errno.h>

#include "amf.h"
#include "bytes.h"
#include "fourcc.h"

void
rtmp_put_u32(struct rtmp *r, uint8_t type, uint32_t v, int extra)
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
void
rtmp_put_status(struct rtmp *r, uint32_t stream, const char *name, const char *level, const char *code,
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
void
rtmp_put_result(struct rtmp *r, uint32_t csid, double txn, int number)
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

static void
put_codecs(struct buf *b, const char *key, uint32_t set, bool video)
{
	const struct fourcc *f;

	amf_put_key(b, key);
	amf_put_object(b);
	for (f = fourccs; f < fourccs + FOURCCS; f++)
		if (f->video == video && fourccs_have(set, f->code)) {
			amf_put_key(b, f->name);
			amf_put_number(b, 4);
		}
	amf_put_end(b);
}

/* 7.2.1.1, with what Enhanced RTMP v2 adds: codecs are forwarded (4), and what capsEx tells. */
void
rtmp_put_connected(struct rtmp *r, uint32_t csid, double txn)
{
	struct buf b = { 0 };

	rtmp_put_u32(r, WINDOW_ACK_SIZE, WINDOW, -1);
	rtmp_put_u32(r, PEER_BANDWIDTH, WINDOW, 2);
	rtmp_put_u32(r, 1, RTMP_CHUNK, -1);
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
	amf_put_number(&b, CAPS_RECONNECT | CAPS_MULTITRACK | CAPS_MODEX | CAPS_NANO);
	put_codecs(&b, "videoFourCcInfoMap", r->codecs, true);
	put_codecs(&b, "audioFourCcInfoMap", r->codecs, false);
	amf_put_end(&b);
	put_command(r, reply_csid(csid), 0, &b);
}

bool
rtmp_reconnect(struct rtmp *r, const char *reason)
{
	if (!r->publishing || !r->reconnects)
		return false;
	rtmp_put_status(r, 0, "onStatus", "status", "NetConnection.Connect.ReconnectRequest", reason);
	return true;
}

int
rtmp_reject_connect(struct rtmp *r, uint32_t csid, double txn, const char *description)
{
	struct buf b = { 0 };

	rtmp_put_u32(r, 1, RTMP_CHUNK, -1);
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
	r->early = 0;
	r->chunks.max_message = r->max_message;
	rtmp_put_status(r, r->stream, "onStatus", "status", "NetStream.Publish.Start", "publishing");
}

void
rtmp_refuse(struct rtmp *r, enum rtmp_refusal how, const char *reason)
{
	static const char *const codes[] = { "NetStream.Publish.Denied", "NetStream.Publish.BadName",
		"NetStream.Failed" };

	r->asked = false;
	rtmp_put_status(r, r->stream, "onStatus", "error", codes[how], reason);
}

void
rtmp_finish(struct rtmp *r, const char *reason)
{
	if (r->publishing)
		rtmp_put_status(r, r->stream, "onStatus", "error", "NetStream.Publish.Denied", reason);
	r->publishing = false;
}
