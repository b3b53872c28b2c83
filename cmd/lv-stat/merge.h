/*
 * merge: what several commands tell, as one text: each family once, each sample with the label unit, which
 * says whose it is.  No I/O.
 *
 * Shape:  take for each command, then text, then free.  What comes from another lv-stat has a unit, and
 *         gets "UNIT/" in front of it; UNIT "" leaves it as it is.
 * Errors: take gives 0, -EBADMSG for what is no such text (what came before stays), -ENOMEM.
 */
#ifndef LV_STAT_MERGE_H
#define LV_STAT_MERGE_H

#include "buf.h"
#include "table.h"

struct merge { /* zeroed is empty */
	struct table families;
	struct family *first, *last;
};

int merge_take(struct merge *, const char *unit, const char *text, size_t n);
int merge_text(const struct merge *, struct buf *); /* appended */
void merge_free(struct merge *);

#endif
