/*
 * airing: which broadcast each stream has, and whether somebody is publishing it.
 *
 *	ask -> reserved -started-> live -ended-> held -ask-> reserved ...
 *	          `--abandoned--> held, or ended when it never began
 *	any state -broadcast-ended-> ended; the next ask begins a new broadcast
 *
 * Every verdict carries an epoch above all earlier ones of its stream, so whoever comes to own
 * the stream's files by it has names of its own.  A broadcast's id is its start in milliseconds,
 * ten digits of base 32, raised where needed: ids rise even when the clock steps back.
 *
 * Shape:  new, load what was saved, then ask and tell; text gives what to save while dirty.
 *         After a load everything is hearsay until "live" or "started" proves it: a broadcast
 *         that was open is resumed only within hold_ms of when it was last known to be.
 * Units:  Unix milliseconds, given by the caller.  No I/O.
 */
#ifndef LV_AIRING_H
#define LV_AIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "buf.h"

#define AIRING_FILE_MAX (64 << 20)
#define AIRING_RESERVED_MS 30000 /* an allowed session that never started is forgotten */
#define AIRING_ID 27             /* [0-9a-z]{10,26} and a NUL */

enum airing_state { AIRING_ENDED, AIRING_HELD, AIRING_RESERVED, AIRING_LIVE };

struct airing {
	char stream[65], broadcast[AIRING_ID], session[129];
	int64_t origin_ms, epoch;
	int64_t seen_ms; /* when it was last known to be on the air or reserved */
	enum airing_state state;
	bool fresh;    /* reserved by the request that began the broadcast */
	bool hearsay;  /* loaded, and nothing has proved it since */
	bool proved;   /* named since the last sync */
};

struct airings {
	struct airing *all;
	size_t count, cap;
	int64_t last_id_ms;
	int64_t hold_ms;
	bool dirty;
};

int airings_new(struct airings **, int64_t hold_ms);
void airings_free(struct airings **);

/* saved_ms: when the text was last known to be true.  The number of faulty lines, or -ENOMEM. */
int airings_load(struct airings *, const char *text, size_t n, int64_t saved_ms);
int airings_text(const struct airings *, struct buf *);

/* 1: allowed and reserved, *resumed says how; 0: somebody publishes it, or may; -ENOMEM. */
int airings_ask(struct airings *, const char *stream, const char *session, int64_t now_ms,
	const struct airing **, bool *resumed);

/* A notice.  1: it fitted, 0: it named nothing we know, -ENOMEM. */
int airings_tell(struct airings *, const struct ask *, int64_t now_ms);

void airings_expire(struct airings *, int64_t now_ms); /* forgets old reservations */
void airings_close(struct airings *, int64_t now_ms);  /* the door has gone, reservations too */

bool airing_id_good(const char *);
void airing_id_text(char text[AIRING_ID], int64_t ms);
int64_t airing_id_ms(const char *); /* the start that an id of ours tells */

#endif
