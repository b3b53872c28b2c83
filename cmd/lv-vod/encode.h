/*
 * encode: a recording encoded again by ffmpeg, which reads it from a pipe.
 *
 * Shape:  encode_start before the sandbox, or encode_into for a descriptor of ours, which stays open as
 *         file and gets fragments, and encode_options when it is known what is to be encoded, on one
 *         line; what is written to its fd is the recording; encode_end.
 * Errors: -errno; -EBUSY when another process writes the same file; -EPROTO when ffmpeg failed, which
 *         said why.  A file that had the name is untouched until the new one is whole and on the disk.
 */
#ifndef LV_VOD_ENCODE_H
#define LV_VOD_ENCODE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#define ENCODE_WITH "-c:v libx264 -preset fast -crf 23 -c:a aac -b:a 128k"
#define ENCODE_WORDS_MAX 100

struct encode {
	const char *path;
	char temp[PATH_MAX];
	int fd, file; /* file: -1 where it has no name, or standard output's */
	int made; /* what it has made is read here; -1 where that is nobody's business */
	pid_t pid;
};

/* path "-": standard output, NULL: made, both in fragments; with: ffmpeg's options, NULL for ENCODE_WITH. */
int encode_start(struct encode *, const char *path, const char *with);
int encode_into(struct encode *, int file);
int encode_options(struct encode *, const char *with);
int encode_end(struct encode *, int error, uint64_t *size); /* error: nothing is to be kept */

#endif
