#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

char *
place_path(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

int
place_get(const char *folder, const char *name, size_t max, struct buf *b)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (dir < 0)
		return -errno;
	r = file_get(dir, name, max, b);
	close(dir);
	return r;
}

int
place_put(const char *folder, const char *name, const void *data, size_t n)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (dir < 0)
		return -errno;
	r = file_put(dir, name, true, data, n);
	close(dir);
	return r;
}

static int
add_name(struct place_names *n, char *name)
{
	char **more;
	size_t room;

	if (!name)
		return -ENOMEM;
	if (n->count == n->room) {
		room = n->room ? 2 * n->room : 64;
		if (!(more = realloc(n->name, room * sizeof(*more)))) {
			free(name);
			return -ENOMEM;
		}
		n->name = more;
		n->room = room;
	}
	n->name[n->count++] = name;
	return 0;
}

static int
by_version(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int
place_list(const char *folder, struct place_names *out)
{
	struct dirent *d;
	struct stat st;
	char *name;
	DIR *dir;
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (!(dir = opendir(folder)))
		return -errno;
	while (!r && (d = readdir(dir))) {
		if (*d->d_name == '.' || fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
			continue;
		if (asprintf(&name, "%s%s", d->d_name, S_ISDIR(st.st_mode) ? "/" : "") < 0)
			name = NULL;
		r = add_name(out, name);
	}
	closedir(dir);
	if (out->count)
		qsort(out->name, out->count, sizeof(*out->name), by_version);
	if (r < 0)
		place_names_free(out);
	return r;
}

void
place_names_free(struct place_names *n)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
	memset(n, 0, sizeof(*n));
}

int
place_open(struct place_file *f, const struct segment *s, bool whole)
{
	char *path = place_path(s->folder, s->file);
	struct stat st;

	(void)whole;
	if (!path)
		return -ENOMEM;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	free(path);
	if (f->fd < 0)
		return -errno;
	if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(f->fd);
		return -EBADMSG;
	}
	f->size = (uint64_t)st.st_size;
	return 0;
}

ssize_t
place_read(struct place_file *f, void *p, size_t n, uint64_t at)
{
	size_t have = 0;
	ssize_t r;

	while (have < n) {
		if ((r = pread(f->fd, (char *)p + have, n - have, (off_t)(at + have))) == 0)
			break;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0)
			have += (size_t)r;
	}
	return (ssize_t)have;
}

void
place_close(struct place_file *f)
{
	close(f->fd);
}
