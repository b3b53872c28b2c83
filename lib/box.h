/*
 * box builds the boxes of ISO media files.  No I/O.
 *
 * Shape:  begin or full gives where the box lies, which end needs once all that is in it is there.
 * Errors: stay in buf.error, as for every builder.
 * Spec:   ISO/IEC 14496-12 4.2, 8.2.2 (the matrix that changes nothing).
 */
#ifndef LV_BOX_H
#define LV_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

size_t box_begin(struct buf *, const char *type);
size_t box_full(struct buf *, const char *type, unsigned version, uint32_t flags);
void box_end(struct buf *, size_t at);
void box_zeros(struct buf *, size_t n);
void box_matrix(struct buf *);
void box_handler(struct buf *, bool video); /* hdlr: whose media it is */
void box_media(struct buf *, bool video); /* what begins minf: vmhd or smhd, and that the data is in this file */

#endif
