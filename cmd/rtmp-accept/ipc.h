/*
 * ipc: what the processes of rtmp-accept say to each other.
 *
 * door <-> session  SOCK_SEQPACKET on descriptor 3 of the session; the connection is descriptor 0.
 *     Each packet is one struct below, at most 4096 bytes, whole.  What a session sends is hostile:
 *     a wrong size, an unknown kind or a string without its NUL costs it its life.
 *       door > session   HELLO      first, before the session reads from the network
 *       session > door   PEER       what a trusted front end says of the connection, if HELLO asks
 *       session > door   ASK        publish was called; the session waits for VERDICT
 *       door > session   VERDICT    allowed: with the media socket by SCM_RIGHTS
 *       door > session   CLOSE      tell the publisher why, then end
 *       door > session   MERGE      while it publishes: many others do, or no more
 *       door > session   RECONNECT  ask the publisher, if it understands, to connect again
 *       session > door   BYE        last, when it can: why it ended (otherwise its exit tells)
 *
 * session > keeper  SOCK_STREAM on the media socket: records, each a RECORD_HEADER-byte header
 *     (be32 size of the payload, u8 type, u8 0, be16 0, be32 RTMP timestamp as received), then the
 *     payload: types 8, 9, 18 with the RTMP message (which is the FLV tag's body; "@setDataFrame"
 *     stripped, aggregates split), RECORD_END when the publisher said that it unpublishes (payload:
 *     a reason).  An unfinished last record is discarded.  The keeper closes its end to get rid of
 *     the session, after a RECORD_CLOSE record (payload: a reason for the publisher).
 *
 * door <-> keeper   SOCK_SEQPACKET: descriptor 3 of the keeper, or a connection to its socket
 *     RUNDIR/<stream>.sock, by which a door started later, a second listener and --inetd reach it.
 *     A keeper is started as "rtmp-keeper STREAM PROGRAM [ARG...]".  Both sides are ours.
 *       door > keeper    KEEP_HELLO    first, on descriptor 3 only
 *       door > keeper    KEEP_ATTACH   first, on a connection; the last one attached is the door
 *       keeper > door    KEEP_STATE    answers both (the keeper is ready), and at each change
 *       door > keeper    KEEP_SESSION  with the media socket by SCM_RIGHTS: a publisher
 *       keeper > door    KEEP_TAKEN    answers it; only then does the session get its VERDICT
 *       door > keeper    KEEP_KICK     close the publisher with this reason and end the broadcast
 *       door > keeper    KEEP_END      the same, politely: the door is stopping, or a new broadcast
 *       door > keeper    KEEP_YIELD    a newcomer with the same key waits: a publisher that was silent
 *                                      for quiet_ms is closed; the same packet answers
 *       door > keeper    KEEP_HAND     leave without a word: a keeper of another version goes on with
 *                                      the broadcast
 *       keeper > door    KEEP_NOTICE   a line for lv-auth; queued while no door is attached
 *       keeper > door    KEEP_BYE      the broadcast ended and the program was reaped
 *     A keeper that ends without KEEP_BYE has crashed: the door starts another for the same
 *     broadcast (resumed, group of the old program), which waits out the grace window.
 *
 *     Keepers outlive upgrades of their door: each tells its KEEP_VERSION, which grows with every change
 *     of a KEEP record.  What a door has to know of a keeper of any version stays as it is: KEEP_ATTACH,
 *     KEEP_KICK, KEEP_END, KEEP_YIELD, KEEP_HAND, KEEP_NOTICE, KEEP_BYE and the first KEEP_HEAD bytes of
 *     KEEP_STATE.  By these a keeper of another version is adopted, and its publisher goes on; who
 *     publishes there after him goes to a keeper of the door's own, which the broadcast is handed to.
 */
#ifndef RTMP_ACCEPT_IPC_H
#define RTMP_ACCEPT_IPC_H

#include <stddef.h>
#include <stdint.h>

#include "adobe.h"

#define IPC_FD 3
#define IPC_MAX 4096

enum ipc_kind { IPC_HELLO = 1, IPC_ASK, IPC_VERDICT, IPC_CLOSE, IPC_BYE, IPC_PEER, IPC_MERGE, IPC_RECONNECT };

enum ipc_code { /* how a refusal or an end is put to the publisher */
	IPC_OK,
	IPC_DENIED,   /* NetStream.Publish.Denied */
	IPC_BAD_NAME, /* NetStream.Publish.BadName: the stream is being published */
	IPC_FAILED,   /* NetStream.Failed: ours to mend; the publisher may try again */
	IPC_ENDED,    /* NetStream.Unpublish.Success with a reason: a kick, the program ended */
};

struct ipc_hello {
	uint32_t kind;
	uint32_t merge_ms;   /* the least that messages are merged over, when they are; 0: they never are */
	uint32_t publish_ms; /* handshake, connect and publish within this */
	uint32_t silence_ms; /* no byte for this long ends the session */
	uint32_t max_message_early, max_message; /* bytes, before and after the verdict */
	uint32_t sandbox;        /* 0 off, 1 on, 2 log */
	uint32_t proxied;        /* a PROXY header comes first */
	uint32_t codecs;         /* fourcc.h */
	struct adobe adobe;      /* its time is the session's to fill in */
	char play_url[512];      /* told to players: "http://host:8080/watch/%s", may be empty */
	char remote[64];         /* 203.0.113.9:50122, [2001:db8::1]:50122 */
};

