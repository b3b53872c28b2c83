/*
 * output: a recording written from front to back: to a file that appears whole, to a pipe, or to an
 * object in a bucket that appears whole.
 *
 * Errors: -errno; -EBUSY when another process writes the same file, -ESTALE when a segment changed
 *         since its table was read, -ECANCELED after a signal, those of store.  A file that had the name is
 *         untouched until the new one is whole and on the disk.
 */
#ifndef LV_VOD_OUTPUT_H
#define LV_VOD_OUTPUT_H

#include <limits.h>

#include "encode.h"
#include "recording.h"

typedef void output_progress_fn(uint64_t done, uint64_t size);
int output_file(struct recording *, const char *path, output_progress_fn *);
int output_pipe(struct recording *, int fd, output_progress_fn *);
int output_bucket(struct recording *, const char *url, output_progress_fn *, uint64_t *kept); /* kept: as store_end */
/* What the encoder, started for NULL, makes of it; when that has ended, output_bucket_end, which keeps it if error is 0. */
int output_encoded(struct recording *, const char *url, struct encode *, output_progress_fn *);
int output_bucket_end(int error, uint64_t *kept);

/* The temporary file beside path, ours alone: who is killed leaves it to the next one. */
int output_temp(const char *path, char temp[PATH_MAX]);
int output_settle(int fd, const char *temp, const char *path, int error); /* it gets its name, or leaves */

#endif
