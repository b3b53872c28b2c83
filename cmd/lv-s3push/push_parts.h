/* The parts of push; push.c has the order and the clock. */
#ifndef LV_S3PUSH_PUSH_PARTS_H
#define LV_S3PUSH_PUSH_PARTS_H

#include "event.h"
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
	size_t journal_lines;
	struct push_figures figures; /* what was done */
	struct push_puts puts;
	struct spool *spool;
	/* Trouble with the whole: */
	int fails;
	int64_t hold_until_ms, failed_at_ms, failing_since_ms;
	struct s3_fault fault;
	int64_t measured_ms, skew_s;
};

/* A request about one object. */
struct flight {
	struct push *push;
	struct object *object;
	struct snapshot *snapshot; /* a playlist's */
	struct buf text;           /* with its gaps marked */
	int fd;
	int64_t size, mtime_ns, seen_ms, sent_ms;
};

/* push_queue.c: what waits, and what is remembered of it */
int64_t push_mtime(const struct stat *);
void push_leave(struct object *); /* its queue */
void push_queue(struct push *, struct object *);
void push_sort(struct objects_queue *);
void push_await(struct push *, struct list *); /* it is looked at until its versions are put */
void push_journal(struct push *, struct object *, bool stored);
void push_rewrite(struct push *); /* the journal */
void push_rest(struct push *, struct object *); /* nothing is under way about it; it may be freed */
void push_unlink(struct push *, struct object *);
int push_open(struct push *, struct object *);

/* push_take.c: what comes */
void push_spooled(void *push, const char *path, const struct stat *); /* before a restart */

/* push_gone.c: what left the tree, and leaves the bucket later */
void push_expire(struct push *);

/* push.c */
void push_event(const struct push *, struct event *, const char *name); /* begun */

/* push_trouble.c */
void push_hold(struct push *, const struct s3_result *, int64_t sent_ms); /* everything waits */
void push_well(struct push *);
void push_say_skew(struct push *, const struct s3_result *);
void push_fail(struct push *, struct object *, const char *why);
void push_lose(struct push *, struct object *);

/* push_put.c */
char *push_key(const struct push *, const char *path);
struct flight *push_fly(struct push *, struct object *);
void push_land(struct push *, struct flight *);
void push_no_flight(struct push *, struct flight *, int error); /* it did not begin */
void push_put_file(struct push *, struct object *);
void push_put_list(struct push *, struct list *, struct snapshot *);

/* push_puts.c */
void push_puts_new(struct push_puts *);
void push_puts_answered(struct push_puts *, const struct s3_result *, int64_t sent_ms);
void push_puts_stored(struct push_puts *, const char *path, int64_t lag_ms);
void push_puts_free(struct push_puts *);

/* push_ask.c */
void push_ask(struct push *, struct object *); /* is it in the bucket? */

#endif
