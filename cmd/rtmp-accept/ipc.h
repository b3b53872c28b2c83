/*
 * ipc: what the processes of rtmp-accept say to each other.
 *
 * door <-> session  SOCK_SEQPACKET on descriptor 3 of the session; the connection is descriptor 0.
 *     Each packet is one struct below, at most 4096 bytes, whole.  What a session sends is hostile:
 *     a wrong size, an unknown kind or a string without its NUL costs it its life.
 *       door > session   HELLO      first, before the session reads from the network
 *       session > door   ASK        publish was called; the session waits for VERDICT
 *       door > session   VERDICT    allowed: with the media socket by SCM_RIGHTS
 *       door > session   CLOSE      tell the publisher why, then end
 *       session > door   BYE        last, when it can: why it ended (otherwise its exit tells)
 *
 * session > keeper  SOCK_STREAM on the media socket: records, each a RECORD_HEADER-byte header
 *     (be32 size of the payload, u8 type, u8 0, be16 0, be32 RTMP timestamp as received), then the
 *     payload: types 8, 9, 18 with the RTMP message (which is the FLV tag's body; "@setDataFrame"
 *     stripped, aggregates split), RECORD_END when the publisher said that it unpublishes (payload:
 *     a reason).  An unfinished last record is discarded.  The keeper closes its end to get rid of
 *     the session, after a RECORD_CLOSE record (payload: a reason for the publisher).
 */
#ifndef RTMP_ACCEPT_IPC_H
#define RTMP_ACCEPT_IPC_H

#include <stdint.h>

#define IPC_FD 3
#define IPC_MAX 4096

enum ipc_kind { IPC_HELLO = 1, IPC_ASK, IPC_VERDICT, IPC_CLOSE, IPC_BYE };

enum ipc_code { /* how a refusal or an end is put to the publisher */
	IPC_OK,
	IPC_DENIED,   /* NetStream.Publish.Denied */
	IPC_BAD_NAME, /* NetStream.Publish.BadName: the stream is being published */
	IPC_FAILED,   /* NetStream.Failed: ours to mend; the publisher may try again */
	IPC_ENDED,    /* NetStream.Unpublish.Success with a reason: a kick, the program ended */
};

struct ipc_hello {
	uint32_t kind;
	uint32_t merge_ms;   /* 0: pass on each message as it comes */
	uint32_t publish_ms; /* handshake, connect and publish within this */
	uint32_t silence_ms; /* no byte for this long ends the session */
	uint32_t max_message_early, max_message; /* bytes, before and after the verdict */
	uint32_t sandbox;        /* 0 off, 1 on, 2 log */
	char play_url[512];      /* told to players: "http://host:8080/watch/%s", may be empty */
	char remote[64];         /* 203.0.113.9:50122, [2001:db8::1]:50122 */
};

struct ipc_ask { /* as received, split at '?', bounded, UTF-8; nothing else is checked yet */
	uint32_t kind;
	char app[129], key[256], query[1025], tcurl[513], client[129];
};

struct ipc_verdict {
	uint32_t kind;
	uint32_t allow;
	uint32_t code; /* enum ipc_code */
	char reason[256];
};

struct ipc_close {
	uint32_t kind;
	uint32_t code;
	char reason[256];
};

struct ipc_bye {
	uint32_t kind;
	uint32_t code;
	char reason[256]; /* "unpublished", "connection closed", "silent for 10 s", "bad chunk" ... */
};

#define RECORD_HEADER 12
#define RECORD_MAX (10 << 20)
enum { RECORD_AUDIO = 8, RECORD_VIDEO = 9, RECORD_DATA = 18, RECORD_END = 64, RECORD_CLOSE = 65 };

#endif
