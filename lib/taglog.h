/*
 * taglog holds the recent tags of one FLV stream once, for any number of readers; no I/O.
 *
 * Bytes come in through room and filled, into blocks that are shared by everybody; a tag never
 * lies across two blocks.  A cursor is one reader's place: peek gives the next bytes to write,
 * as many whole tags as lie together, took says how many were taken.  What no cursor needs any
 * more is forgotten, except the last group of pictures (when kept), with which a reader that
 * comes late begins.
 *
 * Shape:  new; room, filled, next until 0; for each cursor peek and took until 0; trim.
 * Units:  now and lag in milliseconds of any one clock; dts in milliseconds.
 * Owner:  the log owns its bytes: a tag or peeked bytes are good until the next room, put or trim.
 * Errors: next gives 1 for a tag, 0 for "feed me", -EBADMSG, -EMSGSIZE over TAGLOG_TAG_MAX or
 *         -ENOMEM; errors are final.
 *
 * A late cursor gets the FLV header, then, as they were when the group began, the session mark,
 * onMetaData and the sequence headers, stamped with the group's time, then the group itself.
 * The kept group may lie in a store instead of memory: what every cursor has taken goes there, and
 * comes back for a late one.  A store that fails is not asked again: memory it is, then.
 * cursor_shed drops frames of every track up to the newest group of pictures, or to the next one
 * when that lies behind; headers and marks (but ticks) are never lost by it.  A video track goes
 * on at its own first key frame.
 */
#ifndef LV_TAGLOG_H
#define LV_TAGLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "flv.h"

#define TAGLOG_TAG_MAX (8 << 20)
#define TAGLOG_BLOCK (512 << 10)
#define TAGLOG_SMALL ((16 << 10) - 64) /* with what malloc needs, four pages */
#define TAGLOG_STATES 64         /* session mark, onMetaData, sequence headers of every track */
#define CURSOR_FRONT (1 << 20)   /* marks kept for a reader that takes nothing */

struct taglog;
int taglog_new(struct taglog **, size_t group_max); /* bytes of a kept group; 0: keep none */

/* Where the kept group is put: bytes at positions that only grow; below before nothing is read again. */
struct taglog_store {
	int (*write)(void *arg, uint64_t pos, const void *, size_t); /* 0 or -errno */
	int (*read)(void *arg, uint64_t pos, void *, size_t);
	void (*forget)(void *arg, uint64_t before);
	void *arg;
};
void taglog_small(struct taglog *, struct taglog_store); /* one of many: small blocks, a store */
uint8_t *taglog_room(struct taglog *, size_t *room); /* NULL: no memory */
void taglog_filled(struct taglog *, size_t n);
int taglog_next(struct taglog *, struct flv_tag *, int64_t now);
int taglog_put(struct taglog *, const void *, size_t, int64_t now); /* whole tags, no FLV header */
int taglog_put_tag(struct taglog *, const struct flv_tag *, int64_t now);
size_t taglog_pending(const struct taglog *); /* bytes of an unfinished tag */
void taglog_trim(struct taglog *);
size_t taglog_held(const struct taglog *); /* bytes of the tags not yet forgotten */
void taglog_free(struct taglog **);

struct cursor {
	struct taglog *log; /* NULL while not attached */
	struct cursor *next;
	struct buf front; /* goes before the log's own bytes */
	uint64_t at;      /* the tag it is at */
	size_t off;       /* what it has of that tag */
	bool skip;        /* frames are dropped until a group begins */
	bool shedding;    /* what is skipped counts as dropped */
	bool stale;       /* headers were skipped too: repeat them all */
	uint64_t serial;  /* of the group that does not end the skipping */
	uint64_t told;    /* headers and marks before this tag are in front already */
	uint32_t waiting; /* video tracks that wait for their key frame */
	int64_t dropped_frames, dropped_bytes, dropped_from, dropped_to; /* dts */
};

int cursor_attach(struct cursor *, struct taglog *);
void cursor_detach(struct cursor *);
size_t cursor_peek(struct cursor *, const uint8_t **);
void cursor_took(struct cursor *, size_t n);
size_t cursor_bytes(const struct cursor *);               /* queued */
int64_t cursor_lag(const struct cursor *, int64_t now);   /* age of the oldest tag not taken */
void cursor_shed(struct cursor *);
/* A finished drop, once its reader has taken what follows (or always, with all): its counts. */
struct cursor_drop {
	int64_t frames, bytes, dur_ms;
};
bool cursor_dropped(struct cursor *, bool all, struct cursor_drop *);

#endif
