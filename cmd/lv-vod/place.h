/*
 * place: the files of an archive, in a folder of this machine or below a prefix of a bucket, which
 * is a folder too: s3://BUCKET/PREFIX.
 *
 * Shape:  whole texts by place_get and place_put; segments by place_open, place_read as often as
 *         needed, place_close.
 * Errors: -errno, for a bucket those of store; -EBADMSG for what is no plain file.
 */
#ifndef LV_VOD_PLACE_H
#define LV_VOD_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "archive.h"
#include "buf.h"

char *place_path(const char *folder, const char *name);
int place_get(const char *folder, const char *name, size_t max, struct buf *);
int place_put(const char *folder, const char *name, const void *, size_t);

/* What lies in a folder, in the order of versions; folders end in a slash. */
struct place_names {
	char **name;
	size_t count, room;
};
int place_list(const char *folder, struct place_names *);
void place_names_free(struct place_names *);

struct place_file { /* one of these: */
	int fd;
	char *url; /* in a bucket */
	const struct buf *memory;
	size_t step;
	uint64_t size;
};
/* whole: all of it will be read, from front to back. */
int place_open(struct place_file *, const struct segment *, bool whole);
/* The bytes that were there, fewer at the end of the file. */
ssize_t place_read(struct place_file *, void *, size_t, uint64_t at);
void place_close(struct place_file *);

#endif
