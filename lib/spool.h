/*
 * spool: bytes at positions that only grow, in a file without a name that forgets its beginning.
 * They cost disk cache, which the kernel may take, and no memory of the process.  The file is in
 * slabs, and those that are forgotten are written to again: the cache that holds them is there
 * already, and the file is as long as the most that was kept at once.
 *
 * Shape:  spool_open, then the three functions, which fit struct taglog_store; spool_close.
 * Errors: 0 or -errno; a read that comes back short, or of what was forgotten, is -EIO.
 */
#ifndef LV_SPOOL_H
#define LV_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_SLAB (64 << 10)

struct spool {
	int fd;
	uint64_t first;  /* of the slabs that are kept; what lies before is forgotten */
	uint32_t *place; /* where in the file slab n is, at n % slabs; a ring of all that the file has */
	uint32_t slabs, kept;
};

int spool_open(struct spool *, int dir); /* in that folder, or in memory where that cannot be */
int spool_write(void *spool, uint64_t pos, const void *, size_t);
int spool_read(void *spool, uint64_t pos, void *, size_t);
void spool_forget(void *spool, uint64_t before);
void spool_close(struct spool *);

#endif
