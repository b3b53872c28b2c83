/*
 * chapters: names of moments, from a file of events; and where they come to lie in a recording.
 *
 * Form:   a JSON object a line: "title", and "t", seconds of the recording, or "ts", when it was by the
 *         clock (RFC 3339, as all events have it).  Lines without a title are passed over.
 * Shape:  a zeroed struct; chapters_read, or automatic: one for each part that a publisher sent;
 *         chapters_segment for each segment of the recording, in order; chapters_write.
 * Errors: -errno; -EBADMSG for a line that is no JSON or has no time, -EMSGSIZE for more than
 *         CHAPTERS_MAX of them.
 */
#ifndef LV_VOD_CHAPTERS_H
#define LV_VOD_CHAPTERS_H

#include <stdbool.h>

#include "archive.h"
#include "mp4write.h"

#define CHAPTERS_MAX MP4_OUT_CHAPTERS
#define CHAPTER_TITLE_MAX 255 /* bytes */

struct chapter {
	bool placed;
	double at_s;     /* when it begins in the recording, once it is placed */
	int64_t wall_ms; /* by the clock */
	char title[CHAPTER_TITLE_MAX + 1];
};

struct chapters {
	bool automatic;
	int count;
	struct chapter chapter[CHAPTERS_MAX];
};

int chapters_read(struct chapters *, const char *path, int *line); /* line: the one that is wrong */
void chapters_segment(struct chapters *, const struct segment *, double at_s);
/* Of the part from from_s on, length_s long; gives their number. */
int chapters_write(struct chapters *, struct mp4_writer *, double from_s, double length_s);

#endif
