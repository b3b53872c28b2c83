/*
 * The parts of taglog, which share its struct; nobody else includes this.
 *
 *   taglog.c         bytes become tags in shared blocks; what nobody needs any more goes
 *   taglog_judge.c   what a tag is, and where groups of pictures begin
 *   taglog_states.c  the headers and marks that a late reader begins with
 *   taglog_cursor.c  one reader's place
 */
#ifndef LV_TAGLOG_PARTS_H
#define LV_TAGLOG_PARTS_H

#include "taglog.h"

#define TAG_HEADER 11
#define VIDEO_TRACKS 32      /* those above share the last bit */

struct block {
	struct block *next; /* among the spare ones */
	size_t cap;
	int refs;
	uint8_t data[];
};

enum rec_kind { REC_FRAME, REC_STATE, REC_MARK, REC_TICK };

struct rec {
	struct block *block; /* NULL: in the store */
	size_t off, len;
	uint64_t pos; /* bytes of all tags before */
	int64_t dts, at;
	enum rec_kind kind;
	uint32_t video, key; /* the video tracks inside, and those with a key frame */
};

/* A tag that a late reader needs: the last of its kind. */
struct state {
	int refs;
	uint32_t what, tracks; /* STATE_x and, of those below metadata, which tracks */
	size_t len;
	uint8_t data[];
};
enum { STATE_SESSION, STATE_METADATA, STATE_VIDEO, STATE_AUDIO, STATE_COLOUR };

struct states {
	struct state *state[TAGLOG_STATES];
	int count;
};

struct taglog {
	struct block *block, *spare; /* the one being filled */
	size_t fill, parsed;         /* in the block: bytes read, bytes of whole tags */
	int nspare, spare_max;
	size_t block_size;
	bool began, timed;
	int64_t last;
	int error;

	struct rec *recs; /* a ring of cap, a power of two */
	size_t cap;
	uint64_t base, end; /* tags base ... end - 1 are held */
	uint64_t pos;
	struct taglog_store store; /* of the tags before stored; none when write is NULL */
	uint64_t stored;

	size_t group_max;
	bool group_kept; /* recs from group on are there for late readers */
	uint64_t group, serial;
	uint32_t tracks; /* video tracks seen */
	uint64_t key_at[VIDEO_TRACKS];
	int64_t key_pts[VIDEO_TRACKS];
	struct states now, begun; /* as of the last tag, as of the group's first */
	bool changed;             /* they differ */
	struct cursor *cursors;
};

static inline struct rec *
rec_at(const struct taglog *t, uint64_t i)
{
	return &t->recs[i & (t->cap - 1)];
}

/* taglog_judge.c; before the tag is in the log */
int taglog_judge(struct taglog *, struct rec *, const struct flv_tag *, const uint8_t *raw);

/* taglog_states.c */
void states_clear(struct states *);
void states_copy(struct states *to, const struct states *from);
int states_set(struct taglog *, uint32_t what, uint32_t tracks, const uint8_t *raw, size_t len);
void states_put(const struct states *, int64_t dts, struct buf *out); /* as tags of that time */

/* taglog_cursor.c */
void cursor_follow(struct cursor *); /* over what a skipping cursor drops, up to the group at which it goes on */

#endif
