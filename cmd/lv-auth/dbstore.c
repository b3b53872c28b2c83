/* Keys and broadcasts in a database, for several boxes.  schema/002-airings.sql has its half. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "airing.h"
#include "auth.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "outbox.h"

#define RENEW_MS 5000   /* a third of the lease */
#define WAIT_MS 2000    /* a question, for a connection */
#define VERDICT_MS 2900 /* the door gives up after 3 s: a later "yes" would hold the stream in vain */
#define AGAIN_MS 1000   /* after a fault that passes */
#define OWN_MAX 20000

enum { Q_RESERVE, Q_PUBLISHING, Q_SESSION_OVER, Q_BROADCAST_OVER, Q_SYNC, Q_RENEW, Q_REAP, Q_LEAVE, Q_KEY,
	Q_USER };

static const struct db_query queries[] = {
	[Q_RESERVE] = { "select * from lv_reserve($1, $2, $3, $4, $5, $6)", 6 },
	[Q_PUBLISHING] = { "select * from lv_publishing($1, $2, $3, $4, $5, $6, $7)", 7 },
	[Q_SESSION_OVER] = { "select lv_session_over($1, $2, $3, $4)", 4 },
	[Q_BROADCAST_OVER] = { "select lv_broadcast_over($1, $2, $3, $4)", 4 },
	[Q_SYNC] = { "select lv_sync($1, $2)", 2 },
	[Q_RENEW] = { "select * from lv_renew($1, $2, $3)", 3 },
	[Q_REAP] = { "select lv_reap($1)", 1 },
	[Q_LEAVE] = { "select lv_leave($1, $2)", 2 },
	[Q_KEY] = { DBKEY_SELECT " where key = $1 limit 2", 1 },
	[Q_USER] = { DBKEY_SELECT " where stream = $1 and adobe is not null and is_active order by id", 1 },
};

/* A stream that this box holds: its lease is ours to renew. */
struct own {
	char stream[65], broadcast[AIRING_ID], session[129];
	int64_t epoch, origin_ms, since_ms; /* since: the wall clock when it came to its state */
	enum airing_state state;
	bool fresh, proved, kicked;
};

struct dbstore {
	struct store store;
	struct db *db;
	struct outbox outbox;
	struct own *own;
	size_t own_count;
	size_t requests; /* without a verdict */
	char box[256], hold_s[16];
	char said[256]; /* the reason of the outage, as it was told; empty while the database is there */
	bool renewing, wake;
	int64_t renew_ms, again_ms; /* monotonic; again: 0 for never */
};

struct request {
	struct dbstore *s;
	int64_t asked_ms;
	char id[129], session[129], app[129], key_id[64];
	struct adobe_answer password; /* its user is "" where a key was shown */
	struct key key;
};

static const char *
number(char text[24], int64_t v)
{
	snprintf(text, 24, "%" PRId64, v);
	return text;
}

/* What we hold. */

static struct own *
own_by(struct dbstore *s, size_t field, const char *value)
{
	size_t i;

	for (i = 0; *value && i < s->own_count; i++)
		if (!strcmp((char *)&s->own[i] + field, value))
			return &s->own[i];
	return NULL;
}
#define OWN_BY(s, field, value) own_by(s, offsetof(struct own, field), value)

static void
own_drop(struct dbstore *s, struct own *o)
{
	*o = s->own[--s->own_count];
}

/* There may be one of that stream already, which this one replaces; "" while it is not known. */
static struct own *
own_take(struct dbstore *s, const char *stream, const char *broadcast, const char *session)
{
	struct own *o = *stream ? OWN_BY(s, stream, stream) : OWN_BY(s, broadcast, broadcast);

	if (!o) {
		if (s->own_count == OWN_MAX)
			return NULL;
		o = &s->own[s->own_count++];
	}
	memset(o, 0, sizeof(*o));
	snprintf(o->stream, sizeof(o->stream), "%s", stream);
	snprintf(o->broadcast, sizeof(o->broadcast), "%s", broadcast);
	snprintf(o->session, sizeof(o->session), "%s", session);
	o->since_ms = clock_wall_ms();
	return o;
}

static void
own_release(struct dbstore *s, struct own *o)
{
	if (o->fresh) {
		own_drop(s, o);
		return;
	}
	o->state = AIRING_HELD;
	o->session[0] = '\0';
}

static void
own_kick(struct dbstore *s, struct own *o, const char *why)
{
	if (o->state == AIRING_LIVE && !o->kicked && *o->stream)
		verdict_kick(&s->store.out, o->stream, why);
	o->kicked = true;
}

