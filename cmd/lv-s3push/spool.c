#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "buf.h"
#include "fdio.h"
#include "file.h"

#define JOURNAL "pushed"
#define JOURNAL_NEW ".pushed.tmp"
#define LINK_NEW ".link.tmp"
#define DEPTH_MAX 33
#define LOCK_MS 2000
#define LOCK_STEP_MS 50

struct spool {
	int root, dir, pending, journal;
};

static int
open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* One that was killed a moment ago may still have it. */
static int
lock(int fd)
{
	int left = LOCK_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if ((left -= LOCK_STEP_MS) < 0)
			return -EBUSY;
		usleep(LOCK_STEP_MS * 1000);
	}
	return 0;
}

/* The first to use a spool says whose it is. */
static int
check_owner(struct spool *s, const char *destination)
{
	struct buf b = { 0 };
	size_t n = strlen(destination);
	int r = file_get(s->dir, "for", PATH_MAX, &b);

	if (r == -ENOENT)
		r = file_put(s->dir, "for", true, destination, n);
	else if (!r && (buf_len(&b) != n || memcmp(buf_data(&b), destination, n)))
		r = -EREMOTE;
	buf_free(&b);
	return r;
}

/* A folder in one that may have to be made as well. */
static int
make_folder(int at, const char *folder, const char *name)
{
	int dir, fd;

	if (mkdirat(at, folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	if ((dir = open_folder(at, folder)) < 0)
		return dir;
	fd = mkdirat(dir, name, 0700) < 0 && errno != EEXIST ? -errno : open_folder(dir, name);
	close(dir);
	return fd;
}

void
spool_idle(int at, const char *folder, void (*found)(const char *name))
{
	int fd = open_folder(at, folder), one;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (*e->d_name == '.' || (one = open_folder(fd, e->d_name)) < 0)
			continue;
		if (flock(one, LOCK_EX | LOCK_NB) == 0)
			found(e->d_name);
		close(one);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

int
spool_open(struct spool **out, int at, int root, const char *folder, const char *name, const char *destination)
{
	struct spool *s = calloc(1, sizeof(*s));
	struct stat a, b;
	int r;

	if (!s)
		return -ENOMEM;
	s->root = root;
	s->dir = s->pending = s->journal = -1;
	if ((s->dir = r = make_folder(at, folder, name)) < 0)
		;
	else if ((r = lock(s->dir)) < 0)
		;
	else if (fstat(root, &a) < 0 || fstat(s->dir, &b) < 0)
		r = -errno;
	else if (a.st_dev != b.st_dev)
		r = -EXDEV;
	else if ((r = check_owner(s, destination)) >= 0 && (r = file_folder(s->dir, "pending")) >= 0 &&
		(s->pending = r = open_folder(s->dir, "pending")) >= 0) {
		unlinkat(s->dir, LINK_NEW, 0);
		r = 0;
	}
	if (r < 0)
		spool_close(&s);
	*out = s;
	return r;
}

/* A line that a cut off write left unfinished is skipped. */
static void
read_line(char *line, spool_pushed_fn *fn, void *ctx)
{
	int64_t size, mtime;
	int at = 0;

	if (line[0] == '-' && line[1] == ' ')
		fn(ctx, line + 2, -1, 0);
	else if (sscanf(line, "%" SCNd64 " %" SCNd64 " %n", &size, &mtime, &at) == 2 && at && size >= 0)
		fn(ctx, line + at, size, mtime);
}

int
spool_pushed(struct spool *s, spool_pushed_fn *fn, void *ctx)
{
	int fd = openat(s->dir, JOURNAL, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!(f = fdopen(fd, "r"))) {
		close(fd);
		return -ENOMEM;
	}
	while ((n = getline(&line, &cap, f)) > 0)
		if (line[n - 1] == '\n') {
			line[n - 1] = '\0';
			read_line(line, fn, ctx);
		}
	free(line);
	fclose(f);
	return 0;
}

static int
walk(struct spool *s, int at, const char *name, const char *path, spool_pending_fn *fn, void *ctx, int depth)
{
	int fd = open_folder(at, name);
	char below[PATH_MAX];
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (fd < 0)
		return fd;
	if (!(dir = fdopendir(fd))) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "", e->d_name) >= PATH_MAX ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			walk(s, fd, e->d_name, below, fn, ctx, depth + 1);
			unlinkat(fd, e->d_name, AT_REMOVEDIR); /* when it is empty */
		} else if (S_ISREG(st.st_mode)) {
			fn(ctx, below, &st);
		}
	}
	closedir(dir);
	return 0;
}

int
spool_pending(struct spool *s, spool_pending_fn *fn, void *ctx)
{
	return walk(s, s->pending, ".", "", fn, ctx, 0);
}

int
spool_begin(struct spool *s)
{
	if (s->journal >= 0)
		close(s->journal);
	s->journal = openat(s->dir, JOURNAL_NEW,
		O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return s->journal < 0 ? -errno : 0;
}

int
spool_end(struct spool *s)
{
	return renameat(s->dir, JOURNAL_NEW, s->dir, JOURNAL) < 0 ? -errno : 0;
}

static int
add_line(struct spool *s, const char *line, int n)
{
	return n < 0 || n >= PATH_MAX + 64 ? -ENAMETOOLONG : fdio_write_all(s->journal, line, (size_t)n);
}

int
spool_note(struct spool *s, const char *path, int64_t size, int64_t mtime_ns)
{
	char line[PATH_MAX + 64];

	return add_line(s, line,
		snprintf(line, sizeof(line), "%" PRId64 " %" PRId64 " %s\n", size, mtime_ns, path));
}

int
spool_forget(struct spool *s, const char *path)
{
	char line[PATH_MAX + 64];

	return add_line(s, line, snprintf(line, sizeof(line), "- %s\n", path));
}

static int
link_to(struct spool *s, const char *path, int dir, const char *as)
{
	return linkat(s->root, path, dir, as, 0) < 0 ? -errno : 0;
}

int
spool_link(struct spool *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int r = link_to(s, path, s->pending, path);

	if (r == -ENOENT && slash) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if ((r = file_folder(s->pending, folder)) >= 0)
			r = link_to(s, path, s->pending, path);
	}
	if (r == -EEXIST) { /* of an older version */
		unlinkat(s->dir, LINK_NEW, 0);
		if (!(r = link_to(s, path, s->dir, LINK_NEW)) &&
			renameat(s->dir, LINK_NEW, s->pending, path) < 0)
			r = -errno;
		unlinkat(s->dir, LINK_NEW, 0); /* rename leaves it when both are one file */
	}
	return r;
}

void
spool_unlink(struct spool *s, const char *path)
{
	unlinkat(s->pending, path, 0);
}

void
spool_folder_gone(struct spool *s, const char *path)
{
	unlinkat(s->pending, path, AT_REMOVEDIR); /* when it is empty; else at the next start */
}

int
spool_file(struct spool *s, const char *path)
{
	int fd = openat(s->pending, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void
spool_close(struct spool **sp)
{
	struct spool *s = *sp;

	if (!s)
		return;
	if (s->journal >= 0)
		close(s->journal);
	if (s->pending >= 0)
		close(s->pending);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
	*sp = NULL;
}
