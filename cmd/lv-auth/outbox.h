/*
 * outbox: what the database has yet to hear, in order, and on the disk while it is away.
 *
 * A note stays until the database has taken it and all before it: after a fault everything from
 * the first one on is told again, which does no harm.  Without a path nothing is on the disk.
 */
#ifndef LV_AUTH_OUTBOX_H
#define LV_AUTH_OUTBOX_H

#include "ask.h"

#define OUTBOX_MAX 200000 /* notes; a box makes that many in hours, not in an outage */

struct note {
	struct note *next;
	enum ask_kind kind;
	char stream[65], broadcast[27], session[129];
	int64_t epoch, origin_ms, at_ms;
	bool sent, done, on_disk;
};

struct outbox {
	struct note *head, **tail;
	struct note *unsent; /* all before it are on their way */
	size_t count, sent;  /* sent: of which no answer has come */
	const char *path;
	int fd, lock;
	bool away;   /* the database: what comes in is written down */
	bool failed; /* writing: said once */
};

int outbox_open(struct outbox *, const char *path); /* an exit status after a message */
int outbox_add(struct outbox *, const struct note *); /* copies it; 0, -ENOMEM, -ENOSPC */
struct note *outbox_next(struct outbox *);            /* the next to send, now sent; NULL */
void outbox_answer(struct outbox *, struct note *);   /* taken: the note may be gone now */
void outbox_again(struct outbox *);                   /* nothing is on its way: all anew */
void outbox_away(struct outbox *, bool away);
void outbox_close(struct outbox *);

#endif
