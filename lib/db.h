/*
 * db: one connection to PostgreSQL that never makes its owner wait; the only user of libpq.
 *
 * Shape:  db_new with the statements that will be asked, then db_ask at any time; the owner's loop
 *         polls db_fd for db_events, for db_wait_ms at most, and calls db_turn.  Answers come in
 *         the order of the questions, each exactly once, from inside db_turn or db_free.
 * Time:   a connection is given DB_CONNECT_MS, an answer DB_ANSWER_MS: one that does not come is
 *         a connection that is dead.  Then all that was asked is answered with -ENOTCONN, and the
 *         next attempts follow at once, after 0.1 s, doubled up to 5 s, with jitter.  What is asked while
 *         there is no connection waits for one as long as its own time allows.
 * Errors: an answer's err is 0 with its rows; -EPROTO, with what the database said in db_why;
 *         -ENOTCONN: asked, and perhaps done; -ETIMEDOUT: never asked.
 * Limits: DB_QUEUE questions at a time, else -EAGAIN.
 * Note:   libpq looks a host's name up in a blocking way; give hostaddr= where that may be slow.
 */
#ifndef LV_DB_H
#define LV_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_CONNECT_MS 5000
#define DB_ANSWER_MS 2500 /* the server gives up on a statement after 2 s */
#define DB_QUEUE 16384
#define DB_PARAMS 8

struct db;
struct db_rows;

struct db_query {
	const char *sql;
	int params;
};

struct db_owner {
	const struct db_query *queries; /* prepared on every connection */
	int query_count;
	const char *name;   /* as the server lists us */
	const char *listen; /* a channel, or NULL */
	void *arg;
	void (*up)(void *arg); /* connected; what is asked in here goes before what waits.  Or NULL */
	/* It broke, or an attempt failed; state is the SQLSTATE where the database said so.  Or NULL */
	void (*down)(void *arg, const char *why, const char *state);
	void (*woken)(void *arg); /* a notification on the channel.  Or NULL */
};

typedef void db_answer(void *arg, int err, const struct db_rows *);

/* -EINVAL: not a connection string, *why says how, -EACCES: it holds a password, -ENOMEM. */
int db_new(struct db **, const char *url, const struct db_owner *, const char **why);
void db_free(struct db **);

/* NULL is an SQL null.  The parameters are copied.  wait_ms: for a connection. */
int db_ask(struct db *, int query, const char *const params[], int wait_ms, db_answer *, void *arg);

int db_fd(const struct db *); /* -1: none now */
short db_events(const struct db *);
int db_wait_ms(const struct db *, int most_ms); /* until db_turn has something to do by itself */
void db_turn(struct db *);
bool db_up(const struct db *);
size_t db_waiting(const struct db *); /* questions without an answer */

/*
 * For a command by hand: turns until all is answered.  0; -ETIMEDOUT after ms; -ENOTCONN as soon
 * as a connection breaks or cannot be made.
 */
int db_settle(struct db *, int ms);

int db_count(const struct db_rows *);
const char *db_text(const struct db_rows *, int row, int column); /* "" for an SQL null */
int64_t db_int(const struct db_rows *, int row, int column);
bool db_null(const struct db_rows *, int row, int column);
bool db_bool(const struct db_rows *, int row, int column);
const char *db_why(const struct db_rows *);   /* the first line of the database's message */
const char *db_state(const struct db_rows *); /* its SQLSTATE, "" when there is none */

#endif
