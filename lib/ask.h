/*
 * ask: the lines that a door writes to its coprocess: requests, and notices about sessions.
 *
 * Shape:  ask_parse takes one line without its newline.
 * Errors: -EBADMSG for what cannot be acted upon; id is set all the same when the line has one,
 *         so that it can be answered.  A key that is not text is no error: key_bad says so.
 * Limits: those of the fields below; unknown fields are ignored.
 */
#ifndef LV_ASK_H
#define LV_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "adobe.h"

#define ASK_LINE_MAX (16 << 10)

enum ask_kind {
	ASK_PUBLISH = 1,
	ASK_STARTED,
	ASK_ENDED,
	ASK_ABANDONED,
	ASK_BROADCAST_ENDED,
	ASK_LIVE,
	ASK_SYNC,
	ASK_OTHER, /* a request or notice of a later version */
};

struct ask {
	enum ask_kind kind;
	char id[129];
	char key[256], app[129], query[1025];
	char session[129], broadcast[27], stream[65];
	char remote[129], tcurl[513], client[129]; /* empty when absent, or too long */
	int64_t epoch, origin_ms, at_ms; /* 0 when absent */
	bool key_bad;
	struct adobe_answer password; /* in place of a key; its user is "" when there is none */
};

const char *ask_notice(enum ask_kind); /* the word of a notice */
int ask_parse(struct ask *, const char *line, size_t n);

#endif
