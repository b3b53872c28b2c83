/*
 * whole: small files that are read whole and replaced whole, so that nobody ever sees a half.
 *
 * A write goes to a temporary name in the same folder, is flushed to the disk and renamed.
 * Writers that read, change and write hold whole_lock meanwhile; the lock lies on a file beside
 * it (PATH.lock), because the file itself is another one after each write.
 */
#ifndef LV_WHOLE_H
#define LV_WHOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "buf.h"

struct whole_id { /* which version of a file was read; zero is "none" */
	uint64_t dev, ino;
	int64_t size;
	struct timespec mtime, ctime; /* ctime: another mode or owner counts too */
};

/*
 * id tells what was looked at, also when it could not be read.
 * -EMSGSIZE over max bytes; -EPERM when secret and somebody else may read or write the file.
 */
bool whole_private(const char *path, const struct stat *); /* nobody else may read or write it */
int whole_read(const char *path, size_t max, bool secret, struct buf *, struct whole_id *);
int whole_secret(const char *path, size_t max, struct buf *to); /* its first line; -ENODATA: empty */
bool whole_changed(const char *path, const struct whole_id *);

/*
 * An old file keeps its owner and its mode without the bits for others; a new one has 0600.
 * -EEXIST: a device, pipe or socket is there, and stays.
 */
int whole_write(const char *path, const void *, size_t);

int whole_lock(const char *path, int wait_ms); /* a descriptor to close; -EBUSY after wait_ms */

#endif
