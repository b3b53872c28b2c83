/*
 * target: one destination: its bucket, its access key, its queue and its backlog.  Several of them
 * follow one tree, and none waits for another.
 *
 * Shape:  target_open, target_remember, files told to target_push; or target_verify, target_mirror,
 *         which scan by themselves: target_over says when they end, target_status how they went.
 * Errors: target_open and target_remember leave the process, in words.
 */
#ifndef LV_S3PUSH_TARGET_H
#define LV_S3PUSH_TARGET_H

#include "dest.h"
#include "push.h"

#define TARGETS 16 /* at most */

struct target_config {
	struct ev_loop *loop;
	const char *root_path;
	int root, jobs;
	int spool_at;
	const char *spool; /* the folder of backlogs, relative to spool_at */
	int64_t expire_ms;
	bool once, dry_run, several;
};

struct target;
void target_open(struct target **, const struct target_config *, const struct dest *);
void target_remember(struct target *); /* its backlog, and what it pushed before */
void target_mirror(struct target *);
void target_verify(struct target *); /* what differs; then, if it is to mirror as well, puts that again */
void target_load_key(struct target *, bool needed);
struct push *target_push(struct target *);
const char *target_name(const struct target *); /* s3://BUCKET/PREFIX */
bool target_over(const struct target *);
int target_status(const struct target *); /* it says what went wrong; 1: something differs */
void target_free(struct target **);

#endif
