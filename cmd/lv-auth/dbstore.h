/*
 * dbstore: keys and broadcasts in a database, for several boxes.  schema/002-airings.sql has its half.
 *
 * dbstore.c has the connection and the leases, dbnotes.c what the database is told, dbverdict.c what it
 * is asked.
 */
#ifndef LV_AUTH_DBSTORE_H
#define LV_AUTH_DBSTORE_H

#include <limits.h>

#include "auth.h"
#include "cache.h"
#include "holdings.h"
#include "outbox.h"

#define WAIT_MS 2000 /* a question, for a connection */

enum dbstore_query { Q_RESERVE, Q_PUBLISHING, Q_SESSION_OVER, Q_BROADCAST_OVER, Q_SYNC, Q_RENEW, Q_REAP, Q_LEAVE,
	Q_KEY, Q_USER, Q_ON };

struct dbstore {
	struct store store;
	struct db *db;
	struct outbox outbox;
	struct holdings held;
	struct cache *cache; /* NULL: nobody is let in while the database is away */
	char cache_path[PATH_MAX];
	int64_t cache_ms; /* how old may be what it says */
	size_t requests; /* without a verdict */
	char box[256], hold_s[16];
	const char *takeover; /* as a boolean of the database */
	char said[256]; /* the reason of the outage, as it was told; empty while the database is there */
	bool renewing, wake;
	int64_t renew_ms, again_ms; /* monotonic; again: 0 for never */
};

const char *dbstore_number(char text[24], int64_t);
void dbstore_kick(struct dbstore *, struct holding *, const char *why);
db_answer dbstore_ignored; /* for what needs no answer: a refusal is complained of */

int dbnotes_take(struct store *, const struct ask *);
int dbnotes_post(struct dbstore *, struct note *);                /* into the outbox, and out where possible */
int dbnotes_tell(struct dbstore *, struct note *, db_answer *, void *arg);
void dbnotes_send(struct dbstore *);                              /* what waits, for as long as there is a connection */

void dbverdict_publish(struct store *, const struct ask *);
void dbverdict_take_back(struct dbstore *, const char *session); /* a reservation that nobody will hear of */

#endif
