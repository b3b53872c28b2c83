#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fdio.h"

static int
temp_name(char temp[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	int at = slash ? (int)(slash + 1 - path) : 0;
	int n = snprintf(temp, PATH_MAX, "%.*s.%s.tmp", at, path, path + at);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int
settle(int dir, const char *temp, const char *path, bool replace)
{
	int r = renameat2(dir, temp, dir, path, replace ? 0 : RENAME_NOREPLACE);

	if (r < 0 && errno == EINVAL && !replace) /* a file system without the flag */
		r = faccessat(dir, path, F_OK, 0) == 0 ? (errno = EEXIST, -1) :
							 renameat(dir, temp, dir, path);
	return r < 0 ? -errno : 0;
}

int
file_put(int dir, const char *path, bool replace, const void *p, size_t n)
{
	char temp[PATH_MAX];
	struct stat st;
	int fd, r;

	if ((r = temp_name(temp, path)) < 0)
		return r;
	/* Nobody's /dev/null becomes a file; of a folder rename says so itself. */
	if (replace && fstatat(dir, path, &st, 0) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EEXIST;
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return -errno;
	r = fdio_write_all(fd, p, n);
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r)
		r = settle(dir, temp, path, replace);
	if (r < 0)
		unlinkat(dir, temp, 0);
	return r;
}

int
file_append(int dir, const char *path, const void *p, size_t n)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : fdio_write_all(fd, p, n);
	if (r < 0 && ftruncate(fd, st.st_size) < 0)
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	return r;
}

int
file_get(int dir, const char *path, size_t max, struct buf *to)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = 0;
	uint8_t *room;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (buf_len(to) > max) {
			r = -EMSGSIZE;
			break;
		}
		if (!(room = buf_reserve(to, 65536))) {
			r = to->error;
			break;
		}
		if ((n = read(fd, room, 65536)) > 0) {
			buf_grew(to, (size_t)n);
		} else if (n == 0 || errno != EINTR) {
			r = n < 0 ? -errno : 0;
			break;
		}
	}
	close(fd);
	return r;
}

int
file_link(int from, const char *path, int to, const char *as, bool *copied)
{
	struct buf b = { 0 };
	int r;

	*copied = false;
	if (linkat(from, path, to, as, 0) == 0 || errno == EEXIST)
		return 0;
	if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
		return -errno;
	*copied = true;
	r = file_get(from, path, SIZE_MAX - 1, &b);
	if (!r)
		r = file_put(to, as, true, buf_data(&b), buf_len(&b));
	buf_free(&b);
	return r;
}

int
file_folder(int dir, const char *path)
{
	char part[PATH_MAX];
	struct stat st;
	size_t n = strlen(path), i;

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	for (i = 1; i <= n; i++) {
		char c = part[i];

		if (c && c != '/')
			continue;
		part[i] = '\0';
		if (mkdirat(dir, part, 0777) < 0 && errno != EEXIST) {
			int e = errno;

			if (fstatat(dir, part, &st, 0) < 0 || !S_ISDIR(st.st_mode))
				return -e;
		}
		part[i] = c;
	}
	return fstatat(dir, path, &st, 0) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}
