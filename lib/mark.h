/*
 * mark: what happened to a broadcast, said in the media itself: a script tag "onLvMark" whose one
 * value is a string with one JSON object.  Filters pass marks on, in order.
 *
 *   {"mark":"session","stream":"alice","broadcast":"01jd...","epoch":7,"origin_ms":1764000000000,
 *    "session":"...","user":"42"}              the first tag of a live pipe, and at each publisher
 *   {"mark":"gap"}                              the publisher is away; ticks go on
 *   {"mark":"discontinuity","reason":"..."}     time or content does not continue from here on
 *   {"mark":"params"}                           new parameters follow
 *   {"mark":"tick","wall_ms":1764000000500}     every 500 ms of wall time; its dts is "now"
 *   {"mark":"end"}                              the broadcast ended, as opposed to the pipe
 */
#ifndef LV_MARK_H
#define LV_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "flv.h"

enum mark_kind { MARK_SESSION, MARK_GAP, MARK_DISCONTINUITY, MARK_PARAMS, MARK_TICK, MARK_END };

struct mark {
	enum mark_kind kind;
	char stream[65], broadcast[27], session[65], user[65]; /* empty: absent */
	char reason[129];
	int64_t epoch, origin_ms, wall_ms; /* 0: absent */
};

/* 1 for a mark, 0 for another tag or a mark of a kind we do not know, -EBADMSG for a broken one. */
int mark_parse(const struct flv_tag *, struct mark *);

/* What the marks of a stream have said: any; the end of its broadcast, and no session since. */
struct mark_seen {
	bool any, end;
};
int mark_note(struct mark_seen *, const struct flv_tag *, struct mark *); /* as mark_parse, and notes it */
bool mark_orphan(const struct mark_seen *); /* where the stream ends here, it is not the broadcast's end */

void mark_put(struct buf *, int64_t dts, const struct mark *);

/* The same facts from LV_STREAM, LV_BROADCAST, LV_EPOCH, LV_ORIGIN_MS, LV_USER: a session mark. */
void mark_from_env(struct mark *);

/* The name of a public stream: [A-Za-z0-9_-]{1,64}. */
bool mark_stream_name(const char *);

#endif
