/* Keys and broadcasts in a database: the connection, and the leases. */
#include "dbstore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"

#define RENEW_MS 5000 /* a third of the lease */

static const struct db_query queries[] = {
	[Q_RESERVE] = { "select * from lv_reserve($1, $2, $3, $4, $5, $6, $7)", 7 },
	[Q_PUBLISHING] = { "select * from lv_publishing($1, $2, $3, $4, $5, $6, $7)", 7 },
	[Q_SESSION_OVER] = { "select lv_session_over($1, $2, $3, $4)", 4 },
	[Q_BROADCAST_OVER] = { "select lv_broadcast_over($1, $2, $3, $4)", 4 },
	[Q_SYNC] = { "select lv_sync($1, $2)", 2 },
	[Q_RENEW] = { "select * from lv_renew($1, $2, $3)", 3 },
	[Q_REAP] = { "select lv_reap($1)", 1 },
	[Q_LEAVE] = { "select lv_leave($1, $2)", 2 },
	[Q_KEY] = { DBKEY_SELECT " where key = $1 limit 2", 1 },
	[Q_USER] = { DBKEY_SELECT " where stream = $1 and adobe is not null and is_active order by id", 1 },
	[Q_ON] = { "select key from stream_keys where key = any($1) and is_active", 1 },
};

const char *
dbstore_number(char text[24], int64_t v)
{
	snprintf(text, 24, "%" PRId64, v);
	return text;
}

void
dbstore_kick(struct dbstore *s, struct holding *h, const char *why)
{
	if (h->state == AIRING_LIVE && !h->kicked && *h->stream)
		verdict_kick(&s->store.out, h->stream, why);
	h->kicked = true;
}

/* Leases. */

void
dbstore_ignored(void *arg, int err, const struct db_rows *rows)
{
	(void)arg;
	if (err == -EPROTO)
		complain(0, "the database: %s", db_why(rows));
}

static void
renewed(void *arg, int err, const struct db_rows *rows)
{
	struct dbstore *s = arg;
	struct holding *h;
	int i;

	s->renewing = false;
	dbstore_ignored(s, err, rows);
	for (i = 0; !err && i < db_count(rows); i++) {
		if (!(h = holdings_of(&s->held, db_text(rows, i, 0))))
			continue;
		if (!strcmp(db_text(rows, i, 1), "revoked")) {
			dbstore_kick(s, h, "the key was revoked");
		} else {
			dbstore_kick(s, h, "published elsewhere");
			holdings_drop(&s->held, h);
		}
	}
}

static void
checked(void *arg, int err, const struct db_rows *rows)
{
	dbstore_ignored(arg, err, rows);
	if (!err)
		cache_check(((struct dbstore *)arg)->cache, rows);
}

/* Keys have changed, or may have while we were not told: those that are off go from the cache. */
static void
check_cache(struct dbstore *s)
{
	struct buf list = { 0 };
	int r = cache_list(s->cache, &list);

	if (r < 0 || (r = db_ask(s->db, Q_ON, (const char *const[]){ (char *)buf_data(&list) }, WAIT_MS, checked, s)) < 0)
		complain(r, "cannot look the cached keys up");
	buf_free(&list);
}

static void
renew(struct dbstore *s)
{
	const unsigned held = HOLDINGS_LEASED | 1u << AIRING_LIVE | 1u << AIRING_HELD | 1u << AIRING_RESERVED;
	struct buf l[3] = { 0 };
	int r = holdings_lists(&s->held, held, l);
	const char *const params[] = { (char *)buf_data(&l[0]), (char *)buf_data(&l[1]), (char *)buf_data(&l[2]) };
	const char *const hold[] = { s->hold_s };

	if (!r && (r = db_ask(s->db, Q_RENEW, params, WAIT_MS, renewed, s)) == 0)
		s->renewing = true;
	if (!r)
		r = db_ask(s->db, Q_REAP, hold, WAIT_MS, dbstore_ignored, s);
	if (r)
		complain(r, "cannot renew the leases");
	holdings_lists_free(l);
	if (s->cache && s->wake)
		check_cache(s);
	s->renew_ms = clock_mono_ms() + RENEW_MS;
	s->wake = false;
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
	s->wake = true;
	renew(s);
	for (i = 0; i < s->held.count; i++) {
		const struct holding *h = &s->held.all[i];
		struct note n = { .kind = ASK_LIVE, .epoch = h->epoch, .origin_ms = h->origin_ms,
			.at_ms = h->since_ms };

		if (h->state != AIRING_LIVE || h->untold) /* of that there is a note */
			continue;
		memcpy(n.stream, h->stream, sizeof(n.stream));
		memcpy(n.broadcast, h->broadcast, sizeof(n.broadcast));
		memcpy(n.session, h->session, sizeof(n.session));
		if ((r = dbnotes_tell(s, &n, dbstore_ignored, s)) < 0)
			complain(r, "cannot tell the database what is live");
	}
	s->again_ms = 0;
	outbox_again(&s->outbox);
	outbox_away(&s->outbox, false);
	dbnotes_send(s);
}

