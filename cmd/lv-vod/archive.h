/*
 * archive: which segments there are of which tracks, from a folder, a playlist or a list.
 *
 * Shape:  a zeroed struct; archive_add for each source, in the order of time; archive_free.
 *         A folder is read by its journal (segments.ndjson), else its playlists, else the names of
 *         the segments in it.
 * Owner:  the strings live as long as the archive.
 * Errors: -errno; -ENODATA for a source that lists nothing, -EMSGSIZE over a limit,
 *         -EREMOTE for one that lies elsewhere (a URL).
 */
#ifndef LV_VOD_ARCHIVE_H
#define LV_VOD_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Limits. */
#define LISTINGS_MAX 64
#define SEGMENTS_MAX 2000000           /* of all tracks */
#define LISTING_BYTES_MAX (512 << 20)  /* of a journal or a playlist */
#define SOURCES_MAX 1024

struct segment {
	int64_t n; /* equal in all tracks */
	char *folder, *file, *init; /* init: NULL for a transport stream */
	int64_t wall_ms, dur_us; /* 0: nobody said */
	bool gap, discontinuity;
	bool begins; /* a publisher came, or came back */
	bool last;   /* no other follows it in memory */
	const struct buf *encoded; /* made by us: these are its bytes, there is no file */
};

struct listing { /* a track's segments */
	char *name;
	struct segment *segment;
	size_t count, room;
	char session[64]; /* of the newest */
};

struct archive {
	struct listing listing[LISTINGS_MAX];
	int listings, sources;
	size_t segments;
	char stream[65], broadcast[27];
	int64_t origin_ms;
	int torn;     /* lines of journals that made no sense */
	bool guessed; /* bare segments: order and init segments are told by names */
};

int archive_add(struct archive *, const char *source); /* "-": a list on standard input */
struct listing *archive_find(struct archive *, const char *name);
void archive_free(struct archive *);

#endif
