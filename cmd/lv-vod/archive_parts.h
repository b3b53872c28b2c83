/*
 * The parts of archive, which share its struct; nobody else includes this.
 *
 *   archive.c        the tracks, and what a folder, a playlist or a list leads to
 *   archive_lists.c  what journals and playlists name
 */
#ifndef LV_VOD_ARCHIVE_PARTS_H
#define LV_VOD_ARCHIVE_PARTS_H

#include "archive.h"
#include "buf.h"

#define SOURCE_BIT 40 /* a segment's number: the source's above, its own below */

/* archive.c */
int arc_listing(struct archive *, const char *name, struct listing **); /* made when it is missing */
int arc_segment(struct archive *, struct listing *, const struct segment *); /* takes copies */

/* archive_lists.c */
int arc_get(const char *folder, const char *name, struct buf *); /* a text, ended by a NUL */
int arc_journal(struct archive *, const char *folder, char *text);
/* depth: 1 for a playlist that a master names, which may not be a master itself. */
int arc_playlist(struct archive *, const char *folder, const char *file, const char *name, int depth);

#endif
