/*
 * lists: playlists, and the rule that they obey: the bytes of one are read once, when it was
 * written, and are put only when all that they name is in the bucket.  Newer bytes may come
 * meanwhile; the newest that are ready are put, and older ones are let go.
 *
 * Shape:  list_take for each version; list_ready for the newest that may be put (older ones are
 *         freed); list_release when it was put, list_return when it has to be put again.
 * Owner:  a snapshot handed out by list_ready is the caller's until one of the two.
 * Limits: LIST_BYTES a version, LIST_SNAPSHOTS that wait (the newest is always kept).
 */
#ifndef LV_S3PUSH_LISTS_H
#define LV_S3PUSH_LISTS_H

#include "buf.h"
#include "objects.h"

#define LIST_BYTES (8u << 20)
#define LIST_SNAPSHOTS 4

enum need { NEED_SEGMENT, NEED_PLAYLIST, NEED_OTHER };

struct dep {
	struct object *object;
	enum need need;
};

struct snapshot {
	struct buf text;
	struct dep *deps; /* first to ndeps - 1 were not in the bucket when last looked at */
	size_t first, ndeps, cap;
	int64_t size, mtime_ns, seen_ms;
	bool gaps; /* a segment is lost: it has to be marked */
	bool dead; /* it names an init section or a key that is nowhere */
};

struct list {
	struct object *object;
	TAILQ_ENTRY(list) in;
	struct snapshot *waiting[LIST_SNAPSHOTS]; /* oldest first */
	size_t n;
	bool queued;
	uint64_t hash;     /* of the bytes put last */
};
TAILQ_HEAD(lists_queue, list);

/* What a playlist names: the object, when it has to be waited for. */
typedef struct object *lists_need(void *ctx, const char *path);

int list_new(struct list **, struct object *);
int list_take(struct list *, struct buf *text, int64_t size, int64_t mtime_ns, int64_t seen_ms,
	lists_need *, void *ctx); /* takes text; -ENOMEM */
int list_wait_for(struct list *, struct object *); /* the newest version waits for it as well */
struct snapshot *list_ready(struct list *);
struct object *list_wants(struct list *); /* what the newest waits for, and nobody sends yet */
void list_return(struct list *, struct snapshot *);
void list_release(struct snapshot *);
uint64_t list_hash(const struct buf *);
/* The text with EXT-X-GAP before each lost segment. */
int list_mark_gaps(struct buf *out, const struct snapshot *, const char *path, const struct objects *);
void list_free(struct list **);

#endif
