/*
 * reader: one of those who get the media: standard output, a descriptor, a FIFO or a command.
 *
 * Shape:  reader_parse for each --to, reader_check before anything is started, then reader_tend
 *         and reader_write from the loop; reader_finish at the end of the input, then reader_tend
 *         until reader_over.
 * Errors: reader_parse gives -EINVAL; reader_write and reader_tend give -EPIPE when a block reader
 *         has died and -ETIMEDOUT when one stalled a live pipeline; they have said so.
 */
#ifndef LV_TEE_H
#define LV_TEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pick.h"
#include "taglog.h"

#define READERS_MAX 32
#define BLOCK_QUEUE (512 << 10) /* a block reader with more than this queued holds up the input */

enum policy { POLICY_BLOCK, POLICY_DROP, POLICY_DETACH, POLICY_NONE };
enum target { TARGET_FD, TARGET_FIFO, TARGET_EXEC };

struct reader {
	char *spec;       /* what was given, kept as long as we run */
	const char *name; /* the target as it was given */
	enum policy policy;
	enum target target;
	char *rungs; /* NULL: all */
	const char *what; /* the path or the command */
	int given;        /* the descriptor we were given */

	struct taglog *log; /* of all tags, or of its rungs */
	struct cursor cursor;
	int fd; /* -1 while it is away */
	bool socket, gone, dead, full, stalled, waited;
	pid_t pid; /* of the command, until it is reaped */
	bool unread; /* a FIFO was closed on a reader that had not taken everything */
	int tries;
	int64_t open_at, up_at, kill_at, wait_since, full_since;
	int signals;     /* sent to the command so far */
	bool finishing, failed;
};

struct limits {
	size_t bytes;
	int ms, stall_ms;
	bool live;
};

int reader_parse(struct reader *, const char *spec, bool is_stdout);
int reader_check(struct reader *);
int reader_tend(struct reader *, const struct limits *, int64_t now);
int reader_write(struct reader *, const struct limits *, int64_t now);
void reader_reap(struct reader *, pid_t, int status, int64_t now);
void reader_finish(struct reader *, bool early, int64_t now);
void reader_hurry(struct reader *, int64_t now); /* the command is asked to end at once */
bool reader_over(const struct reader *);

#endif
