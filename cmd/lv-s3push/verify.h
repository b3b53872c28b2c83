/*
 * verify: is all that the tree holds in the bucket, the same bytes under the same labels?
 *
 * Shape:  verify_start; it reports by events and ends in one call of done, from the loop.
 * How:    the bucket is listed, each file asked for by HEAD; its MD5 is compared with an ETag that is
 *         one, and what has another ETag (it came in parts, or is encrypted there) is read and compared.
 * Errors: done gives the fault that ended it, or NULL; while the store is away it is asked again,
 *         up to VERIFY_TRIES times in a row.
 */
#ifndef LV_S3PUSH_VERIFY_H
#define LV_S3PUSH_VERIFY_H

#include <ev.h>
#include <stdbool.h>

#include "objects.h"
#include "s3.h"

#define VERIFY_TRIES 8

struct verify_config {
	struct s3 *s3;
	struct ev_loop *loop;
	int root, jobs;
	const char *dest, *prefix; /* as push_config */
	void (*same)(void *ctx, const char *path, int64_t size); /* told of each that needs nothing */
	void (*done)(void *ctx, const struct s3_fault *);
	void *ctx;
};

struct verify_figures {
	int64_t files, bytes, same, differing, extra;
};

struct verify;
int verify_start(struct verify **, const struct verify_config *); /* borrows its strings; -errno of the tree */
const struct verify_figures *verify_figures(const struct verify *);
void verify_free(struct verify **); /* after http_free, or when done came */

#endif
