/*
 * The parts of push: push_tree.c what is known of the tree and queued, push_send.c the requests and
 * what their answers mean, push.c the order and the clock.
 */
#ifndef LV_S3PUSH_PUSH_PARTS_H
#define LV_S3PUSH_PUSH_PARTS_H

#include "lists.h"
#include "push.h"

#define PUSH_MISSING_MS 5000 /* a file that a playlist names is looked for a second time */

struct push {
	struct push_config config;
	struct objects objects;
	struct objects_queue live, kept, later, asks, gone;
	struct lists_queue lists[2]; /* live ones, archives */
	int flying, flying_kept, flying_deletes;
	uint32_t scan;
	bool scanning, link_warned, journal_broken;
	size_t journal_lines, pushed, failed;
	/* Trouble with the whole: */
	int fails;
	int64_t hold_until_ms, failed_at_ms, failing_since_ms;
	struct s3_fault fault;
	int64_t measured_ms, skew_s;
};

/* push_tree.c */
int64_t push_mtime(const struct stat *);
void push_leave(struct object *); /* its queue */
void push_queue(struct push *, struct object *);
void push_await(struct push *, struct list *); /* it is looked at until its versions are put */
void push_journal(struct push *, struct object *, bool stored);
void push_rewrite(struct push *); /* the journal */
void push_rest(struct push *, struct object *); /* nothing is under way about it; it may be freed */
void push_unlink(struct push *, struct object *);
int push_open(struct push *, struct object *);
void push_fail(struct push *, struct object *, const char *why);
void push_lose(struct push *, struct object *);

/* push_send.c */
void push_put_file(struct push *, struct object *);
void push_put_list(struct push *, struct list *, struct snapshot *);
void push_ask(struct push *, struct object *); /* is it in the bucket? */
void push_expire(struct push *);

#endif
