#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define FORGET_MIN (64 << 10) /* less is not worth a call */

int
spool_open(struct spool *s, int dir)
{
	s->forgotten = 0;
	s->fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0)
		s->fd = memfd_create("spool", MFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

int
spool_write(void *spool, uint64_t pos, const void *data, size_t n)
{
	struct spool *s = spool;
	const char *p = data;
	ssize_t r;

	for (; n; p += r, pos += (uint64_t)r, n -= (size_t)r)
		if ((r = pwrite(s->fd, p, n, (off_t)pos)) <= 0)
			return r < 0 ? -errno : -EIO;
	return 0;
}

int
spool_read(void *spool, uint64_t pos, void *data, size_t n)
{
	struct spool *s = spool;
	char *p = data;
	ssize_t r;

	for (; n; p += r, pos += (uint64_t)r, n -= (size_t)r)
		if ((r = pread(s->fd, p, n, (off_t)pos)) <= 0)
			return r < 0 ? -errno : -EIO;
	return 0;
}

void
spool_forget(void *spool, uint64_t before)
{
	struct spool *s = spool;

	before -= before % PAGE;
	if (before < s->forgotten + FORGET_MIN)
		return;
	/* Where holes cannot be made the file grows until the broadcast ends. */
	fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)s->forgotten, (off_t)(before - s->forgotten));
	s->forgotten = before;
}
