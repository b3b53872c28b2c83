/*
 * holdings: the streams that this box holds, whose leases are its own to renew.
 *
 * Owner:  a holding is good until the next take or drop.
 * Limits: HOLDINGS_MAX.
 */
#ifndef LV_AUTH_HOLDINGS_H
#define LV_AUTH_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "airing.h"
#include "buf.h"

#define HOLDINGS_MAX 20000

struct holding {
	char stream[65], broadcast[AIRING_ID], session[129];
	int64_t epoch, origin_ms, since_ms; /* since: the wall clock when it came to its state */
	enum airing_state state;
	bool fresh, proved, kicked;
	bool untold; /* the database has not confirmed it yet, so it has no lease */
};

struct holdings {
	struct holding *all;
	size_t count;
};

int holdings_new(struct holdings *);
void holdings_free(struct holdings *);
struct holding *holdings_of(const struct holdings *, const char *stream);    /* NULL: none, or "" */
struct holding *holdings_at(const struct holdings *, const char *broadcast); /* the same */

/* There may be one of that stream already, which this one replaces; "" while it is not known.  NULL: full. */
struct holding *holdings_take(struct holdings *, const char *stream, const char *broadcast, const char *session);
void holdings_release(struct holdings *, struct holding *); /* its session is over */
void holdings_drop(struct holdings *, struct holding *);

/* Those in these states (bits), as arrays of the database: streams, broadcasts, epochs. */
#define HOLDINGS_LEASED 0x100u /* only what is not untold */
int holdings_lists(const struct holdings *, unsigned states, struct buf lists[3]);
void holdings_lists_free(struct buf lists[3]);

#endif
