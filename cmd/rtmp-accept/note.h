/*
 * note: what a keeper leaves behind in case it dies together with its door, so that the next door
 * knows which broadcast has to go on, or to be ended: RUNDIR/<pid of the keeper>.note.
 *
 * Rule:   it is locked (flock) for as long as its keeper lives, and is gone when the broadcast has ended
 *         and a door knows.
 *         Whoever removes the note of a dead keeper, and nobody else, says of that one's end what
 *         there is to say; so two doors never both do.
 */
#ifndef RTMP_ACCEPT_NOTE_H
#define RTMP_ACCEPT_NOTE_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc.h"

struct note { /* as it is in the file; how long ago it was last written, the file's time tells */
	uint32_t begun, ending; /* broadcast.started was said; the end has begun */
	uint32_t over;          /* all is said, but lv-auth was not told, for want of a door */
	uint32_t env_len;
	union {
		struct keep_state state; /* of another version: its first KEEP_HEAD bytes */
		uint8_t room[1008];
	};
	char env[4096]; /* of the program, as in keep_hello */
};

/* note.c: the keeper's own. */
int note_open(int run_dir, const struct keep_hello *);
void note_write(const struct keep_state *, bool begun, bool ending);
void note_over(void); /* the last word to the next door */
void note_remove(void);

/* notes.c: the door's. */
bool note_claim(const char *run_dir, pid_t keeper); /* it is dead: true when the note was there */
bool note_exists(const char *run_dir, pid_t keeper);
/* Each whose keeper is dead, and which is ours by now; age: since it was last written. */
int notes_dead(const char *run_dir, void (*each)(const struct note *, int64_t age_ms));

#endif
