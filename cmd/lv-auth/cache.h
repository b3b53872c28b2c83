/*
 * cache: what the database last said of each key, for when it is away.
 *
 * A line of the file is the key's line of a keys file behind the time, the epoch of the stream and
 * a MAC with the secret of this box, which lies beside it (PATH.secret) and is made where there is none:
 * what nobody signed lets nobody in.  The last line about a key counts; the file is written anew when most
 * of it is old.  A fault of the disk leaves what is in memory, and is said once.
 *
 * Limits: CACHE_MAX keys, the one that was asked about longest ago goes.
 */
#ifndef LV_AUTH_CACHE_H
#define LV_AUTH_CACHE_H

#include "auth.h"

#define CACHE_MAX 10000

struct cached {
	struct key key;
	int64_t epoch, at_ms; /* when the database said so */
};

struct cache;

int cache_open(struct cache **, const char *path); /* an exit status after a message */
void cache_keep(struct cache *, const struct key *, int64_t epoch, int64_t now_ms);
const struct cached *cache_find(const struct cache *, const uint8_t digest[HASH_BYTES]);
const struct cached *cache_user(const struct cache *, const struct adobe_answer *); /* by its password */
void cache_forget(struct cache *, const uint8_t digest[HASH_BYTES]);

/* The keys as an array of the database, and its answer, of which each row is a key that is on: others go. */
int cache_list(const struct cache *, struct buf *);
void cache_check(struct cache *, const struct db_rows *);
void cache_close(struct cache **);

#endif
