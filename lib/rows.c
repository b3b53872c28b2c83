#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 32768 /* bytes in memory; the newest records stay there until more come */

struct rows {
	int fd;
	size_t record, fit; /* fit: records that memory holds */
	uint64_t count, stored; /* stored: those in the file */
	uint64_t next, loaded;  /* reading: the next one, and the first of those in memory */
	size_t held; /* how many records are in memory */
	uint8_t room[ROOM];
};

static int
file_without_name(const char *folder)
{
	char path[PATH_MAX];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	if (snprintf(path, sizeof(path), "%s/.lv-rows.XXXXXX", folder) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if ((fd = mkostemp(path, O_CLOEXEC)) < 0)
		return -errno;
	unlink(path);
	return fd;
}

int
rows_new(struct rows **out, const char *folder, size_t record)
{
	struct rows *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if ((r = file_without_name(folder)) < 0) {
		free(s);
		return r;
	}
	s->fd = r;
	s->record = record;
	s->fit = ROOM / record;
	*out = s;
	return 0;
}

static int
store(struct rows *s)
{
	const uint8_t *p = s->room;
	size_t n = s->held * s->record;
	off_t at = (off_t)(s->stored * s->record);
	ssize_t w;

	while (n) {
		if ((w = pwrite(s->fd, p, n, at)) < 0 && errno != EINTR)
			return -errno;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
			at += w;
		}
	}
	s->stored += s->held;
	s->held = 0;
	return 0;
}

int
rows_add(struct rows *s, const void *record)
{
	int r;

	if (s->held == s->fit && (r = store(s)) < 0)
		return r;
	memcpy(s->room + s->held++ * s->record, record, s->record);
	s->count++;
	return 0;
}

void *
rows_last(struct rows *s)
{
	return s->held ? s->room + (s->held - 1) * s->record : NULL;
}

uint64_t
rows_count(const struct rows *s)
{
	return s->count;
}

void
rows_rewind(struct rows *s)
{
	s->next = 0;
}

static int
load(struct rows *s)
{
	uint64_t left = s->count - s->next;
	size_t n = (left < s->fit ? (size_t)left : s->fit) * s->record, have = 0;
	off_t at = (off_t)(s->next * s->record);
	ssize_t r;

	while (have < n) {
		if ((r = pread(s->fd, s->room + have, n - have, at + (off_t)have)) == 0)
			return -EIO; /* we wrote it: somebody has cut it off */
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0)
			have += (size_t)r;
	}
	s->loaded = s->next;
	s->held = n / s->record;
	return 0;
}

int
rows_next(struct rows *s, const void **record)
{
	int r;

	if (s->next == s->count)
		return 0;
	if (s->stored != s->count) { /* the first reading: everything goes to the file */
		s->loaded = s->stored;
		if (s->stored && (r = store(s)) < 0)
			return r;
		if (!s->stored) /* it all fits */
			s->stored = s->count;
	}
	if ((s->next < s->loaded || s->next >= s->loaded + s->held) && (r = load(s)) < 0)
		return r;
	*record = s->room + (s->next++ - s->loaded) * s->record;
	return 1;
}

void
rows_free(struct rows **s)
{
	if (!*s)
		return;
	close((*s)->fd);
	free(*s);
	*s = NULL;
}
