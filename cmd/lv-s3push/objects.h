/*
 * objects: every file of the tree that is pushed, and every one that a playlist names: what is
 * known of it, and whether it is in the bucket.  About 150 bytes each, with its path.
 */
#ifndef LV_S3PUSH_OBJECTS_H
#define LV_S3PUSH_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kinds.h"

enum object_state {
	OBJECT_IDLE,    /* nothing to do */
	OBJECT_WAITING, /* in a queue */
	OBJECT_FLYING,  /* a request about it is under way */
	OBJECT_GONE,    /* in the queue of what will be deleted from the bucket */
};

TAILQ_HEAD(objects_queue, object);
struct list; /* of lists.h: what a playlist has besides */

struct object {
	struct object *next; /* of its hash */
	TAILQ_ENTRY(object) in;
	struct objects_queue *queue; /* which one it is in, or NULL */
	const struct kind *kind;
	struct list *list;
	int64_t size, mtime_ns; /* of its newest version; size -1: not seen */
	int64_t seen_ms;        /* Unix time: when that was written */
	int64_t due_ms;         /* monotonic: not before; for what settles, fails, or is missing */
	int64_t gone_ms;        /* Unix time: since when it is not in the tree, or 0 */
	uint32_t refs;          /* snapshots that wait for it */
	uint32_t scan;          /* the last one that saw it */
	uint8_t state, tries;
	bool stored;  /* some version is in the bucket */
	bool kept;    /* an archive */
	bool linked;  /* the spool holds it */
	bool again;   /* a newer version came while one was flying */
	bool asked;   /* named by a playlist, but not here: is it in the bucket? */
	bool lost;    /* neither here nor there */
	char path[];
};

struct objects {
	struct object **slots;
	size_t nslots, n;
};

struct object *objects_find(const struct objects *, const char *path);
struct object *objects_get(struct objects *, const char *path); /* made when new; NULL: no memory */
void objects_remove(struct objects *, struct object *);         /* and frees it */
void objects_each(struct objects *, void (*)(void *ctx, struct object *), void *ctx); /* may remove it */
void objects_free(struct objects *);

#endif
