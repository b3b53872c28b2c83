/*
 * chat: what a client may say to a chat room, read from a WebSocket message.  No I/O.
 *
 * Shape:  chat_read for each message; chat_id_* for the ids that are offsets too.
 * Errors: chat_read gives 0, or -EBADMSG with *notice, the stable id of the refusal, set.
 * Limits: those of the fields below; unknown fields are ignored.
 */
#ifndef LV_CHAT_H
#define LV_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ticket.h"

#define CHAT_TEXT_MAX 500    /* characters of a message */
#define CHAT_REASON_MAX 200  /* bytes */
#define CHAT_REF_MAX 64      /* bytes */
#define CHAT_EMOTE_MAX 32    /* bytes */
#define CHAT_EMOTE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:-"
#define CHAT_FRAME_MAX 8192  /* bytes of a WebSocket message: every character as two \\uXXXX */
#define CHAT_TIMEOUT_MAX_S (14 * 24 * 3600)
#define CHAT_SLOW_MAX_S 120
#define CHAT_FOLLOWERS_MAX_MIN 129600
#define CHAT_GIFTS_MAX 1000
#define CHAT_SPOTS_MAX 20     /* emotes within a text */
#define CHAT_HISTORY_MAX 100  /* entries asked for at a time */

/* When it was said, and a number within the millisecond: "1764000000000-0", as Redis Streams have it. */
struct chat_id {
	uint64_t ms, seq;
};
#define CHAT_ID_TEXT 42
int chat_id_read(struct chat_id *, const char *text); /* -EINVAL */
const char *chat_id_text(char text[CHAT_ID_TEXT], struct chat_id);
int chat_id_order(struct chat_id, struct chat_id); /* below, equal to or above 0 */

enum chat_kind {
	CHAT_AUTH = 1,
	CHAT_HISTORY, /* anybody: what was said before */
	CHAT_MESSAGE, /* anybody with a token */
	CHAT_EMOTE,
	CHAT_HELD,   /* a message that moderators look at first; nobody says it himself */
	CHAT_DELETE, /* moderators */
	CHAT_TIMEOUT,
	CHAT_BAN,
	CHAT_UNBAN,
	CHAT_CLEAR,
	CHAT_MODES,
	CHAT_PIN,
	CHAT_UNPIN,
	CHAT_APPROVE, /* it becomes a message */
	CHAT_DENY,
	CHAT_SUB, /* the service that knows of them */
	CHAT_GIFT,
	CHAT_RAID,
};
const char *chat_kind_text(enum chat_kind);
int chat_kind(const char *text); /* -EINVAL */

enum chat_links { CHAT_LINKS_ALL, CHAT_LINKS_SUBS, CHAT_LINKS_MODS, CHAT_LINKS_HOLD };
const char *chat_links_text(enum chat_links);
int chat_links(const char *text); /* -EINVAL */

struct chat_modes {
	int slow_s;        /* between two messages of a person; 0: off */
	int followers_min; /* follows for so many minutes or more; -1: off */
	bool subs, emote, unique;
	enum chat_links links; /* who may write them */
};

/* Characters (code points) from to below to of a text that are an emote; borrowed. */
struct chat_spot {
	const char *name, *url; /* url: NULL where it has no picture */
	int from, to;
};

struct chat_ask {
	enum chat_kind kind;
	char token[TICKET_TEXT_MAX + 1];
	char text[CHAT_TEXT_MAX * 4 + 1];
	char emote[CHAT_EMOTE_MAX + 1];
	char ref[CHAT_REF_MAX + 1]; /* the client's own word for this, given back */
	char user[TICKET_USER_MAX + 1], name[TICKET_NAME_MAX + 1];
	char reason[CHAT_REASON_MAX + 1];
	struct chat_id id; /* delete, pin; the message replied to; history: before it */
	bool has_id;
	int64_t seconds; /* timeout */
	int tier, count; /* sub, gift; the viewers of a raid; history: so many */
	struct chat_modes modes;
	bool has_slow, has_followers, has_subs, has_emote, has_unique, has_links;
	const char *why; /* it is held */
	struct chat_spot spots[CHAT_SPOTS_MAX];
	int spot_count;
};

int chat_read(struct chat_ask *, const char *text, size_t n, const char **notice);

bool chat_emote_good(const char *name);
const char *chat_notice_text(const char *notice); /* a refusal's id in words for people */

#endif
