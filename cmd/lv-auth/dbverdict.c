/* What the database is asked: may this key publish, and is its stream free?  While it is away the cache says. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dbstore.h"
#include "die.h"
#include "event.h"

#define VERDICT_MS 2900 /* the door gives up after 3 s: a later "yes" would hold the stream in vain */
#define EPOCH_STEP 1000 /* above the last one that is known: others may have had some since */

struct request {
	struct dbstore *s;
	int64_t asked_ms;
	char id[129], session[129], app[129], key_id[64];
	uint8_t digest[HASH_BYTES];   /* of the key that was shown */
	struct adobe_answer password; /* its user is "" where a key was shown */
	struct key key;
};

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
void
dbverdict_take_back(struct dbstore *s, const char *session)
{
	struct note n = { .kind = ASK_ABANDONED };
	int r;

	snprintf(n.session, sizeof(n.session), "%s", session);
	if ((r = dbnotes_post(s, &n)) < 0)
		complain(r, "cannot take a reservation back");
}

/* Ids rise by their time; what is behind it no other box will have. */
static int
new_broadcast(char id[AIRING_ID], int64_t now_ms)
{
	char tail[AIRING_ID];
	uint16_t random;
	int r = hash_random(&random, sizeof(random));

	airing_id_text(id, now_ms);
	airing_id_text(tail, random);
	memcpy(id + strlen(id), tail + strlen(tail) - 4, 5);
	return r;
}

static void
allow(struct request *q, const struct holding *h, const struct key *k)
{
	verdict_allow(&q->s->store.out, q->id, &(struct verdict){ .stream = h->stream, .user = k->user,
		.broadcast = h->broadcast, .origin_ms = h->origin_ms, .epoch = h->epoch, .max_kbps = k->max_kbps,
		.until_ms = k->until_ms, .resumed = !h->fresh });
	reply(q, NULL);
}

static void
say_cached(const char *stream, int64_t age_ms)
{
	struct event ev;

	event_begin(&ev, "cache.used");
	event_str(&ev, "stream", stream);
	event_int(&ev, "age_s", age_ms / 1000);
	event_send(&ev);
	inform("%s is let in by what the database said %lld s ago", stream, (long long)(age_ms / 1000));
}

/* By what the database said last; it hears of it by the notice that the session started. */
static bool
admit_cached(struct request *q)
{
	struct dbstore *s = q->s;
	const struct cached *c = !s->cache ? NULL : *q->password.user ? cache_user(s->cache, &q->password) :
		cache_find(s->cache, q->digest);
	int64_t now_ms = clock_wall_ms(), origin_ms = now_ms, epoch;
	struct holding *h;
	char id[AIRING_ID];
	bool resumed;

	if (!c || now_ms - c->at_ms > s->cache_ms || keys_refusal(&c->key, q->app, now_ms))
		return false;
	h = holdings_of(&s->held, c->key.stream);
	if (h && h->state != AIRING_HELD) {
		verdict_busy(&s->store.out, q->id, h->stream);
		reply(q, NULL);
		return true;
	}
	epoch = (h && h->epoch > c->epoch ? h->epoch : c->epoch) + EPOCH_STEP + now_ms % EPOCH_STEP;
	if ((resumed = h != NULL)) {
		memcpy(id, h->broadcast, sizeof(id));
		origin_ms = h->origin_ms;
	} else if (new_broadcast(id, now_ms) < 0) {
		return false;
	}
	if (!(h = holdings_take(&s->held, c->key.stream, id, q->session)))
		return false;
	h->origin_ms = origin_ms;
	h->epoch = epoch;
	h->fresh = !resumed;
	h->untold = true;
	h->state = AIRING_RESERVED;
	say_cached(h->stream, now_ms - c->at_ms);
	allow(q, h, &c->key);
	return true;
}

/* Nobody answered, or only to say that it stops or starts; any other answer is one. */
static void
unanswered(struct request *q, int err, const struct db_rows *rows)
{
	bool away = err != -EPROTO || !strncmp(db_state(rows), "57P", 3);

	if (!away)
		complain(0, "the database: %s", db_why(rows));
	if (!away || !admit_cached(q))
		reply(q, "try again later");
}

static void
reserved(void *arg, int err, const struct db_rows *rows)
{
	struct request *q = arg;
	struct dbstore *s = q->s;
	struct holding *h;

	if (err) {
		if (err == -ENOTCONN)
			dbverdict_take_back(s, q->session);
		unanswered(q, err, rows);
	} else if (!db_count(rows)) {
		verdict_busy(&s->store.out, q->id, q->key.stream);
		reply(q, NULL);
	} else if (clock_mono_ms() - q->asked_ms > VERDICT_MS ||
		!(h = holdings_take(&s->held, q->key.stream, db_text(rows, 0, 0), q->session))) {
		dbverdict_take_back(s, q->session);
		reply(q, "try again later");
	} else {
		h->origin_ms = db_int(rows, 0, 1);
		h->epoch = db_int(rows, 0, 2);
		h->fresh = !db_bool(rows, 0, 3);
		h->state = AIRING_RESERVED;
		if (s->cache)
			cache_keep(s->cache, &q->key, h->epoch, clock_wall_ms());
		allow(q, h, &q->key);
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
		unanswered(q, err, rows);
		return;
	}
	if (!pick(q, rows) || keys_refusal(&q->key, q->app, clock_wall_ms())) {
		if (s->cache && !*q->password.user && (!db_count(rows) || q->key.off))
			cache_forget(s->cache, q->digest);
		reply(q, "unknown key");
		return;
	}
	if (db_ask(s->db, Q_RESERVE, (const char *const[]){ q->key.stream, q->key_id, q->session, s->box,
			dbstore_number(now, clock_wall_ms()), s->hold_s, s->takeover }, WAIT_MS, reserved, q) < 0)
		reply(q, "try again later");
}

void
dbverdict_publish(struct store *store, const struct ask *a)
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
	if (!user)
		keys_digest(digest, q->digest);
	s->requests++;
	if (db_ask(s->db, user ? Q_USER : Q_KEY, (const char *const[]){ user ? a->password.user : digest }, WAIT_MS,
			found, q) < 0)
		reply(q, "try again later");
}
