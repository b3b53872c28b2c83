/*
 * talk: the connection of lv-chat to one room, kept over interruptions: what is read comes once and in
 * order, what is said is said until it is answered.
 */
#ifndef LV_CHAT_TALK_H
#define LV_CHAT_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>

#include "buf.h"

struct talk_config {
	const char *url, *room, *offset; /* offset: NULL, or after which entry to begin */
	const char *token_path;          /* NULL: read only */
	bool print;                      /* everything that is heard, to standard output */
	bool answers;                    /* print the answers to what is said */
	long count;                      /* end after so many lines; 0: never */
	/* The next thing to say, a JSON object: 1, 0 for none yet, or -1 for none any more. */
	int (*next)(void *ctx, struct buf *ask);
	void *ctx;
};

struct talk;

int talk_new(struct talk **, struct ev_loop *, const struct talk_config *); /* an exit status */
void talk_more(struct talk *); /* there may be something to say */
void talk_end(struct talk *);
int talk_status(const struct talk *); /* when the loop has been broken */
void talk_free(struct talk **);

#endif
