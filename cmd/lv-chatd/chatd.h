/*
 * chatd: what the files of lv-chatd share.  The hall has places, a place is a room with its guests,
 * a guest is a connection.
 */
#ifndef LV_CHATD_CHATD_H
#define LV_CHATD_CHATD_H

#include <ev.h>

#include "buf.h"
#include "emotes.h"
#include "metricsd.h"
#include "rate.h"
#include "room.h"
#include "table.h"
#include "ticket.h"
#include "words.h"
#include "ws.h"

#define AUDIENCE "lv-chatd"
#define POSTS_MAX 32 /* of a guest, on their way to Redis */
#define BOXES_MAX 16 /* whose viewers are counted */

struct chatd_config {
	char **origins; /* NULL: pages from anywhere; else exactly these */
	bool login;     /* nobody stays who has not logged in */
	int history;    /* messages that a newcomer sees */
	int per_address, per_user;
	int ping_s; /* silence after which a guest is asked whether it is there */
	int messages, window_ms; /* so many messages of a person in any such time */
};

struct count { /* of connections, by address or user */
	struct table_item item;
	int n;
	char name[];
};

struct person { /* in a room: how fast he writes */
	struct table_item item;
	struct rate rate;
	char name[];
};

struct box { /* another one's viewers of a room */
	uint64_t id;
	size_t viewers;
	int64_t seen_ms;
};

/* An entry on its way into a room: who waits for the answer, and what a moderator did. */
struct post {
	struct post *next, **prev; /* of the guest */
	struct guest *guest;       /* NULL: has left */
	enum chat_kind kind;
	char ref[CHAT_REF_MAX + 1];
	char stream[TICKET_STREAM_MAX + 1];
	char user[TICKET_USER_MAX + 1], by[TICKET_USER_MAX + 1], reason[CHAT_REASON_MAX + 1];
	int64_t until_ms; /* of a time-out */
	bool announced;   /* the books have it already */
	int tier, count;  /* of a gift */
};

struct place {
	struct table_item item; /* first: by the name of the room */
	struct room *room;
	struct guest **guests;
	size_t count, cap;
	struct table people;
	struct place *next_dirty;
	bool dirty;
	int64_t flushed_ms, empty_ms; /* when it was sent last; since when nobody is here */
	int64_t second, said_now, said_before; /* entries in this second and in the one before */
	size_t told, published; /* the viewers that everybody knows of; ours that other boxes do */
	bool known;  /* its history is here; until then nobody is greeted */
	bool filling, again; /* the history is on its way; and has to be asked for once more */
	struct box boxes[BOXES_MAX];
};

struct hall {
	struct chatd_config config;
	struct ev_loop *loop;
	struct ws *ws;
	struct ticket_key *key;
	struct words *blocked, *suspect; /* refused; held.  NULL: nothing is */
	struct emotes *emotes;           /* NULL: whatever they are called */
	struct remote *remote; /* NULL: this box alone */
	struct books *books;   /* NULL: bans are in the rooms only */
	struct table places, addresses, arrivals, users, listeners;
	struct place *dirty;
	ev_prepare flush;
	ev_timer later, tick;
	int64_t ticks, messages; /* messages since the start */
	bool draining;
};

struct guest {
	struct hall *hall;
	struct ws_conn *conn;
	struct place *place; /* NULL until the handshake is done */
	size_t index;        /* in the place */
	uint64_t at, joined; /* the next line of the log to send; the newest when it came */
	struct buf out;      /* frames for this guest alone, which go first */
	struct ticket *ticket; /* NULL: anonymous */
	struct count *address, *user;
	int64_t came_ms, behind_ms; /* 0: it has taken everything */
	int64_t pinged_ms;   /* or heard since; before the first ping: one interval before its time */
	ev_timer due;        /* when it has to be looked at */
	int second, frames; /* of the guest, in this second */
	int failures;       /* of its tokens */
	unsigned char unanswered; /* pings */
	bool pinged;
	bool must_login, has_offset, greeted, shown; /* shown: what is held */
	bool notify, had_inbox; /* is at /notify; and was told what it missed */
	struct listeners *listeners;
	struct guest *next_listener;
	struct post *posts;
	int post_count;
	struct chat_id offset;
	char stream[TICKET_STREAM_MAX + 1];
};

/* hall.c: rooms and who is in them */
int hall_open(struct hall *, struct ev_loop *);
void hall_close(struct hall *);
void hall_drain(struct hall *);
int hall_enter(struct guest *);  /* its stream's place; -ENOMEM */
void hall_leave(struct guest *);
void hall_said(struct hall *, struct place *); /* there are new entries */
void hall_known(struct place *);               /* greet who waited */
void hall_tell_author(struct place *, const struct room_held *, const char *notice);
size_t hall_viewers(const struct place *);
int hall_count(struct table *, struct count **, const char *name, int max); /* -EMFILE, -ENOMEM */
void hall_uncount(struct table *, struct count **);

