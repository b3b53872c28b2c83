/*
 * playlist: HLS over the segments of an archive where they are: TRACK/vod.m3u8, and vod.m3u8 that names them.
 *
 * Errors: -errno; -EXDEV when the segments do not all lie in the folders of one archive.
 */
#ifndef LV_VOD_PLAYLIST_H
#define LV_VOD_PLAYLIST_H

#include "rungs.h"

int playlist_write(const struct rungs *, const char *folder, int64_t *dur_ms);

#endif
