/*
 * shelf tells which recordings there are below ROOT/archive, newest first, as one JSON text:
 *
 * {"recordings":[{"stream","broadcast","started_at","dur_ms","poster","thumbnails","file"}...]}
 *
 * A recording is a folder STREAM/BROADCAST that holds a vod.m3u8; poster, thumbnails and file are the
 * names of what lies beside it, where there is such a thing.  Fresh for SHELF_FRESH_MS; the newest
 * SHELF_MAX.
 */
#ifndef LV_SHELF_H
#define LV_SHELF_H

#include <stddef.h>

#define SHELF_FRESH_MS 2000
#define SHELF_MAX 60

struct shelf;

int shelf_new(struct shelf **, int root); /* borrows root */
const char *shelf_text(struct shelf *, const char *stream, size_t *len); /* "": of all streams; NULL: no memory */
void shelf_free(struct shelf **);

#endif
