/*
 * rtmp_parts: what the parts of rtmp share.
 *
 * rtmp.c          the connection: bytes in, messages, media out
 * rtmp_command.c  the commands that a peer gives
 * rtmp_say.c      what is answered
 */
#ifndef LV_RTMP_PARTS_H
#define LV_RTMP_PARTS_H

#include "chunk.h"
#include "rtmp.h"
#include "shake.h"

#define WINDOW 2500000
enum { CAPS_RECONNECT = 1, CAPS_MULTITRACK = 2, CAPS_MODEX = 4, CAPS_NANO = 8 }; /* E-RTMP v2, capsEx */

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
	int early; /* messages while nothing is published */
	uint32_t stream, csid; /* the one that publishes, and where its command came */
	uint32_t window, received, acknowledged;
	const char *why;
	const struct adobe *adobe;
	struct adobe_answer password;
	char play_url[512];
	char app[129], key[256], query[1025], tcurl[513], client[129];
	bool too_long;
	uint32_t codecs; /* that are told to it */
	bool reconnects; /* it has said that it understands being asked to */
	struct chunk_message aggregate; /* being split */
	uint32_t aggregate_base;
	bool aggregate_begun;
};

/* rtmp.c */
int rtmp_broken(struct rtmp *, const char *why);

/* rtmp_command.c: 1 with an event, 0, or an error. */
int rtmp_command(struct rtmp *, const struct chunk_message *, struct rtmp_event *);

/* rtmp_say.c */
void rtmp_put_u32(struct rtmp *, uint8_t type, uint32_t v, int extra); /* extra: a fifth byte, -1 for none */
void rtmp_put_status(struct rtmp *, uint32_t stream, const char *name, const char *level, const char *code,
	const char *description);
void rtmp_put_result(struct rtmp *, uint32_t csid, double txn, int number);
void rtmp_put_connected(struct rtmp *, uint32_t csid, double txn);
int rtmp_reject_connect(struct rtmp *, uint32_t csid, double txn, const char *description);

#endif