/* Streams, broadcasts and epochs as arrays of the database; names hold nothing to escape. */
static int
own_arrays(const struct dbstore *s, unsigned states, struct buf lists[3])
{
	size_t i, n = 0;

	for (i = 0; i < s->own_count; i++) {
		const struct own *o = &s->own[i];
		const char *comma = n ? "," : "{";

		if (!(states & 1u << o->state))
			continue;
		buf_printf(&lists[0], "%s\"%s\"", comma, o->stream); /* it may not be known yet */
		buf_printf(&lists[1], "%s%s", comma, o->broadcast);
		buf_printf(&lists[2], "%s%" PRId64, comma, o->epoch);
		n++;
	}
	for (i = 0; i < 3; i++)
		buf_append(&lists[i], n ? "}" : "{}", n ? 2 : 3);
	return lists[0].error ? lists[0].error : lists[1].error ? lists[1].error : lists[2].error;
}

static void
lists_free(struct buf lists[3])
{
	buf_free(&lists[0]);
	buf_free(&lists[1]);
	buf_free(&lists[2]);
}

/* Leases. */

static void
ignored(void *arg, int err, const struct db_rows *rows)
{
	(void)arg;
	if (err == -EPROTO)
		complain(0, "the database: %s", db_why(rows));
}

static void
renewed(void *arg, int err, const struct db_rows *rows)
{
	struct dbstore *s = arg;
	struct own *o;
	int i;

	s->renewing = false;
	ignored(s, err, rows);
	for (i = 0; !err && i < db_count(rows); i++) {
		if (!(o = OWN_BY(s, stream, db_text(rows, i, 0))))
			continue;
		if (!strcmp(db_text(rows, i, 1), "revoked")) {
			own_kick(s, o, "the key was revoked");
		} else {
			own_kick(s, o, "published elsewhere");
			own_drop(s, o);
		}
	}
}

static void
renew(struct dbstore *s)
{
	const unsigned held = 1u << AIRING_LIVE | 1u << AIRING_HELD | 1u << AIRING_RESERVED;
	struct buf l[3] = { 0 };
	int r = own_arrays(s, held, l);
	const char *const params[] = { (char *)buf_data(&l[0]), (char *)buf_data(&l[1]), (char *)buf_data(&l[2]) };
	const char *const hold[] = { s->hold_s };

	if (!r && (r = db_ask(s->db, Q_RENEW, params, WAIT_MS, renewed, s)) == 0)
		s->renewing = true;
	if (!r)
		r = db_ask(s->db, Q_REAP, hold, WAIT_MS, ignored, s);
	if (r)
		complain(r, "cannot renew the leases");
	lists_free(l);
	s->renew_ms = clock_mono_ms() + RENEW_MS;
	s->wake = false;
}

/* Notices. */

/* A fault that passes by itself: the server is busy, stopping, starting, or not yet the new one. */
static bool
passes(const char *state)
{
	return !strncmp(state, "40", 2) || !strncmp(state, "53", 2) || !strncmp(state, "55", 2) ||
		!strncmp(state, "57", 2) || !strncmp(state, "58", 2) || !strcmp(state, "25006");
}

struct telling {
	struct dbstore *s;
	struct note *note;
};

/* The database says whose a stream is, and its name and epoch where a notice did not. */
static void
learn(struct dbstore *s, const struct note *n, const struct db_rows *rows)
{
	struct own *o = OWN_BY(s, broadcast, n->broadcast);

	if (!o || o->epoch > n->epoch)
		return;
	if (!db_count(rows)) { /* nobody knows it */
		own_drop(s, o);
		return;
	}
	if (!strcmp(db_text(rows, 0, 0), "lost")) {
		own_kick(s, o, "published elsewhere");
		own_drop(s, o);
		return;
	}
	snprintf(o->stream, sizeof(o->stream), "%s", db_text(rows, 0, 1));
	o->epoch = db_int(rows, 0, 2);
	o->origin_ms = db_int(rows, 0, 3);
}

static void
told(void *arg, int err, const struct db_rows *rows)
{
	struct telling *t = arg;
	struct dbstore *s = t->s;
	struct note *n = t->note;

	free(t);
	if (err == -EPROTO && !passes(db_state(rows))) {
		complain(0, "the database did not take a notice: %s", db_why(rows));
	} else if (err) {
		s->again_ms = clock_mono_ms() + AGAIN_MS;
		s->outbox.sent--;
		return;
	} else if (!err && (n->kind == ASK_STARTED || n->kind == ASK_LIVE)) {
		learn(s, n, rows);
	}
	outbox_answer(&s->outbox, n);
}

