/*
 * file: files that appear whole, below an open folder.  A write goes to ".NAME.tmp" beside NAME
 * and is renamed; the close is checked before.  Media names are new ones and replace nothing;
 * playlists replace.  No fsync: after a power cut a live window is worth nothing.
 *
 * Errors: -errno; nothing is left behind, and what had the name before is untouched.
 */
#ifndef LV_FILE_H
#define LV_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

int file_put(int dir, const char *path, bool replace, const void *, size_t);
int file_append(int dir, const char *path, const void *, size_t); /* one write, or none at all */
/* A second name for a file, or a copy where links are refused; *copied says which. */
int file_link(int from, const char *path, int to, const char *as, bool *copied);
int file_get(int dir, const char *path, size_t max, struct buf *); /* -EMSGSIZE over max bytes */
int file_folder(int dir, const char *path); /* made when it is missing, parents too */

#endif