struct ipc_peer {
	uint32_t kind;
	uint16_t port, local_port;
	char ip[48], local_ip[48];
};

struct ipc_ask { /* as received, split at '?', bounded, UTF-8; nothing else is checked yet */
	uint32_t kind;
	char app[129], key[256], query[1025], tcurl[513], client[129];
	struct adobe_answer password; /* its user is "" when nobody was asked for one */
};

struct ipc_verdict {
	uint32_t kind;
	uint32_t allow;
	uint32_t merge_ms; /* from the beginning */
	uint32_t code;  /* enum ipc_code */
	char reason[256];
};

struct ipc_merge { /* the publishers' messages are read together over so long; 0: each as it comes */
	uint32_t kind;
	uint32_t ms;
};

struct ipc_reconnect {
	uint32_t kind;
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

#define KEEP_MAX 8192
#define KEEP_VERSION 2
#define KEEP_OLDEST 2 /* before it there was none in its place */

enum keep_kind {
	KEEP_HELLO = 16,
	KEEP_ATTACH,
	KEEP_STATE,
	KEEP_SESSION,
	KEEP_TAKEN,
	KEEP_KICK,
	KEEP_END,
	KEEP_NOTICE,
	KEEP_BYE,
	KEEP_YIELD,
	KEEP_HAND,
};

struct keep_hello {
	uint32_t kind;
	uint32_t version;
	uint32_t resumed;  /* the broadcast began before: no broadcast.started */
	uint32_t grace_ms; /* how long a broadcast waits for its publisher to come back */
	uint32_t lag_ms, queue_bytes; /* the program is behind by more: drop to a key frame */
	uint32_t silence_ms;          /* a session that sends nothing for this long is closed */
	uint32_t health_ms; /* between two looks at what a publisher sends */
	uint32_t verbose, quiet;
	uint32_t codecs; /* others end their publisher */
	int32_t group;  /* the program of a keeper that crashed, to be rid of first; 0: none */
	int64_t nofile; /* the limit on open files that the program is given back */
	int64_t epoch, origin_ms;
	char stream[65], broadcast[27], user[65];
	char run_dir[256];
	char events[4][256]; /* as for --events: a descriptor the keeper inherited, or a path */
	uint32_t env_len;
	char env[4096]; /* NAME=VALUE, each with its NUL, for the program */
};

struct keep_attach { /* KEEP_HAND too */
	uint32_t kind;
};

struct keep_figures { /* since the keeper began, but for the last three, which are the last period's */
	int64_t bytes, pictures, sounds; /* of what publishers sent */
	int64_t dropped;                 /* pictures that the program did not get, being late */
	int64_t jumps, sessions, restarts; /* of time, of publishers, of the program */
	int32_t gop_ms, drift_ms, av_gap_ms;
};

struct keep_state {
	uint32_t kind;
	uint32_t version;
	uint32_t publishing; /* session and the fields after it are those of a live publisher */
	int32_t group;       /* the program's process group; 0: none runs */
	int64_t epoch, origin_ms;
	int64_t since_ms; /* Unix time: of the publisher */
	char stream[65], broadcast[27], user[65], session[65], remote[64];
	uint8_t key[32]; /* of the publisher, as in keep_session */
	/* Up to here the same in every version. */
	uint32_t kbps, fps_tenths, problems; /* at the last look; a set of 1 << enum health_problem */
	struct keep_figures figures;
};
#define KEEP_HEAD offsetof(struct keep_state, kbps)

struct keep_session {
	uint32_t kind;
	uint32_t max_kbps; /* 0: no bound */
	int64_t until_ms;  /* Unix time; 0: no bound */
	int64_t epoch;
	uint8_t key[32]; /* what it publishes with, as the mark that an operator's kick is compared with */
	char session[65], proto[8], remote_ip[48], local_ip[48], app[129], client[129];
	uint16_t remote_port, local_port;
};

struct keep_taken {
	uint32_t kind;
	uint32_t ok;
	uint32_t code; /* enum ipc_code */
	char session[65], reason[256];
};

struct keep_word { /* KEEP_KICK, KEEP_END, KEEP_BYE */
	uint32_t kind;
	char reason[256];
};

struct keep_yield {
	uint32_t kind;
	uint32_t quiet_ms; /* 0: whoever it is */
};

struct keep_notice {
	uint32_t kind;
	char line[2048]; /* JSON without its newline */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct keep_hello) + sizeof(struct keep_state) +
	sizeof(struct keep_session) + sizeof(struct keep_taken) == 6888,
	"a KEEP record has changed: KEEP_VERSION has to be raised, and this number set anew");

#define RECORD_HEADER 12
#define RECORD_MAX (8 << 20) /* what a tag may hold: TAGLOG_TAG_MAX */
enum { RECORD_AUDIO = 8, RECORD_VIDEO = 9, RECORD_DATA = 18, RECORD_END = 64, RECORD_CLOSE = 65 };

#endif