static int
tell(struct dbstore *s, struct note *n, db_answer *answer, void *arg)
{
	char epoch[24], origin[24], at[24];
	struct buf l[3] = { 0 };
	int r;

	number(epoch, n->epoch);
	number(origin, n->origin_ms);
	number(at, n->at_ms);
	switch (n->kind) {
	case ASK_STARTED:
	case ASK_LIVE:
		return db_ask(s->db, Q_PUBLISHING, (const char *const[]){ n->stream, n->broadcast, n->session,
			epoch, origin, s->box, at }, WAIT_MS, answer, arg);
	case ASK_BROADCAST_ENDED:
		return db_ask(s->db, Q_BROADCAST_OVER, (const char *const[]){ n->broadcast, epoch, s->box, at },
			WAIT_MS, answer, arg);
	case ASK_SYNC:
		if ((r = own_arrays(s, 1u << AIRING_LIVE | 1u << AIRING_RESERVED, l)) == 0)
			r = db_ask(s->db, Q_SYNC, (const char *const[]){ s->box, (char *)buf_data(&l[1]) },
				WAIT_MS, answer, arg);
		lists_free(l);
		return r;
	default:
		return db_ask(s->db, Q_SESSION_OVER, (const char *const[]){ n->broadcast, n->session, s->box, at },
			WAIT_MS, answer, arg);
	}
}

/* What is in the outbox goes out, for as long as there is a connection. */
static void
send_notes(struct dbstore *s)
{
	struct telling *t;
	struct note *n;

	while (!s->again_ms && (n = outbox_next(&s->outbox))) {
		if (!(t = malloc(sizeof(*t))) || (*t = (struct telling){ s, n }, tell(s, n, told, t)) < 0) {
			free(t);
			s->outbox.sent--;
			s->again_ms = clock_mono_ms() + AGAIN_MS;
		}
	}
}

static int
post(struct dbstore *s, struct note *n)
{
	int r;

	if (!n->at_ms)
		n->at_ms = clock_wall_ms();
	r = outbox_add(&s->outbox, n);
	if (!r && db_up(s->db))
		send_notes(s);
	return r;
}

static void
synced(struct dbstore *s)
{
	size_t i;

	for (i = s->own_count; i-- > 0;) {
		struct own *o = &s->own[i];
		bool proved = o->proved;

		o->proved = false;
		if (o->state == AIRING_LIVE && !proved)
			own_release(s, o);
	}
}

static int
db_notice(struct store *store, const struct ask *a)
{
	struct dbstore *s = (struct dbstore *)store;
	struct own *o = OWN_BY(s, broadcast, a->broadcast);
	struct note n = { .kind = a->kind, .epoch = a->epoch ? a->epoch : o ? o->epoch : 0,
		.origin_ms = a->origin_ms ? a->origin_ms : o ? o->origin_ms : airing_id_ms(a->broadcast) };
	int r;

	if (a->kind != ASK_SYNC && !airing_id_good(a->broadcast))
		return 0;
	snprintf(n.stream, sizeof(n.stream), "%s", o ? o->stream : a->stream);
	memcpy(n.broadcast, a->broadcast, sizeof(n.broadcast));
	memcpy(n.session, a->session, sizeof(n.session));
	switch (a->kind) {
	case ASK_STARTED:
	case ASK_LIVE:
		if (*n.stream && !keys_stream_good(n.stream))
			return 0;
		if (o && n.epoch < o->epoch)
			break; /* an earlier owner's, for the history */
		if (!(o = own_take(s, n.stream, n.broadcast, n.session)))
			return -ENOMEM;
		o->epoch = n.epoch;
		o->origin_ms = n.origin_ms;
		o->state = AIRING_LIVE;
		o->proved = true;
		break;
	case ASK_ENDED:
	case ASK_ABANDONED:
		if (o && !strcmp(o->session, n.session))
			own_release(s, o);
		break;
	case ASK_BROADCAST_ENDED:
		if (o && o->state != AIRING_RESERVED)
			own_drop(s, o);
		break;
	default:
		synced(s);
	}
	return (r = post(s, &n)) < 0 ? r : 1;
}

/* Questions. */

static void
reply(struct request *q, const char *refusal)
{
	if (refusal)
		verdict_refuse(&q->s->store.out, q->id, refusal);
	q->s->requests--;
	explicit_bzero(q, sizeof(*q));
	free(q);
}

