/*
 * Bans in PostgreSQL (and gifts, in gifts.c): what moderators say in a room is written there, and what an operator writes
 * there is done in the rooms.  The database's notification wakes us; all that is in force is read
 * anew then.  While it is away the bans that are known hold, and what has to be written waits.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "clock.h"
#include "db.h"
#include "die.h"
#include "event.h"

#define OPERATOR "operator" /* as lv-auth signs: holds for moderators too */
#define READ_MS 2500
#define WRITE_MS 3600000 /* what has to be written waits so long for the database */
#define LOOK_MS 30000    /* by itself, if no notification came */

enum { READ_BANS, WRITE_BAN, WRITE_UNBAN, CLAIM_GIFTS, WRITE_GIFT, QUERIES };

static struct db_query queries[QUERIES] = {
	[READ_BANS] = { "select stream, user_id, coalesce((extract(epoch from until) * 1000)::bigint, 0), "
			"coalesce(reason, ''), by_user from chat_bans where lifted_at is null and "
			"(until is null or until > now()) and octet_length(stream) <= 64 and "
			"octet_length(user_id) between 1 and 128 order by id desc limit 100000",
		0 },
	[WRITE_BAN] = { "insert into chat_bans (stream, user_id, by_user, reason, until) "
			"values ($1, $2, $3, $4, to_timestamp(nullif($5::bigint, 0) / 1000.0)) "
			"on conflict (stream, user_id) where lifted_at is null do update set "
			"by_user = excluded.by_user, reason = excluded.reason, until = excluded.until, "
			"created_at = now()",
		5 },
	[WRITE_UNBAN] = { "update chat_bans set lifted_at = now() where stream = $1 and user_id = $2 and "
			  "lifted_at is null",
		2 },
};

struct entry {
	struct table_item item;
	uint64_t seen;    /* the reading that had it */
	int64_t until_ms; /* 0: no end */
	bool operator_s;
	bool lifted; /* by us, and the database does not know yet */
	char stream[TICKET_STREAM_MAX + 1], user[TICKET_USER_MAX + 1], reason[CHAT_REASON_MAX + 1];
	char key[TICKET_STREAM_MAX + TICKET_USER_MAX + 2];
};

struct books {
	struct hall *hall;
	struct db *db;
	struct table entries;
	ev_prepare prepare;
	ev_io io;
	ev_timer timer;
	uint64_t reading; /* how many */
	int64_t read_ms;
	bool asked, again;
};

static void
key_of(char key[TICKET_STREAM_MAX + TICKET_USER_MAX + 2], const char *stream, const char *user)
{
	snprintf(key, TICKET_STREAM_MAX + TICKET_USER_MAX + 2, "%s\n%s", stream, user);
}

static struct entry *
entry_find(const struct books *b, const char *stream, const char *user)
{
	char key[TICKET_STREAM_MAX + TICKET_USER_MAX + 2];

	key_of(key, stream, user);
	return table_find(&b->entries, key);
}

const char *
books_judge(const struct books *b, const char *stream, const struct ticket *t, int64_t now_ms, int64_t *until_ms)
{
	const char *const where[] = { stream, "*" };
	const struct entry *e;
	size_t i;

	for (i = 0; i < 2; i++) {
		e = entry_find(b, where[i], t->user);
		if (!e || e->lifted || (e->until_ms && e->until_ms <= now_ms))
			continue;
		if (t->role >= TICKET_OWNER || (t->role == TICKET_MOD && !e->operator_s))
			continue;
		*until_ms = e->until_ms;
		return e->until_ms ? "timed_out" : "banned";
	}
	return NULL;
}

/* The room hears of it, and what the person said is taken away, if it does not know yet. */
static void
announce(struct books *b, struct place *p, const struct entry *e, bool banned)
{
	int64_t left_ms = e->until_ms - clock_wall_ms();
	struct chat_ask a = { .kind = !banned ? CHAT_UNBAN : e->until_ms ? CHAT_TIMEOUT : CHAT_BAN };

	if (!*room_name(p->room) || !p->known || room_bans(p->room, e->user) == banned)
		return;
	memcpy(a.user, e->user, sizeof(a.user));
	if (banned)
		memcpy(a.reason, e->reason, sizeof(a.reason));
	a.seconds = left_ms / 1000 + 1;
	if (!e->until_ms || left_ms > 0 || !banned)
		hall_announce(b->hall, p, &a);
}

static void
announce_all(struct books *b, const struct entry *e, bool banned)
{
	struct place *p;

	if (strcmp(e->stream, "*")) {
		if ((p = table_find(&b->hall->places, e->stream)))
			announce(b, p, e, banned);
		return;
	}
	for (p = table_next(&b->hall->places, NULL); p; p = table_next(&b->hall->places, p))
		announce(b, p, e, banned);
}

static struct entry *
entry_new(struct books *b, const char *stream, const char *user)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	snprintf(e->stream, sizeof(e->stream), "%s", stream);
	snprintf(e->user, sizeof(e->user), "%s", user);
	key_of(e->key, e->stream, e->user);
	if (table_add(&b->entries, &e->item, e->key) < 0) {
		free(e);
		return NULL;
	}
	return e;
}

static void
take_row(struct books *b, const struct db_rows *rows, int i, bool first)
{
	const char *stream = db_text(rows, i, 0), *user = db_text(rows, i, 1), *reason = db_text(rows, i, 3);
	struct entry *e = entry_find(b, stream, user);
	bool new = !e;

	if (!e && !(e = entry_new(b, stream, user)))
		return;
	e->seen = b->reading;
	e->until_ms = db_int(rows, i, 2);
	e->operator_s = !strcmp(db_text(rows, i, 4), OPERATOR);
	if (ticket_word_good(reason, strlen(reason), CHAT_REASON_MAX))
		snprintf(e->reason, sizeof(e->reason), "%s", reason);
	if (new && !first)
		announce_all(b, e, true);
}

