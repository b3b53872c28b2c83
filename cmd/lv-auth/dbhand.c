/* The operator's hand on the keys of a database: each command is one statement. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "adobe.h"
#include "auth.h"
#include "clock.h"
#include "dbhand.h"
#include "die.h"

#define SETTLE_MS 8000

int
dburl_refuse(int err, const char *why)
{
	if (err == -EACCES)
		complain(0, "--db: no password on a command line, where others see it; put it into a file that "
			"PGPASSFILE names, or a service");
	else if (err == -EINVAL)
		complain(0, "--db: %s", why);
	else
		complain(err, "cannot begin");
	return err == -ENOMEM ? EX_OSERR : EX_USAGE;
}

int
dbkey_text(char text[DBKEY_TEXT], const char *key)
{
	uint8_t digest[HASH_BYTES];
	int r = hash_sha256(digest, key, strlen(key));

	if (r == 0)
		dbkey_digest(text, digest);
	return r;
}

void
dbkey_digest(char text[DBKEY_TEXT], const uint8_t digest[HASH_BYTES])
{
	memcpy(text, "sha256:", 7);
	hash_hex(text + 7, digest);
}

bool
dbkey_read(struct key *k, char id[64], const struct db_rows *rows, int row)
{
	const char *stream = db_text(rows, row, 1), *user = db_text(rows, row, 2), *app = db_text(rows, row, 3);
	const char *adobe = db_text(rows, row, 8);

	memset(k, 0, sizeof(*k));
	if (!keys_stream_good(stream) || (*user && !keys_word_good(user)) || (*app && !keys_word_good(app)) ||
		!keys_digest(db_text(rows, row, 7), k->digest) || strlen(db_text(rows, row, 0)) >= 64 ||
		strlen(adobe) >= sizeof(k->adobe))
		return false;
	memcpy(id, db_text(rows, row, 0), strlen(db_text(rows, row, 0)) + 1);
	memcpy(k->stream, stream, strlen(stream) + 1);
	memcpy(k->user, user, strlen(user) + 1);
	memcpy(k->app, app, strlen(app) + 1);
	memcpy(k->adobe, adobe, strlen(adobe) + 1);
	k->max_kbps = db_int(rows, row, 4);
	k->until_ms = db_int(rows, row, 5);
	k->off = !db_bool(rows, row, 6);
	return true;
}

const char *
dbstate_hint(const char *state)
{
	return strncmp(state, "42", 2) || !strcmp(state, "42501") ? "" :
		"; \"lv-auth schema | psql\" makes the tables";
}

/* One statement, its answer, and the end. */

struct errand {
	void (*take)(void *arg, const struct db_rows *);
	void *arg;
	int status;
	char why[256];
};

static void
failed(void *arg, const char *why, const char *state)
{
	struct errand *e = arg;

	snprintf(e->why, sizeof(e->why), "%s%s", why, dbstate_hint(state));
}

static void
answered(void *arg, int err, const struct db_rows *rows)
{
	struct errand *e = arg;
	const char *state;

	if (!err) {
		e->status = EX_OK;
		e->take(e->arg, rows);
	} else if (err == -EPROTO) {
		state = db_state(rows);
		e->status = !strcmp(state, "42501") ? EX_NOPERM : !strncmp(state, "22", 2) ? EX_DATAERR :
			EX_UNAVAILABLE;
		complain(0, "the database refuses: %s", db_why(rows));
	}
}

int
dbhand_run(const char *url, const char *sql, int n, const char *const params[],
	void (*take)(void *arg, const struct db_rows *), void *arg)
{
	struct errand e = { take, arg, -1, "no answer in time" };
	const struct db_query query = { sql, n };
	struct db *db;
	const char *why;
	int r;

	if ((r = db_new(&db, url, &(struct db_owner){ .queries = &query, .query_count = 1, .name = "lv-auth",
			.arg = &e, .down = failed }, &why)) < 0)
		return dburl_refuse(r, why);
	if ((r = db_ask(db, 0, params, SETTLE_MS, answered, &e)) < 0) {
		complain(r, "cannot ask the database");
		e.status = EX_OSERR;
	} else if (db_settle(db, SETTLE_MS) < 0) {
		complain(0, "cannot ask the database: %s", e.why);
		e.status = EX_UNAVAILABLE;
	}
	db_free(&db);
	return e.status;
}

static void
count_rows(void *arg, const struct db_rows *rows)
{
	*(int *)arg = db_count(rows);
}

