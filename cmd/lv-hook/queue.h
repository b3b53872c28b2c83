/*
 * queue: what is still to be delivered, a line each, in order; on the disk where a path is given.
 *
 * The file begins with the place of its first line that was not delivered, in 20 digits, so that
 * an lv-hook that is killed goes on there: a line that was under way may come twice, none is lost.
 * Limits: max bytes of lines; the oldest go first, and are counted.
 * Errors: -errno; the queue in memory goes on without the disk, which is said once.
 */
#ifndef LV_HOOK_QUEUE_H
#define LV_HOOK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define QUEUE_FILE_MAX (256 << 20)

struct queue {
	struct buf lines; /* each with its newline */
	size_t max, count;
	int64_t dropped; /* since queue_take_dropped */
	const char *path;
	int fd, lock;
	int64_t head, end; /* places in the file */
	bool failed;
};

int queue_open(struct queue *, const char *path, size_t max); /* an exit status after a message */
int queue_add(struct queue *, const char *line, size_t n);    /* without its newline */
const char *queue_first(const struct queue *, size_t *n);     /* NULL when there is none */
void queue_done(struct queue *);                              /* with the first */
int64_t queue_take_dropped(struct queue *);
void queue_close(struct queue *);

#endif
