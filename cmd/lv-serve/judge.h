/*
 * judge: a back end says who may watch what (backend.h), where --play-hook names one.
 *
 * A viewer is an address with a user agent that asks for a stream, as viewers.h counts them.  His first
 * request is held while the back end is asked; a yes is good until he has asked for nothing for
 * JUDGE_GONE_MS, which the back end is told of; a no for JUDGE_NO_MS, and for that query only; no answer
 * is a no, and he is asked about again after JUDGE_RETRY_MS.
 *
 * Limits: JUDGE_VIEWERS, and JUDGE_HELD requests of each held at a time; more are turned away.
 */
#ifndef LV_SERVE_JUDGE_H
#define LV_SERVE_JUDGE_H

#include "httpd.h"

#define JUDGE_ANSWER_MS 2900
#define JUDGE_GONE_MS 30000
#define JUDGE_NO_MS 10000
#define JUDGE_RETRY_MS 1000
#define JUDGE_VIEWERS 65536
#define JUDGE_HELD 16

enum judge_verdict { JUDGE_YES, JUDGE_NO, JUDGE_HOLD, JUDGE_BUSY };

struct judge;

int judge_new(struct judge **, struct ev_loop *, const char *url); /* an exit status, after a message */

/* JUDGE_HOLD: the request is held, and comes again when there is an answer.  why: for a no. */
enum judge_verdict judge_ask(struct judge *, struct httpd_request *, const char *stream, const char *remote,
	const char **why);
void judge_tick(struct judge *, int64_t now_ms);
void judge_leave(struct judge *); /* tells of those who are left, for two seconds at most */
void judge_free(struct judge **); /* while there is no request any more */

#endif
