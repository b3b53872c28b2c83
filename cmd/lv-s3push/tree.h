/*
 * tree: a folder and all below it, followed by inotify: watched first, then scanned, so that
 * nothing falls between; scanned again when the kernel had to drop events.
 *
 * Shape:  tree_new, tree_scan (all that is there), then tree_read whenever tree_fd is readable.
 * Told:   file: a regular file is whole: closed by its writer, moved here, linked here, or found by
 *         a scan; gone: one was deleted or moved away; folder_gone: all below it; scanned: a scan
 *         is over, so what it did not tell of is not there.
 * Never:  names that begin with a dot or hold control characters, links, what is no regular file.
 * Errors: -ENOSPC: no more watches are allowed (fs.inotify.max_user_watches); other -errno.
 */
#ifndef LV_S3PUSH_TREE_H
#define LV_S3PUSH_TREE_H

#include <stdbool.h>
#include <sys/stat.h>

struct tree_told {
	void (*file)(void *ctx, const char *path, const struct stat *);
	void (*gone)(void *ctx, const char *path);
	void (*folder_gone)(void *ctx, const char *path);
	void (*scanned)(void *ctx, bool again); /* again: events were lost */
	void *ctx;
};

struct tree;
int tree_new(struct tree **, int root, bool watch, const struct tree_told *);
int tree_scan(struct tree *);
int tree_fd(const struct tree *);
int tree_read(struct tree *);
void tree_free(struct tree **);

#endif
