/*
 * upload: a large file into the bucket, in parts, one after the other.
 *
 * Shape:  upload_file; it ends in one call of done, as s3_put does.  When it failed the caller may
 *         call it again, also in another process: it goes on with what the bucket holds of it
 *         already, part by part, where those are the file's bytes.
 * Owner:  key, type and cache are copied, the descriptor is borrowed until done.
 * Errors: as s3_put.
 */
#ifndef LV_S3PUSH_UPLOAD_H
#define LV_S3PUSH_UPLOAD_H

#include <ev.h>

#include "s3.h"

#define UPLOAD_FROM (64u << 20) /* bytes; what is smaller is put in one piece */

int upload_file(struct s3 *, struct ev_loop *, const struct s3_object *, s3_done *, void *ctx);

#endif
