/*
 * pick takes rungs out of a stream: the tags of other rungs are left out, onMetaData tells of what
 * remains, and a choice of one video and one audio track at most is renumbered to track 0, so that
 * plain FLV comes out.  Marks and other script tags pass as they are.
 *
 * Shape:  new with "A" or "A+B", pick_tag for each tag in order, free.
 * Owner:  pick_tag borrows the tag and appends whole tags to the buffer.
 * Errors: -EINVAL for an empty name or too many; pick_tag gives -EBADMSG for a tag whose body ends
 *         too early and the buffer's own error; nothing is appended then.
 */
#ifndef LV_PICK_H
#define LV_PICK_H

#include <stdbool.h>

#include "tracks.h"

#define PICK_NAMES 8

struct pick;
int pick_new(struct pick **, const char *names);
int pick_tag(struct pick *, const struct flv_tag *, struct buf *);
bool pick_empty(const struct pick *); /* none of the rungs is there, as far as is known by now */
void pick_free(struct pick **);

#endif
