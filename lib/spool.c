#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int
spool_open(struct spool *s, int dir)
{
	memset(s, 0, sizeof(*s));
	s->fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0)
		s->fd = memfd_create("spool", MFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

/* One slab more in the ring, which begins at its first place again. */
static int
grow(struct spool *s)
{
	uint32_t i, n = s->slabs, *place = malloc((n + 1) * sizeof(*place));

	if (!place)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		place[(s->first + i) % (n + 1)] = s->place[(s->first + i) % n];
	place[(s->first + n) % (n + 1)] = n;
	free(s->place);
	s->place = place;
	s->slabs = n + 1;
	return 0;
}

/* Where a position is in the file, and how many bytes lie together there. */
static off_t
place_of(const struct spool *s, uint64_t pos, size_t *n)
{
	size_t off = pos % SPOOL_SLAB;

	if (*n > SPOOL_SLAB - off)
		*n = SPOOL_SLAB - off;
	return (off_t)s->place[pos / SPOOL_SLAB % s->slabs] * SPOOL_SLAB + (off_t)off;
}

int
spool_write(void *spool, uint64_t pos, const void *data, size_t n)
{
	struct spool *s = spool;
	const char *p = data;
	size_t part;
	off_t at;
	ssize_t r;

	if (!s->kept)
		s->first = pos / SPOOL_SLAB;
	for (; n; p += r, pos += (uint64_t)r, n -= (size_t)r) {
		for (; pos / SPOOL_SLAB >= s->first + s->kept; s->kept++)
			if (s->kept == s->slabs && (r = grow(s)) < 0)
				return (int)r;
		part = n;
		at = place_of(s, pos, &part);
		r = pwrite(s->fd, p, part, at);
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
	}
	return 0;
}

int
spool_read(void *spool, uint64_t pos, void *data, size_t n)
{
	struct spool *s = spool;
	char *p = data;
	size_t part;
	off_t at;
	ssize_t r;

	for (; n; p += r, pos += (uint64_t)r, n -= (size_t)r) {
		if (pos / SPOOL_SLAB < s->first || pos / SPOOL_SLAB >= s->first + s->kept)
			return -EIO;
		part = n;
		at = place_of(s, pos, &part);
		if ((r = pread(s->fd, p, part, at)) <= 0)
			return r < 0 ? -errno : -EIO;
	}
	return 0;
}

void
spool_forget(void *spool, uint64_t before)
{
	struct spool *s = spool;

	for (; s->kept && s->first < before / SPOOL_SLAB; s->first++)
		s->kept--;
}

void
spool_close(struct spool *s)
{
	free(s->place);
	close(s->fd);
}
