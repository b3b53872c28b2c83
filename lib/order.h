/*
 * order: tags of all tracks, let out by their DTS.
 *
 * Each put copies a whole tag's bytes; order_release lets out, oldest first, what lies at or
 * before low, and whatever would hold more than ORDER_MS of time or ORDER_BYTES.  Tags of the same
 * time leave in the order they came.
 */
#ifndef LV_ORDER_H
#define LV_ORDER_H

#include <stdint.h>

#include "buf.h"

#define ORDER_MS 5000
#define ORDER_BYTES (64 << 20)

struct order;
int order_new(struct order **);
int order_put(struct order *, int64_t dts, struct buf *tag); /* empties tag; its error counts */
/* Appends what may leave to out.  INT64_MAX lets out all. */
int order_release(struct order *, int64_t low, struct buf *out);
void order_free(struct order **);

#endif
