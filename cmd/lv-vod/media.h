/*
 * media: the sample table of one track in one segment; the payload stays where it is.  Of a transport
 * stream the payload is what media_stream holds, and the offsets are in its track's data.
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
#include "codec.h"
#include "mp4read.h"
#include "tsread.h"

#define MEDIA_STREAM_MAX (256 << 20) /* bytes of a transport stream's segment */
#define MEDIA_SAMPLES_MAX 1000000 /* of a segment */

/* The transport stream that was read last: sound and picture lie in it together. */
struct media_stream {
	const struct segment *of;
	int64_t bytes;
	struct tsread ts;
	int result;
};
bool media_is_stream(const struct segment *);
int media_stream_load(struct media_stream *, const struct segment *, int64_t near);
void media_stream_free(struct media_stream *);

struct media {
	struct media_stream *stream; /* borrowed */
	int64_t near; /* about when the segment begins, in 90000 Hz: where times of 33 bits belong */
	bool video, truncated;
	struct mp4_sample *sample;
	size_t count, room;
	int64_t file_bytes; /* of the file that was loaded last */
	const struct mp4_track *track; /* what its init segment says; NULL before the first load */
	/* The init segment that was loaded last. */
	char *path;
	uint8_t *bytes;
	struct mp4_init init;
};

int64_t rescale(int64_t t, uint32_t from, uint32_t to); /* rounded to the nearest */
void media_new(struct media *, bool video, struct media_stream *);
int media_load(struct media *, const struct segment *);
bool media_is_lost(int error); /* nothing that is wrong with a segment: it may be read another time */
int media_codec(const struct media *, struct codec *); /* of what was loaded last; -ENOTSUP: no idea */
void media_free(struct media *);

#endif
