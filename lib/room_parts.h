/* room_parts: what the files of a room share; nobody else includes this. */
#ifndef LV_ROOM_PARTS_H
#define LV_ROOM_PARTS_H

#include "room.h"
#include "table.h"

struct line {
	struct chat_id id;
	enum chat_kind kind;
	bool dead;
	uint64_t said, ref; /* hashes of the text, and of person and ref; 0: none */
	struct chat_id shows;  /* of a pin: the message that is in it */
	char user[TICKET_USER_MAX + 1]; /* whose it is; of a pin: that message's */
	size_t head, size; /* bytes before the payload, and in all */
	uint8_t frame[];
};

struct ban {
	struct table_item item;
	int64_t until_ms; /* 0: no end */
	bool by_owner;    /* holds for moderators too */
	char user[TICKET_USER_MAX + 1];
};

struct room {
	char name[TICKET_STREAM_MAX + 1];
	struct line *ring[ROOM_KEEP];
	uint64_t first, head; /* lines first to head - 1 are in ring[number % ROOM_KEEP] */
	struct chat_id floor, last; /* everything after floor is here; the newest */
	struct table bans;
	struct chat_modes modes;
	char *pin; /* the pinned message, JSON; NULL: none */
	struct chat_id pin_id;
	char pin_user[TICKET_USER_MAX + 1];
	size_t held;         /* how many wait */
	uint64_t secret_end; /* after the last line that is not for everybody */
	struct line *denied; /* by the newest entry; NULL: none */
	struct {
		uint64_t from, to;
		bool whole; /* with what is no message */
		bool secret; /* and with what is held */
		struct buf frames;
	} batch;
};

static inline struct line *
line_at(const struct room *r, uint64_t n)
{
	return r->ring[n % ROOM_KEEP];
}

/* What people say, and is taken away when they are banned. */
static inline bool
is_said(enum chat_kind kind)
{
	return kind == CHAT_MESSAGE || kind == CHAT_EMOTE || kind >= CHAT_SUB;
}

/* What goes with the person. */
static inline bool
is_personal(enum chat_kind kind)
{
	return is_said(kind) || kind == CHAT_HELD || kind == CHAT_PIN;
}

/* For moderators only. */
static inline bool
is_secret(enum chat_kind kind)
{
	return kind == CHAT_HELD || kind == CHAT_DENY;
}

static inline bool
is_waiting(const struct line *l, int64_t now_ms)
{
	return l->kind == CHAT_HELD && !l->dead && l->id.ms + ROOM_HELD_MS > (uint64_t)now_ms;
}

struct line *room_line(const struct room *, struct chat_id); /* NULL: not there */
uint64_t room_ref(const char *user, const char *ref);        /* 0: no ref */

#endif
