/*
 * mirror: what is in the bucket already, page by page, before --once puts what is not.
 *
 * found is told of each object; done of the end: NULL, or the fault that is the reason.
 */
#ifndef LV_S3PUSH_MIRROR_H
#define LV_S3PUSH_MIRROR_H

#include "s3.h"

#define MIRROR_TRIES 6 /* while the store is away, a second apart at first, then more */

struct mirror {
	struct s3 *s3;
	struct ev_loop *loop;
	const char *prefix;
	void (*found)(void *ctx, const char *path, const struct s3_entry *);
	void (*done)(void *ctx, const struct s3_fault *);
	void *ctx;
	char *below, *from; /* its own */
	int tries;
	ev_timer again;
};

int mirror_start(struct mirror *);

#endif