/* A new key, as it is shown, and as the database keeps it: its digest and its password's hash. */
static int
new_key(const char *stream, char text[KEYS_KEY_TEXT], char key[DBKEY_TEXT], char adobe[HASH_MD5_TEXT])
{
	uint8_t digest[HASH_BYTES];
	int r = hand_new_key(text, digest);

	if (r < 0 || (r = keyring_password(adobe, stream, ADOBE_SALT, text)) < 0) {
		complain(r, "cannot make a key");
		return EX_OSERR;
	}
	dbkey_digest(key, digest);
	return EX_OK;
}

int
dbhand_add(const struct hand *h, const char *stream)
{
	char text[KEYS_KEY_TEXT], key[DBKEY_TEXT], adobe[HASH_MD5_TEXT], kbps[24], until[24];
	int status, rows;

	if ((status = new_key(stream, text, key, adobe)))
		return status;
	snprintf(kbps, sizeof(kbps), "%ld", h->max_kbps);
	snprintf(until, sizeof(until), "%" PRId64, h->until ? keys_date(h->until) : 0);
	status = dbhand_run(h->url, "insert into stream_keys (stream, user_id, app, max_kbps, good_until, key, "
		"adobe, is_active) values ($1, $2, $3, nullif($4::int, 0), to_timestamp(nullif($5::bigint, 0) / 1000.0), "
		"$6, $7, true) returning 1", 7, (const char *const[]){ stream, h->user, h->app, kbps, until, key,
			h->adobe ? adobe : NULL }, count_rows, &rows);
	return status ? status : hand_show_key(stream, text);
}

/* Nothing changed is an answer too: no. */
static int
changed(int status, int rows, const char *stream)
{
	if (status || rows)
		return status;
	complain(0, "no key of %s is in force in the database", stream);
	return 1;
}

int
dbhand_revoke(const struct hand *h, const char *stream)
{
	int rows = 0, status = dbhand_run(h->url, "update stream_keys set is_active = false "
		"where stream = $1 and is_active returning 1", 1, &stream, count_rows, &rows);

	return changed(status, rows, stream);
}

int
dbhand_rotate(const struct hand *h, const char *stream)
{
	char text[KEYS_KEY_TEXT], key[DBKEY_TEXT], adobe[HASH_MD5_TEXT];
	int status, rows = 0;

	if ((status = new_key(stream, text, key, adobe)))
		return status;
	status = dbhand_run(h->url, "with k as (select id from stream_keys where stream = $1 and is_active "
		"order by id limit 1) update stream_keys s set is_active = s.id = k.id, "
		"key = case when s.id = k.id then $2 else s.key end, "
		"adobe = case when s.id = k.id and s.adobe is not null then $3 else s.adobe end from k where s.stream = $1 and s.is_active "
		"returning 1", 3, (const char *const[]){ stream, key, adobe }, count_rows, &rows);
	status = changed(status, rows, stream);
	return status ? status : hand_show_key(stream, text);
}

static void
list_rows(void *arg, const struct db_rows *rows)
{
	int64_t now_ms = clock_wall_ms();
	struct key k;
	char id[64];
	int i;

	(void)arg;
	for (i = 0; i < db_count(rows); i++)
		if (dbkey_read(&k, id, rows, i))
			hand_list_key(&k, now_ms);
		else
			warning(0, "the key %s in the database is no key of ours", db_text(rows, i, 0));
}

int
dbhand_list(const struct hand *h, const char *stream)
{
	int status = dbhand_run(h->url, DBKEY_SELECT " where $1::text is null or stream = $1 order by stream, id",
		1, &stream, list_rows, NULL);

	return status ? status : hand_finish("");
}

struct looked {
	struct key key;
	bool found;
};

static void
take_key(void *arg, const struct db_rows *rows)
{
	struct looked *l = arg;
	char id[64];

	l->found = db_count(rows) == 1 && dbkey_read(&l->key, id, rows, 0);
}

int
dbhand_check(const struct hand *h)
{
	char text[KEYS_KEY_MAX + 2], key[DBKEY_TEXT];
	const char *asked = key;
	struct looked l = { .found = false };
	int status, bad = hand_read_key(text);

	if (bad) {
		explicit_bzero(text, sizeof(text));
		return hand_tell_check("", HAND_NO_KEY);
	}
	if (dbkey_text(key, text) < 0)
		memset(key, 0, sizeof(key));
	explicit_bzero(text, sizeof(text));
	status = dbhand_run(h->url, DBKEY_SELECT " where key = $1 limit 2", 1, &asked, take_key, &l);
	return status ? status :
		hand_tell_check(l.key.stream, keys_refusal(l.found ? &l.key : NULL, h->app, clock_wall_ms()));
}