/* post.c: entries on their way into a room */
void hall_post(struct guest *, const struct chat_ask *, const char *body, size_t n); /* or answers why not */
/* What became of a post: accepted under an id; or a notice (of the id of its twin); or the time to wait. */
void hall_posted(struct hall *, struct post *, const struct chat_id *, int64_t wait_ms, const char *notice);
int hall_apply(struct hall *, struct place *, struct chat_id, const char *body, size_t n);
void hall_announce(struct hall *, struct place *, const struct chat_ask *); /* the operator's word */

/* remote.c: the rooms' entries in Redis, shared with other boxes */
int remote_new(struct remote **, struct hall *, const char *url, const char *password);
void remote_free(struct remote **);
bool remote_is_away(const struct remote *);
void remote_enter(struct remote *, struct place *); /* a new place; its history comes */
void remote_leave(struct remote *, struct place *);
int remote_post(struct remote *, struct place *, struct post *, const char *body, size_t n, bool limited,
	int64_t pause_ms, const struct chat_ask *);
void remote_tell_viewers(struct remote *, struct place *);
void remote_follow(struct remote *, const char *user);
void remote_unfollow(struct remote *, const char *user);
void remote_inbox(struct remote *, const char *user);

/* books.c: bans, and gifts, in PostgreSQL */
int books_new(struct books **, struct hall *, const char *url, const char **why);
void books_free(struct books **);
const char *books_judge(const struct books *, const char *stream, const struct ticket *, int64_t now_ms,
	int64_t *until_ms); /* NULL, or the notice that refuses */
void books_write(struct books *, const struct post *);

/* figures.c: what --metrics tells, and what has to be counted for it */
extern struct chat_figures {
	struct metrics_counts refused, dropped; /* by notice; guests, by reason */
	int64_t delivered; /* entries, to guests */
	struct metrics_histogram redis;
} chat_figures;
void figures_fill(void *hall, struct metrics *);
int figures_open(void *hall, struct ws_conn *, void **guest); /* guest_open, counted */

/* gifts.c: subscriptions that were given; the queries are prepared by the books */
struct db;
struct db_query;
extern const struct db_query gifts_claim, gifts_insert;
void gifts_look(struct hall *, struct db *, int query);
void gifts_write(struct db *, int query, const struct post *);

/* notify.c: those who wait to be told that a stream began */
void notify_enter(struct guest *);
void notify_leave(struct guest *);
void notify_heard(struct hall *, const char *user, const char *text, size_t n, bool inbox);
void notify_again(struct hall *);

/*
 * door.c: a guest comes in.  ws calls door_arrived for a connection that has not said anything, and door_left
 * when it is over; guest_open with the handshake, which gives the guest or the HTTP
 * status that refuses it, then guest_opened.
 */
int door_arrived(void *hall, const char *remote, void **mark);
void door_left(void *hall, void *mark);
int guest_open(void *hall, struct ws_conn *, void **guest);
void guest_opened(void *guest);
void guest_greet(struct guest *); /* the place is known: what happened there may be told */
void guest_login(struct guest *, const char *token, const char *ref); /* welcome, a notice, or its end */

/* message.c: what a guest says, as ws calls it; borrows the text */
void guest_message(void *guest, const char *text, size_t n);

/*
 * guest.c: a guest that is here, what it is sent, and whether it still listens.  Every text is borrowed,
 * and waits in the guest if it has to.  guest_writable and guest_closed are called by ws; the latter frees.
 */
void guest_watch(struct guest *); /* from now on it is asked whether it is there, and cut if it is not */
void guest_writable(void *guest);
void guest_closed(void *guest);
void guest_pump(struct guest *); /* what it has not got yet, as far as it takes it */
void guest_say(struct guest *, const char *text, size_t n);
void guest_say_json(struct guest *, struct json *); /* ends it; nothing, when it did not fit */
void guest_notice(struct guest *, const char *id, const char *ref, const struct room_verdict *);
void guest_approved(struct guest *, const char *ref, struct chat_id message);
void guest_wait(struct guest *, int64_t wait_ms, const char *ref); /* slowmode */
void guest_show_held(struct guest *, const struct room_held *, const char *type); /* to a moderator */
void guest_show_all_held(struct guest *); /* likewise; once a connection */
void guest_end(struct guest *, unsigned code, const char *reason); /* with advice when to return */

#endif