/* It may have been reserved for a session that will never hear of it. */
static void
take_back(struct dbstore *s, const char *session)
{
	struct note n = { .kind = ASK_ABANDONED };
	int r;

	snprintf(n.session, sizeof(n.session), "%s", session);
	if ((r = post(s, &n)) < 0)
		complain(r, "cannot take a reservation back");
}

static void
reserved(void *arg, int err, const struct db_rows *rows)
{
	struct request *q = arg;
	struct dbstore *s = q->s;
	struct own *o;

	if (err) {
		if (err == -EPROTO)
			complain(0, "the database: %s", db_why(rows));
		else if (err == -ENOTCONN)
			take_back(s, q->session);
		reply(q, "try again later");
	} else if (!db_count(rows)) {
		verdict_busy(&s->store.out, q->id, q->key.stream);
		reply(q, NULL);
	} else if (clock_mono_ms() - q->asked_ms > VERDICT_MS ||
		!(o = own_take(s, q->key.stream, db_text(rows, 0, 0), q->session))) {
		take_back(s, q->session);
		reply(q, "try again later");
	} else {
		o->origin_ms = db_int(rows, 0, 1);
		o->epoch = db_int(rows, 0, 2);
		o->fresh = !db_bool(rows, 0, 3);
		o->state = AIRING_RESERVED;
		verdict_allow(&s->store.out, q->id, &(struct verdict){ .stream = o->stream,
			.user = q->key.user, .broadcast = o->broadcast, .origin_ms = o->origin_ms,
			.epoch = o->epoch, .max_kbps = q->key.max_kbps, .until_ms = q->key.until_ms, .resumed = !o->fresh });
		reply(q, NULL);
	}
}

/* The row of a key, which must be the only one; or that of the user whose password was shown. */
static bool
pick(struct request *q, const struct db_rows *rows)
{
	int i;

	if (!*q->password.user)
		return db_count(rows) == 1 && dbkey_read(&q->key, q->key_id, rows, 0);
	for (i = 0; i < db_count(rows); i++)
		if (dbkey_read(&q->key, q->key_id, rows, i) && keyring_password_good(&q->key, &q->password))
			return true;
	return false;
}

static void
found(void *arg, int err, const struct db_rows *rows)
{
	struct request *q = arg;
	struct dbstore *s = q->s;
	char now[24];

	if (err) {
		if (err == -EPROTO)
			complain(0, "the database: %s", db_why(rows));
		reply(q, "try again later");
		return;
	}
	if (!pick(q, rows) || keys_refusal(&q->key, q->app, clock_wall_ms())) {
		reply(q, "unknown key");
		return;
	}
	if (db_ask(s->db, Q_RESERVE, (const char *const[]){ q->key.stream, q->key_id, q->session, s->box,
			number(now, clock_wall_ms()), s->hold_s }, WAIT_MS, reserved, q) < 0)
		reply(q, "try again later");
}

static void
db_publish(struct store *store, const struct ask *a)
{
	struct dbstore *s = (struct dbstore *)store;
	bool user = *a->password.user;
	char digest[DBKEY_TEXT];
	struct request *q;

	if (!user && (a->key_bad || dbkey_text(digest, a->key) < 0)) {
		verdict_refuse(&store->out, a->id, "unknown key");
		return;
	}
	if (!(q = calloc(1, sizeof(*q)))) {
		verdict_refuse(&store->out, a->id, "try again later");
		return;
	}
	q->s = s;
	q->asked_ms = clock_mono_ms();
	memcpy(q->id, a->id, sizeof(q->id));
	memcpy(q->session, *a->session ? a->session : a->id, sizeof(q->session));
	memcpy(q->app, a->app, sizeof(q->app));
	q->password = a->password;
	s->requests++;
	if (db_ask(s->db, user ? Q_USER : Q_KEY, (const char *const[]){ user ? a->password.user : digest }, WAIT_MS,
			found, q) < 0)
		reply(q, "try again later");
}

/* The connection. */

/* First what is ours, then what was missed, then what was asked meanwhile. */
static void
came_up(void *arg)
{
	struct dbstore *s = arg;
	struct event ev;
	size_t i;
	int r;

	if (*s->said)
		warning(0, "the database answers again");
	s->said[0] = '\0';
	event_begin(&ev, "database.connected");
	event_int(&ev, "notices", (int64_t)s->outbox.count);
	event_send(&ev);
	s->renewing = false;
	renew(s);
	for (i = 0; i < s->own_count; i++) {
		const struct own *o = &s->own[i];
		struct note n = { .kind = ASK_LIVE, .epoch = o->epoch, .origin_ms = o->origin_ms,
			.at_ms = o->since_ms };

		if (o->state != AIRING_LIVE)
			continue;
		memcpy(n.stream, o->stream, sizeof(n.stream));
		memcpy(n.broadcast, o->broadcast, sizeof(n.broadcast));
		memcpy(n.session, o->session, sizeof(n.session));
		if ((r = tell(s, &n, ignored, s)) < 0)
			complain(r, "cannot tell the database what is live");
	}
	s->again_ms = 0;
	outbox_again(&s->outbox);
	outbox_away(&s->outbox, false);
	send_notes(s);
}

