/*
 * spool: bytes at positions that only grow, in a file without a name that forgets its beginning.
 * They cost disk cache, which the kernel may take, and no memory of the process; what is forgotten
 * within seconds is never written to the disk.
 *
 * Shape:  spool_open, then the three functions, which fit struct taglog_store.
 * Errors: 0 or -errno; a read that comes back short is -EIO.
 */
#ifndef LV_SPOOL_H
#define LV_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct spool {
	int fd;
	uint64_t forgotten;
};

int spool_open(struct spool *, int dir); /* in that folder, or in memory where that cannot be */
int spool_write(void *spool, uint64_t pos, const void *, size_t);
int spool_read(void *spool, uint64_t pos, void *, size_t);
void spool_forget(void *spool, uint64_t before);

#endif
