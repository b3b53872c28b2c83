/*
 * keepers: what the parts of the door that look after keepers share.
 *
 * keepers.c        started, adopted from an earlier door, replaced when they crash
 * keepers_dead.c   those that died unheard; broadcasts that have ended
 */
#ifndef RTMP_ACCEPT_KEEPERS_H
#define RTMP_ACCEPT_KEEPERS_H

#include "door.h"

struct keeper {
	int fd;
	pid_t pid;
	bool noted; /* note.h */
	ev_io io;
	struct keep_hello hello; /* to start it again */
	struct keep_state state; /* kind is 0 until it came */
	char taking[65];         /* the session that it was last given, until it answers */
	char yielding[65]; /* the session that waits for its publisher to give way */
	bool leaving;            /* KEEP_END or KEEP_KICK was sent */
	bool replaced;           /* its stream has a new broadcast */
	bool bye;
	bool stale; /* dead for too long to go on */
	int crashes;
	int64_t started_ms;
	struct keeper *next;
};

extern struct keeper *keepers;

/* keepers.c */
struct keeper *keeper_find(const char *stream); /* that can take a publisher */
void keeper_hello(struct keep_hello *);         /* what they are all told */
void keeper_name(struct keep_hello *, const struct keep_state *); /* of one that we did not start */
void keeper_say_ended(const struct keeper *, bool broadcast); /* in its place; its publisher's end, and the broadcast's */
void keeper_crashed(struct keeper *); /* replaces it, or gives up */
void keeper_forget(struct keeper *);

/* keepers_dead.c */
void keepers_revive(void); /* what died unheard goes on, or is ended */
bool ended_has(const char *broadcast); /* it is over, whatever the coprocess says */
void ended_add(const char *broadcast);
void ended_not(const char *broadcast);
void ended_tell(void); /* a new coprocess, since the one before may not have heard */

#endif
