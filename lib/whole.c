#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fdio.h"

static struct whole_id
id_of(const struct stat *st)
{
	return (struct whole_id){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
}

/*
 * In the folder of systemd's credentials, which nobody else enters, the bits of the group are but the
 * mask of the ACL that lets us read.
 */
bool
whole_private(const char *path, const struct stat *st)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	size_t n = folder ? strlen(folder) : 0;
	bool credential = n && !strncmp(path, folder, n) && path[n] == '/' && !strchr(path + n + 1, '/');

	return !(st->st_mode & (credential ? 007 : 077));
}

int
whole_read(const char *path, size_t max, bool secret, struct buf *to, struct whole_id *id)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint8_t *room;
	struct stat st;
	ssize_t n;
	int r = 0;

	if (fd < 0) {
		r = -errno;
		if (id && stat(path, &st) == 0)
			*id = id_of(&st);
		return r;
	}
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (id)
		*id = id_of(&st);
	if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if (secret && (!whole_private(path, &st) || (st.st_uid != geteuid() && st.st_uid)))
		r = -EPERM;
	while (!r) {
		if (buf_len(to) > max)
			r = -EMSGSIZE;
		else if (!(room = buf_reserve(to, 65536)))
			r = to->error;
		else if ((n = read(fd, room, 65536)) > 0)
			buf_grew(to, (size_t)n);
		else if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n == 0)
			break;
	}
	close(fd);
	return r;
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

int
whole_secret(const char *path, size_t max, struct buf *to)
{
	int r = whole_read(path, max, true, to, NULL);
	const char *data = (const char *)buf_data(to);
	size_t n;

	for (n = 0; n < buf_len(to) && data[n] != '\r' && data[n] != '\n'; n++)
		;
	to->end = to->start + n;
	return r < 0 || n ? r : -ENODATA;
}

bool
whole_changed(const char *path, const struct whole_id *was)
{
	struct whole_id now = { 0 };
	struct stat st;

	if (stat(path, &st) == 0)
		now = id_of(&st);
	return now.dev != was->dev || now.ino != was->ino || now.size != was->size ||
		!same_time(&now.mtime, &was->mtime) || !same_time(&now.ctime, &was->ctime);
}

/* The rename itself is on the disk only when its folder is. */
static int
folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd, r;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -errno;
	r = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return r;
}

/* The temporary name is hidden and has our number: a writer that died leaves nothing in the way. */
static int
temp_name(char tmp[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;
	int n = snprintf(tmp, PATH_MAX, "%.*s.%s.%d.tmp", dir, path, path + dir, (int)getpid());

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int
whole_write(const char *path, const void *data, size_t n)
{
	char tmp[PATH_MAX];
	struct stat st;
	int fd, r;

	if ((r = temp_name(tmp, path)) < 0)
		return r;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* nobody's /dev/null becomes a file */
		return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
	unlink(tmp);
	if ((fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return -errno;
	if (stat(path, &st) == 0 &&
		(fchmod(fd, st.st_mode & 0700) < 0 ||
			(geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)))
		r = -errno;
	if (!r)
		r = fdio_write_all(fd, data, n);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return folder_sync(path);
}

int
whole_lock(const char *path, int wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	char name[PATH_MAX];
	int fd;

	if (snprintf(name, sizeof(name), "%s.lock", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	if ((fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600)) < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int e = errno;

		if ((e != EWOULDBLOCK && e != EINTR) || clock_mono_ms() >= until) {
			close(fd);
			return e == EWOULDBLOCK || e == EINTR ? -EBUSY : -e;
		}
		poll(NULL, 0, 20); /* flock has no time-out of its own */
	}
	return fd;
}
