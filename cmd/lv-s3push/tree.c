#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define DEPTH_MAX 32
#define WATCHED                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR |       \
		IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct tree {
	int root, fd;
	struct tree_told told;
	char **folders; /* by watch descriptor; "" is the root */
	size_t nfolders;
};

int
tree_new(struct tree **out, int root, bool watch, const struct tree_told *told)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->root = root;
	t->told = *told;
	t->fd = -1;
	if (watch && (t->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0) {
		int r = -errno;

		free(t);
		return r;
	}
	*out = t;
	return 0;
}

int
tree_fd(const struct tree *t)
{
	return t->fd;
}

static bool
fit(const char *name)
{
	if (*name == '.')
		return false;
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == 127)
			return false;
	return true;
}

static int
join(char path[PATH_MAX], const char *folder, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s%s%s", folder, *folder ? "/" : "", name);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The folder is named through its descriptor: nobody can put a link in its place meanwhile. */
static int
watch(struct tree *t, int dir, const char *path)
{
	char proc[64];
	char **more;
	size_t n;
	int wd;

	if (t->fd < 0)
		return 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d/.", dir);
	if ((wd = inotify_add_watch(t->fd, proc, WATCHED)) < 0)
		return -errno;
	if ((size_t)wd >= t->nfolders) {
		n = (size_t)wd + 64;
		if (!(more = realloc(t->folders, n * sizeof(*more))))
			return -ENOMEM;
		memset(more + t->nfolders, 0, (n - t->nfolders) * sizeof(*more));
		t->folders = more;
		t->nfolders = n;
	}
	free(t->folders[wd]);
	return (t->folders[wd] = strdup(path)) ? 0 : -ENOMEM;
}

static int
scan(struct tree *t, int at, const char *name, const char *path, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;
	char below[PATH_MAX];
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (fd < 0) /* gone again, or not ours to see */
		return errno == EMFILE || errno == ENFILE ? -errno : 0;
	if (!(dir = fdopendir(fd))) {
		close(fd);
		return -ENOMEM;
	}
	r = watch(t, fd, path);
	while (r >= 0 && (e = readdir(dir))) {
		if (!fit(e->d_name) || join(below, path, e->d_name) < 0 ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = scan(t, fd, e->d_name, below, depth + 1);
		else if (S_ISREG(st.st_mode))
			t->told.file(t->told.ctx, below, &st);
	}
	closedir(dir);
	return r;
}

int
tree_scan(struct tree *t)
{
	int r = scan(t, t->root, ".", "", 0);

	if (r >= 0)
		t->told.scanned(t->told.ctx, false);
	return r;
}

/* A folder that went: what is watched below it is not ours any more. */
static void
forget(struct tree *t, const char *path)
{
	size_t n = strlen(path), i;

	for (i = 0; i < t->nfolders; i++)
		if (t->folders[i] && !strncmp(t->folders[i], path, n) &&
			(!t->folders[i][n] || t->folders[i][n] == '/'))
			inotify_rm_watch(t->fd, (int)i);
	t->told.folder_gone(t->told.ctx, path);
}

static int
one(struct tree *t, const struct inotify_event *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (e->wd < 0 || (size_t)e->wd >= t->nfolders || !t->folders[e->wd])
		return 0;
	if (e->mask & IN_IGNORED) {
		free(t->folders[e->wd]);
		t->folders[e->wd] = NULL;
		return 0;
	}
	if (!e->len || !fit(e->name) || join(path, t->folders[e->wd], e->name) < 0)
		return 0;
	if (e->mask & IN_ISDIR) {
		if (e->mask & (IN_DELETE | IN_MOVED_FROM))
			forget(t, path);
		return e->mask & (IN_CREATE | IN_MOVED_TO) ? scan(t, t->root, path, path, 1) : 0;
	}
	if (e->mask & (IN_DELETE | IN_MOVED_FROM)) {
		t->told.gone(t->told.ctx, path);
		return 0;
	}
	if (fstatat(t->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	/* A second link is whole when it appears; what was just created will be closed. */
	if (e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO) || st.st_nlink > 1)
		t->told.file(t->told.ctx, path, &st);
	return 0;
}

int
tree_read(struct tree *t)
{
	static _Alignas(struct inotify_event) char text[64 << 10];
	const struct inotify_event *e;
	bool lost = false;
	ssize_t n, at;
	int r = 0;

	while ((n = read(t->fd, text, sizeof(text))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const struct inotify_event *)(const void *)(text + at);
			if (e->mask & IN_Q_OVERFLOW)
				lost = true;
			else if ((r = one(t, e)) < 0)
				return r;
		}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (lost && (r = scan(t, t->root, ".", "", 0)) >= 0)
		t->told.scanned(t->told.ctx, true);
	return r;
}

void
tree_free(struct tree **tp)
{
	struct tree *t = *tp;
	size_t i;

	if (!t)
		return;
	for (i = 0; i < t->nfolders; i++)
		free(t->folders[i]);
	free(t->folders);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
	*tp = NULL;
}
