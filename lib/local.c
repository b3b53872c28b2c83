#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The folder of a path, opened, and the last part of the path. */
static int
folder_of(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	int fd;

	*name = slash ? slash + 1 : path;
	if (!**name || strlen(*name) >= LOCAL_NAME)
		return **name ? -ENAMETOOLONG : -EINVAL;
	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") >=
		(int)sizeof(dir))
		return -ENAMETOOLONG;
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
address(struct sockaddr_un *sun, int folder, const char *name)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", folder, name) <
			(int)sizeof(sun->sun_path)
		? 0 : -ENAMETOOLONG;
}

int
local_listen(struct local *l, const char *path, int type, mode_t mode, int backlog)
{
	char temp[LOCAL_NAME + 16];
	struct sockaddr_un sun;
	const char *name;
	mode_t mask;
	int r;

	*l = (struct local){ .fd = -1 };
	if ((l->folder = folder_of(path, &name)) < 0)
		return l->folder;
	memcpy(l->name, name, strlen(name) + 1);
	snprintf(temp, sizeof(temp), ".%s.%d", name, (int)getpid());
	if ((r = address(&sun, l->folder, temp)) == 0 &&
		(l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		r = -errno;
	mask = umask(~mode & 0777);
	if (r == 0 && (bind(l->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(l->fd, backlog) < 0 ||
			fstatat(l->folder, temp, &l->id, 0) < 0 ||
			renameat(l->folder, temp, l->folder, name) < 0))
		r = -errno;
	umask(mask);
	if (r == 0)
		return 0;
	unlinkat(l->folder, temp, 0);
	if (l->fd >= 0)
		close(l->fd);
	close(l->folder);
	l->fd = l->folder = -1;
	return r;
}

void
local_close(struct local *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	if (!fstatat(l->folder, l->name, &st, 0) && st.st_ino == l->id.st_ino && st.st_dev == l->id.st_dev)
		unlinkat(l->folder, l->name, 0);
	close(l->fd);
	close(l->folder);
	l->fd = l->folder = -1;
}

int
local_connect(const char *path, int type)
{
	struct sockaddr_un sun;
	const char *name;
	int folder, fd = -1, r;

	if ((folder = folder_of(path, &name)) < 0)
		return folder;
	if ((r = address(&sun, folder, name)) == 0 &&
		(fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		r = -errno;
	if (r == 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		r = -errno;
	close(folder);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}
