/*
 * room: one chat room: what was said in it, who may not speak, its modes.  No I/O.
 *
 * A room is the sum of its entries.  An entry is a JSON object, made by room_body, that gets an id
 * from whoever keeps the order, here or in Redis; room_apply takes it in on every box alike and
 * keeps it as a WebSocket text frame, ready to be sent to all.  The log of these frames is each
 * reader's queue too: a reader is a number in it, so that a message is in memory once, however many
 * have still to get it, and resuming is setting that number.
 *
 * Shape:  judge an ask, make its body, apply it; readers take batches from their number on.
 * Errors: 0 or more, -errno; -EEXIST for an entry that is not newer than the last.
 * Limits: ROOM_KEEP lines, ROOM_BANS_MAX bans, ROOM_BODY_MAX bytes an entry.
 * Spec:   RFC 6455, 5.2 (frames).
 */
#ifndef LV_ROOM_H
#define LV_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "chat.h"
#include "json.h"

#define ROOM_KEEP 1000
#define ROOM_BANS_MAX 100000
#define ROOM_BODY_MAX 8192
#define ROOM_BATCH (32 << 10)
#define ROOM_HELD_MS 300000 /* a message waits for a moderator for so long */
#define ROOM_HELD_MAX 50    /* so many do in a room, and of a person */
#define ROOM_HELD_OF_ONE 3
#define ROOM_RESENT_MS (5 * 60000) /* a message with the same ref within this is the same message */

struct room;

int room_new(struct room **, const char *name, struct chat_id floor); /* before the first entry */
void room_free(struct room **);
const char *room_name(const struct room *);

/*
 * May this be said?  NULL, or the id of the notice that refuses it; *until_ms is when a time-out
 * ends (0: no end), *twin the id under which a duplicate is known.  No ticket: an anonymous reader.
 */
struct room_verdict {
	int64_t until_ms;
	struct chat_id twin;
	const char *hold; /* it may be, when a moderator lets it: why */
};
bool room_bans(const struct room *, const char *user); /* or gave him time out */
const char *room_judge(struct room *, const struct ticket *, const struct chat_ask *, int64_t now_ms,
	struct room_verdict *);

/*
 * Held messages are entries that only moderators are shown.  Approving one makes it a message, denying
 * it, or the time, ends it.
 */
struct room_held { /* borrowed until the next call that changes the room */
	struct chat_id id;
	const char *user, *entry;
	size_t n;
};
bool room_can_hold(const struct room *, const char *user, int64_t now_ms);
bool room_held(const struct room *, uint64_t *at, int64_t now_ms, struct room_held *); /* from *at on */
bool room_held_over(struct room *, int64_t now_ms, struct room_held *); /* one whose time is over */
bool room_denied(const struct room *, struct room_held *);              /* by the newest entry */
const char *room_author(const struct room *, struct chat_id);           /* NULL: there is no such line */

/* The entry that an ask becomes; -EMSGSIZE. */
int room_body(const struct room *, char body[ROOM_BODY_MAX], const struct chat_ask *,
	const struct ticket *, int64_t now_ms);
int room_apply(struct room *, struct chat_id, const char *body, size_t n);

/*
 * What was kept elsewhere, when this box did not listen: first room_floor, from which id on nothing
 * is missing there, then the state, as the entries that made it, then the log by room_apply.
 */
void room_floor(struct room *, struct chat_id floor);
int room_restore(struct room *, const char *body, size_t n);

struct chat_id room_next_id(const struct room *, int64_t now_ms); /* for a room of this box alone */
struct chat_id room_last(const struct room *);
int64_t room_pause_ms(const struct room *, const struct ticket *); /* slow mode, for this person */

/* Numbers in the log: the oldest line, one past the newest, the n-th last message. */
uint64_t room_first(const struct room *);
uint64_t room_head(const struct room *);
uint64_t room_back(const struct room *, unsigned n);
/* The number from which somebody who has everything up to id reads on; -ESTALE: not all is left. */
int room_after(const struct room *, struct chat_id, uint64_t *at);

/*
 * Frames from *at on, ROOM_BATCH bytes of them or one, borrowed until the next call with this room;
 * *at moves past them.  Below "joined" only what was said counts: a newcomer has nothing to delete.
 * A moderator is shown what is held, too.  0 bytes: nothing is left to send.
 */
size_t room_batch(struct room *, uint64_t *at, uint64_t joined, bool moderator, const uint8_t **frames);

/*
 * What was said before an id, the newest count of it in at most ROOM_BATCH bytes, oldest first, appended
 * as entries parted by commas.  True: there is more.
 */
bool room_say_before(const struct room *, struct chat_id, int count, struct buf *);

void room_say_modes(const struct room *, struct json *); /* as fields of an object */
void room_say_pin(const struct room *, struct json *);

/* A text frame of a server around a payload: its head is written, its length given. */
#define FRAME_HEAD 10
size_t frame_head(uint8_t head[FRAME_HEAD], size_t payload);

#endif
