/*
 * edges: the pictures of a clip up to its first key frame, and from its last one on, encoded again by
 * ffmpeg, so that nothing is in the file but what is shown.
 *
 * Shape:  edges_start before the sandbox; edges_make, which fills the options of the recording that
 *         is wanted; edges_free when it has been written.
 * Errors: -errno; -ENOTSUP: the picture is neither H.264 nor HEVC; -EPROTO when ffmpeg failed.
 */
#ifndef LV_VOD_EDGES_H
#define LV_VOD_EDGES_H

#include "encode.h"
#include "recording.h"
#include "rungs.h"

struct edges {
	const char *with; /* borrowed: ffmpeg's options, NULL: ours for the codec */
	struct encode encode[2]; /* of the begin, of the end */
	struct segment segment[2];
	struct buf bytes[2];
};

int edges_start(struct edges *, const char *with);
int edges_make(struct edges *, const struct rung *, struct recording_options *);
void edges_free(struct edges *);

#endif
