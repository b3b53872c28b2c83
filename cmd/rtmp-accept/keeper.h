/*
 * keeper: the process of one broadcast.  It takes what sessions read from the network, puts it on
 * one timeline and feeds it to the program, which it starts, watches and reaps.
 *
 * It has no system call filter: whatever it may not do, the program it starts might not do either, for a
 * filter is inherited.  What strangers sent reaches it through a session that has one, as whole records of
 * bounded size; of these it reads the heads of tags, and copies the rest.
 *
 * keeper.c   the loop, the doors, the life of the broadcast
 * note.c     what is left behind for the next door, should this one die too
 * program.c  the program: environment, start, end, restart
 * media.c    records to tags: marks, the queue; media_headers.c, media_health.c beside it
 */
#ifndef RTMP_ACCEPT_KEEPER_H
#define RTMP_ACCEPT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc.h"
#include "event.h"
#include "mark.h"

struct keeper {
	struct keep_hello hello;
	char **program; /* and its arguments */
	int media;      /* the session's socket, -1 while nobody publishes */
	struct keep_session session; /* of the publisher, also after it left */
	char remote[64];
	bool ending;  /* no more media; the program is to finish */
	char reason[256]; /* why it ends, or why the last publisher left */
	int64_t grace_until, began_ms, heard_ms;
	int64_t since_ms; /* of the publisher, Unix time */
	uint32_t kbps, fps_tenths, problems; /* of what it sends, at the last look */
	struct keep_figures figures;
	struct event event; /* the one being said: 16 KB that no stack needs */
};
extern struct keeper keeper;

/* keeper.c */
int64_t keeper_now(void); /* the wall clock's time since the broadcast began, ms */
void keeper_close_publisher(const char *reason);
void keeper_end(const char *reason);
void keeper_tell_state(void);

/* program.c */
int program_fd(void);    /* the pipe to it, -1 while it does not run or has no input any more */
pid_t program_group(void);
void program_keep_up(int64_t mono_ms); /* starts it when it is time, ends it by steps */
void program_reap(void);
void program_deaf(void);    /* it has closed its input */
void program_finish(void);  /* its input has ended */
bool program_gone(void);    /* it was finished and reaped */
int program_wait_ms(int64_t mono_ms, int ms); /* at most ms, less when something is due */

/* media.c */
int media_open(int run_dir);
void media_begin(void);                /* a session: its mark, its place in time */
void media_gap(void);
void media_mark(enum mark_kind, const char *reason);
int media_read(bool wait); /* 1 some, 0 none now, -1 the session has gone, -2 it has to go: keeper.reason says why */
void media_attach(void);               /* another program: headers and the last group first */
void media_pump(void);                 /* as much as the program takes */
bool media_waiting(void);              /* something is queued for it */
void media_tick(int64_t mono_ms);
void media_ended(void);                /* says publish.ended, with what came */

#endif
