/*
 * media: the sample table of one track in one segment; the payload stays where it is.
 *
 * Shape:  media_new for sound or for picture; media_load for each segment; media_free.
 * Units:  the track's timescale; offsets in the segment's file.
 * Owner:  the table is good until the next load, and so is the sample entry.
 * Errors: -errno of the files; -EBADMSG and -EMSGSIZE for damage, -ENOMSG for an init segment
 *         without the track, -ENODATA for a segment without samples.  A file that was cut off
 *         gives the samples that are whole, and truncated.
 */
#ifndef LV_VOD_MEDIA_H
#define LV_VOD_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive.h"
#include "mp4read.h"

#define MEDIA_SAMPLES_MAX 1000000 /* of a segment */

struct media {
	bool video, truncated;
	struct mp4_sample *sample;
	size_t count, room;
	const struct mp4_track *track; /* what its init segment says; NULL before the first load */
	/* The init segment that was loaded last. */
	char *path;
	uint8_t *bytes;
	struct mp4_init init;
};

void media_new(struct media *, bool video);
int media_load(struct media *, const struct segment *);
void media_free(struct media *);

#endif