static void
went_down(void *arg, const char *why, const char *state)
{
	struct dbstore *s = arg;
	struct event ev;

	outbox_away(&s->outbox, true);
	if (!strcmp(s->said, why))
		return;
	complain(0, "cannot use the database: %s%s; new publishers are refused until it answers", why,
		dbstate_hint(state));
	event_begin(&ev, "database.lost");
	event_str(&ev, "reason", why);
	event_send(&ev);
	snprintf(s->said, sizeof(s->said), "%s", why);
}

static void
woken(void *arg)
{
	((struct dbstore *)arg)->wake = true;
}

static void
db_store_turn(struct store *store)
{
	struct dbstore *s = (struct dbstore *)store;
	int64_t now = clock_mono_ms(), wall = clock_wall_ms();
	size_t i;

	for (i = s->own_count; i-- > 0;) {
		struct own *o = &s->own[i];

		if (o->state == AIRING_RESERVED && wall - o->since_ms >= AIRING_RESERVED_MS) {
			take_back(s, o->session);
			own_release(s, o);
		}
	}
	if (db_up(s->db) && !s->renewing && (s->wake || now >= s->renew_ms))
		renew(s);
	if (db_up(s->db) && s->again_ms && now >= s->again_ms && !s->outbox.sent) {
		s->again_ms = 0;
		outbox_again(&s->outbox);
		send_notes(s);
	}
	db_turn(s->db);
}

static int
db_watch(struct store *store, struct pollfd *p, int most_ms)
{
	struct dbstore *s = (struct dbstore *)store;

	p->fd = db_fd(s->db);
	p->events = db_events(s->db);
	return s->wake && db_up(s->db) && !s->renewing ? 0 : db_wait_ms(s->db, most_ms);
}

static bool
db_busy(struct store *store)
{
	struct dbstore *s = (struct dbstore *)store;

	return s->requests || s->outbox.count;
}

static void
db_close(struct store **store)
{
	struct dbstore *s = (struct dbstore *)*store;
	struct buf l[3] = { 0 };

	if (s->db && db_up(s->db) && own_arrays(s, 1u << AIRING_HELD | 1u << AIRING_RESERVED, l) == 0 &&
		db_ask(s->db, Q_LEAVE, (const char *const[]){ (char *)buf_data(&l[1]), (char *)buf_data(&l[2]) },
			0, ignored, s) == 0)
		db_settle(s->db, 1000);
	lists_free(l);
	db_free(&s->db);
	outbox_close(&s->outbox);
	buf_free(&s->store.out);
	free(s->own);
	free(s);
	*store = NULL;
}

int
dbstore_open(struct store **out, const char *url, const char *journal_path, const char *box, int hold_s)
{
	struct dbstore *s = calloc(1, sizeof(*s));
	const char *why;
	char host[128] = "";
	int status, r;

	if (!s || !(s->own = calloc(OWN_MAX, sizeof(*s->own)))) {
		free(s);
		complain(-ENOMEM, "cannot begin");
		return EX_OSERR;
	}
	s->store = (struct store){ db_publish, db_notice, db_store_turn, db_watch, db_busy, db_close,
		.out = { 0 } };
	*out = &s->store;
	gethostname(host, sizeof(host) - 1);
	if (box)
		snprintf(s->box, sizeof(s->box), "%s", box);
	else /* the door's process: it is the same one when only lv-auth is started again */
		snprintf(s->box, sizeof(s->box), "%s/%d", host, (int)getppid());
	snprintf(s->hold_s, sizeof(s->hold_s), "%d", hold_s);
	if ((status = outbox_open(&s->outbox, journal_path)) == EX_OK &&
		(r = db_new(&s->db, url, &(struct db_owner){ queries, sizeof(queries) / sizeof(*queries), "lv-auth",
			"lv_keys", s, came_up, went_down, woken }, &why)) < 0)
		status = dburl_refuse(r, why);
	if (status)
		db_close(out);
	else
		db_turn(s->db);
	return status;
}