static void
went_down(void *arg, const char *why, const char *state)
{
	struct dbstore *s = arg;
	struct event ev;

	outbox_away(&s->outbox, true);
	if (!strcmp(s->said, why))
		return;
	complain(0, "cannot use the database: %s%s; new publishers are %s until it answers", why,
		dbstate_hint(state), s->cache && !*dbstate_hint(state) ? "judged by the cache" : "refused");
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
db_store_fill(const struct store *store, struct metrics *m)
{
	const struct dbstore *s = (const struct dbstore *)store;

	metrics_gauge(m, "lv_auth_database_up", s->db && db_up(s->db), "1 while the database answers.");
	metrics_gauge(m, "lv_auth_notices_waiting", (double)s->outbox.count,
		"Notices that the database has yet to hear.");
	metrics_gauge(m, "lv_auth_streams", (double)s->held.count, "Streams that are ours, or were a moment ago.");
}

static void
db_store_turn(struct store *store)
{
	struct dbstore *s = (struct dbstore *)store;
	int64_t now = clock_mono_ms(), wall = clock_wall_ms();
	size_t i;

	for (i = s->held.count; i-- > 0;) {
		struct holding *h = &s->held.all[i];

		if (h->state == AIRING_RESERVED && wall - h->since_ms >= AIRING_RESERVED_MS) {
			dbverdict_take_back(s, h->session);
			holdings_release(&s->held, h);
		}
	}
	if (db_up(s->db) && !s->renewing && (s->wake || now >= s->renew_ms))
		renew(s);
	if (db_up(s->db) && s->again_ms && now >= s->again_ms && !s->outbox.sent) {
		s->again_ms = 0;
		outbox_again(&s->outbox);
		dbnotes_send(s);
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

	if (s->db && db_up(s->db) && holdings_lists(&s->held, 1u << AIRING_HELD | 1u << AIRING_RESERVED, l) == 0 &&
		db_ask(s->db, Q_LEAVE, (const char *const[]){ (char *)buf_data(&l[1]), (char *)buf_data(&l[2]) },
			0, dbstore_ignored, s) == 0)
		db_settle(s->db, 1000);
	holdings_lists_free(l);
	db_free(&s->db);
	outbox_close(&s->outbox);
	cache_close(&s->cache);
	buf_free(&s->store.out);
	holdings_free(&s->held);
	free(s);
	*store = NULL;
}

static void
name_box(struct dbstore *s, const char *box)
{
	char host[128] = "";

	gethostname(host, sizeof(host) - 1);
	if (box)
		snprintf(s->box, sizeof(s->box), "%s", box);
	else /* the door's process: it is the same one when only lv-auth is started again */
		snprintf(s->box, sizeof(s->box), "%s/%d", host, (int)getppid());
}

int
dbstore_open(struct store **out, const struct dbstore_config *c)
{
	struct dbstore *s = calloc(1, sizeof(*s));
	const char *why;
	int status, r;

	if (!s || holdings_new(&s->held) < 0) {
		free(s);
		complain(-ENOMEM, "cannot begin");
		return EX_OSERR;
	}
	s->store = (struct store){ dbverdict_publish, dbnotes_take, db_store_turn, db_watch, db_busy, db_store_fill, db_close,
		.out = { 0 } };
	*out = &s->store;
	name_box(s, c->box);
	snprintf(s->hold_s, sizeof(s->hold_s), "%d", c->hold_s);
	snprintf(s->cache_path, sizeof(s->cache_path), "%s.cache", c->journal_path ? c->journal_path : "");
	s->cache_ms = (int64_t)c->cache_s * 1000;
	s->takeover = c->takeover ? "t" : "f";
	if ((status = outbox_open(&s->outbox, c->journal_path)) == EX_OK && c->cache_s)
		status = cache_open(&s->cache, s->cache_path);
	if (status == EX_OK && (r = db_new(&s->db, c->url, &(struct db_owner){ queries,
			sizeof(queries) / sizeof(*queries), "lv-auth", "lv_keys", s, came_up, went_down, woken }, &why)) < 0)
		status = dburl_refuse(r, why);
	if (status)
		db_close(out);
	else
		db_turn(s->db);
	return status;
}
