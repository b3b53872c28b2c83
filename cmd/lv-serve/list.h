/*
 * list tells what is live: the stream.json of every folder under ROOT/live, as one JSON text.
 *
 * {"streams":[{"stream","broadcast","started_at","origin_ms","viewers","poster"}…]}
 * Fresh for LIST_FRESH_MS; at most LIST_MAX streams; a stream.json over 16 KB is not one.
 */
#ifndef LV_LIST_H
#define LV_LIST_H

#include <stddef.h>

#include "viewers.h"

#define LIST_FRESH_MS 1000
#define LIST_MAX 1000

struct list;

int list_new(struct list **, int root); /* borrows root */
const char *list_text(struct list *, const struct viewers *, size_t *len); /* NULL: no memory */
void list_free(struct list **);

#endif