static void read_all(struct books *);

static void
on_read(void *arg, int err, const struct db_rows *rows)
{
	struct books *b = arg;
	struct entry *e, *next;
	int i;

	b->asked = false;
	if (err == -EPROTO)
		warning(0, "the database: %s", db_why(rows));
	if (err)
		return; /* when it is back it is asked again */
	b->reading++;
	b->read_ms = clock_mono_ms();
	for (i = 0; i < db_count(rows); i++)
		take_row(b, rows, i, b->reading == 1);
	for (e = table_next(&b->entries, NULL); e; e = next) {
		next = table_next(&b->entries, e);
		if (e->seen == b->reading)
			continue;
		announce_all(b, e, false);
		table_drop(&b->entries, &e->item);
		free(e);
	}
	gifts_look(b->hall, b->db, CLAIM_GIFTS);
	if (b->again)
		read_all(b);
}

static void
read_all(struct books *b)
{
	b->again = b->asked;
	if (!b->asked)
		b->asked = db_ask(b->db, READ_BANS, NULL, READ_MS, on_read, b) == 0;
}

static void
on_up(void *arg)
{
	read_all(arg);
}

static void
on_down(void *arg, const char *why, const char *state)
{
	(void)arg;
	(void)state;
	inform("the database is away: %s", why);
}

static void
on_written(void *arg, int err, const struct db_rows *rows)
{
	(void)arg;
	if (err)
		warning(0, "a ban was not written to the database: %s", err == -EPROTO ? db_why(rows) : strerror(-err));
}

struct lifting {
	struct books *books;
	char key[TICKET_STREAM_MAX + TICKET_USER_MAX + 2];
};

static void
on_lifted(void *arg, int err, const struct db_rows *rows)
{
	struct lifting *l = arg;
	struct entry *e = table_find(&l->books->entries, l->key);

	if (e)
		e->lifted = false; /* the reading that follows has it no more */
	free(l);
	on_written(NULL, err, rows);
}

void
books_write(struct books *b, const struct post *p)
{
	char until[24];
	const char *ban[] = { p->stream, p->user, p->by, *p->reason ? p->reason : NULL, until };
	struct lifting *l;
	struct entry *e;
	int r;

	if (p->kind == CHAT_GIFT) {
		gifts_write(b->db, WRITE_GIFT, p);
		return;
	}
	snprintf(until, sizeof(until), "%" PRId64, p->until_ms);
	if (p->kind == CHAT_BAN || p->kind == CHAT_TIMEOUT) {
		r = db_ask(b->db, WRITE_BAN, ban, WRITE_MS, on_written, NULL);
	} else {
		if (!(l = calloc(1, sizeof(*l))))
			return;
		l->books = b;
		key_of(l->key, p->stream, p->user);
		if ((e = table_find(&b->entries, l->key)))
			e->lifted = true;
		if ((r = db_ask(b->db, WRITE_UNBAN, ban, WRITE_MS, on_lifted, l)) < 0)
			free(l);
	}
	if (r < 0)
		on_written(NULL, r, NULL);
}

static void
turn(struct books *b)
{
	if (db_up(b->db) && clock_mono_ms() - b->read_ms > LOOK_MS) {
		b->read_ms = clock_mono_ms();
		read_all(b);
	}
	db_turn(b->db);
}

static void
on_io(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	turn(w->data);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	turn(w->data);
}

/* Before the loop sleeps: on what, and for how long. */
static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int unused)
{
	struct books *b = w->data;
	short wanted = db_events(b->db);
	int fd = db_fd(b->db), events = (wanted & POLLIN ? EV_READ : 0) | (wanted & POLLOUT ? EV_WRITE : 0);

	(void)unused;
	ev_io_stop(loop, &b->io);
	if (fd >= 0 && events) {
		ev_io_set(&b->io, fd, events);
		ev_io_start(loop, &b->io);
	}
	ev_timer_stop(loop, &b->timer);
	ev_timer_set(&b->timer, db_wait_ms(b->db, 1000) / 1000.0, 0);
	ev_timer_start(loop, &b->timer);
}

int
books_new(struct books **out, struct hall *hall, const char *url, const char **why)
{
	struct books *b = calloc(1, sizeof(*b));
	struct db_owner owner = { .queries = queries, .query_count = QUERIES, .name = "lv-chatd", .listen = "lv_bans",
		.up = on_up, .down = on_down, .woken = on_up };
	int r;

	if (!b)
		return -ENOMEM;
	b->hall = hall;
	queries[CLAIM_GIFTS] = gifts_claim;
	queries[WRITE_GIFT] = gifts_insert;
	owner.arg = b;
	if ((r = db_new(&b->db, url, &owner, why)) < 0) {
		free(b);
		return r;
	}
	ev_prepare_init(&b->prepare, on_prepare);
	ev_io_init(&b->io, on_io, -1, 0);
	ev_timer_init(&b->timer, on_timer, 0, 0);
	b->prepare.data = b->io.data = b->timer.data = b;
	ev_prepare_start(hall->loop, &b->prepare);
	*out = b;
	return 0;
}

/* What has to be written yet is given a moment. */
void
books_free(struct books **books)
{
	struct books *b = *books;

	if (!b)
		return;
	if (db_up(b->db) && db_waiting(b->db))
		db_settle(b->db, 2000);
	ev_prepare_stop(b->hall->loop, &b->prepare);
	ev_io_stop(b->hall->loop, &b->io);
	ev_timer_stop(b->hall->loop, &b->timer);
	db_free(&b->db);
	table_empty(&b->entries, free);
	free(b);
	*books = NULL;
}
