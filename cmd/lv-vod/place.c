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
#include "store.h"

#define TABLES 16384   /* bytes asked for at a time where the tables of a segment are wanted */
#define WHOLE (2 << 20) /* and where all of it is */
#define AHEAD 3 /* segments */

char *
place_path(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

int
place_get(const char *folder, const char *name, size_t max, struct buf *b)
{
	int dir, r;
	char *url;

	if (store_is(folder)) {
		if (!(url = place_path(folder, name)))
			return -ENOMEM;
		r = store_get(url, max, b);
		free(url);
		return r;
	}
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = file_get(dir, name, max, b);
	close(dir);
	return r;
}

int
place_put(const char *folder, const char *name, const void *data, size_t n)
{
	int dir, r;
	char *url;

	if (store_is(folder)) {
		if (!(url = place_path(folder, name)))
			return -ENOMEM;
		r = store_put(url, data, n);
		free(url);
		return r;
	}
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
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

static int
list_bucket(const char *folder, struct place_names *out)
{
	struct buf b = { 0 };
	int r = store_list(folder, &b);
	const char *name = (const char *)buf_data(&b), *end = name + buf_len(&b);

	for (; !r && name < end; name += strlen(name) + 1)
		r = add_name(out, strdup(name));
	buf_free(&b);
	return r ? r : out->count ? 0 : -ENOENT;
}

static int
list_folder(const char *folder, struct place_names *out)
{
	struct dirent *d;
	struct stat st;
	char *name;
	DIR *dir;
	int r = 0;

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
	return r;
}

int
place_list(const char *folder, struct place_names *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	r = store_is(folder) ? list_bucket(folder, out) : list_folder(folder, out);
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

static int
open_object(struct place_file *f, const struct segment *s, bool whole)
{
	char *url;
	int i, r;

	f->step = whole ? WHOLE : TABLES;
	for (i = 0; i < AHEAD; i++, s++) {
		if (s->gap)
			continue;
		if ((url = place_path(s->folder, s->file)))
			store_ahead(url, f->step);
		free(url);
		if (s->last)
			break;
	}
	if ((r = store_size(f->url, f->step, &f->size)) < 0)
		place_close(f);
	return r;
}

int
place_open(struct place_file *f, const struct segment *s, bool whole)
{
	char *path;
	struct stat st;

	*f = (struct place_file){ .fd = -1, .memory = s->encoded };
	if (f->memory) {
		f->size = buf_len(f->memory);
		return 0;
	}
	path = place_path(s->folder, s->file);
	f->url = store_is(s->folder) ? path : NULL;
	if (!path)
		return -ENOMEM;
	if (f->url)
		return open_object(f, s, whole);
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

	if (f->memory) {
		n = at >= f->size ? 0 : n < f->size - at ? n : (size_t)(f->size - at);
		if (n)
			memcpy(p, buf_data(f->memory) + at, n);
		return (ssize_t)n;
	}
	if (f->url)
		return store_read(f->url, f->step, p, n, at);
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
	free(f->url);
	if (f->fd >= 0)
		close(f->fd);
}
