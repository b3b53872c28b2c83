/*
 * rtmp is the server's side of one RTMP connection that publishes; no I/O.
 *
 * Shape:  new; then (feed what was read; next until 0; send what is in out) repeated; free.
 *         RTMP_PUBLISH is answered by rtmp_allow or rtmp_refuse before anything else is fed.
 * Units:  timestamps as received, 32 bits of milliseconds.
 * Owner:  feed borrows; an event's pointers are good until the next call; out is ours, and its
 *         reader consumes it.
 * Errors: next gives 1 for an event, 0 for "feed me", or a final -errno: -EPROTO (rtmp_why says
 *         what), -EMSGSIZE, -E2BIG, -EBADMSG, -ENOMEM; -EACCES for one that connects again now,
 *         with the next step of user and password.
 * Limits: a message of 1 MiB before RTMP_PUBLISH is allowed, then max_message; names below.  RTMP_EARLY
 *         messages while nothing is published: an empty one costs its sender a byte, and us a look.
 * Spec:   RTMP 1.0 (Adobe, 2012), 5.2 handshake, 5.4 and 7 messages; Enhanced RTMP v2, "connect".
 *
 * Known misbehaviour that is accepted, in one place (of chunks: chunk.h; of the handshake: shake.h):
 *   - C0, C1, C2 and connect in any pieces, or all in one (hardware encoders, our own front ends).
 *   - SetChunkSize before connect (OBS), again and again (GStreamer), an echo of ours (ffmpeg).
 *   - commands and data as AMF3, types 17 and 15, with a leading zero (FMLE, Flash) or without.
 *   - values of a kind that AMF0 does not have end the list they are in: what came before counts.
 *   - app with a trailing '/' or "/_definst_" (Wirecast); tcUrl absent, spelt "tcurl", or in quotes.
 *   - "?query" in app, tcUrl or key, in all of them at once (ffmpeg, vMix): merged, each part once.
 *   - an empty key is the last part of the app; a lone app is the key (rtmp://host/key).
 *   - publish without its type, without the null before the key, or with more than one value there.
 *   - releaseStream, FCPublish without a transaction; FCPublish, createStream sent before connect is
 *     answered; _checkbw (Haivision) and whatever else wants an answer gets an empty one.
 *   - createStream any number of times; publish again on the same connection (FMLE).
 *   - values before "@setDataFrame"; arrays without an end (Envivio): passed on as they are.
 *   - audio and video after FCUnpublish, or before publish is allowed: dropped.
 */
#ifndef LV_RTMP_H
#define LV_RTMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "adobe.h"
#include "buf.h"

#define RTMP_EARLY 5000
#define RTMP_CHUNK 65536 /* what the peer is told; each of our messages fits in one */

enum rtmp_kind {
	RTMP_PUBLISH = 1, /* app, key, query, tcurl, client */
	RTMP_MEDIA,       /* type 8, 9 or 18, timestamp, body */
	RTMP_UNPUBLISH,   /* it said that it is done; it may publish again */
};

struct rtmp_event {
	enum rtmp_kind kind;
	uint8_t type;
	uint32_t timestamp;
	const uint8_t *body;
	size_t size;
	const char *app, *key, *query, *tcurl, *client;
	const struct adobe_answer *password; /* NULL: nobody was asked for one */
	bool too_long; /* a name over its bound, or with control characters: nobody's key */
};

enum rtmp_refusal { RTMP_DENIED, RTMP_BAD_NAME, RTMP_FAILED };

struct rtmp;
/* play_url: where players are sent, "%s" in it stands for the stream; "" for nowhere. */
int rtmp_new(struct rtmp **, size_t max_message, const char *play_url);
void rtmp_ask_password(struct rtmp *, const struct adobe *); /* first; borrows */
void rtmp_codecs(struct rtmp *, uint32_t set); /* first: those that are told to it (fourcc.h) */
void rtmp_feed(struct rtmp *, const void *, size_t); /* only after next gave 0 */
int rtmp_next(struct rtmp *, struct rtmp_event *);
struct buf *rtmp_out(struct rtmp *);
void rtmp_allow(struct rtmp *);
void rtmp_refuse(struct rtmp *, enum rtmp_refusal, const char *reason);
void rtmp_finish(struct rtmp *, const char *reason); /* while publishing: it is over, and why */
/* While publishing: it should go and connect again; false: one that would not understand. */
bool rtmp_reconnect(struct rtmp *, const char *reason);
const char *rtmp_why(const struct rtmp *);
void rtmp_free(struct rtmp **);

#endif
