/*
 * kinds: what a file is by the end of its name: how it is labelled in the bucket, and when it is
 * put.  What no kind knows is not pushed: a folder of streams may hold keys and logs as well.
 */
#ifndef LV_S3PUSH_KINDS_H
#define LV_S3PUSH_KINDS_H

#include <stdbool.h>
#include <stddef.h>

enum kind_role {
	KIND_MEDIA,    /* as soon as it is there */
	KIND_LIST,     /* a playlist: after what it names */
	KIND_MANIFEST, /* a DASH manifest: after what was there before it */
};

struct kind {
	const char *suffix, *type, *cache;
	enum kind_role role;
	int settle_ms; /* one that grows: put at most so often */
};

const struct kind *kind_of(const char *path); /* NULL: not pushed */
bool kind_excluded(const char *path);          /* by --exclude, and low-latency names */
bool kind_kept(const char *path);              /* an archive: never deleted, and pushed last */

/* "SUFFIX=VALUE", borrowed; -EINVAL.  A new suffix is a new kind of media. */
int kind_set_type(const char *text);
int kind_set_cache(const char *text);
void kind_exclude(char **patterns); /* NULL-ended, borrowed */
void kind_keep(char **patterns);    /* in place of archive/ */

#endif
