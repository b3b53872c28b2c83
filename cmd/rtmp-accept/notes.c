/* What keepers left behind that died together with their door. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "note.h"

#define ENVIRON_MAX (128 << 10)

static int
path_of(char path[512], const char *run_dir, pid_t keeper)
{
	return snprintf(path, 512, "%s/%d.note", run_dir, (int)keeper);
}

bool
note_claim(const char *run_dir, pid_t keeper)
{
	char path[512];

	path_of(path, run_dir, keeper);
	return unlink(path) == 0;
}

bool
note_exists(const char *run_dir, pid_t keeper)
{
	char path[512];

	path_of(path, run_dir, keeper);
	return access(path, F_OK) == 0;
}

/* Its number may be another process's by now. */
static bool
is_program_of(pid_t group, const char *broadcast)
{
	char path[32], want[48], *text;
	ssize_t n = -1;
	size_t len = (size_t)snprintf(want, sizeof(want), "LV_BROADCAST=%s", broadcast) + 1;
	bool is = false;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)group);
	if (!(text = malloc(ENVIRON_MAX)))
		return false;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, text, ENVIRON_MAX);
		close(fd);
	}
	is = n > 0 && memmem(text, (size_t)n, want, len);
	free(text);
	return is;
}

static bool
text_ends(const char *s, size_t cap)
{
	return memchr(s, '\0', cap) != NULL;
}

static bool
makes_sense(const struct note *n, ssize_t bytes)
{
	const struct keep_state *s = &n->state;

	return bytes == sizeof(*n) && s->kind == KEEP_STATE && n->env_len <= sizeof(n->env) &&
		(!n->env_len || !n->env[n->env_len - 1]) && *s->stream && *s->broadcast &&
		text_ends(s->stream, sizeof(s->stream)) && text_ends(s->broadcast, sizeof(s->broadcast)) &&
		text_ends(s->user, sizeof(s->user)) && text_ends(s->session, sizeof(s->session)) &&
		text_ends(s->remote, sizeof(s->remote));
}

static bool
take(int dir, const char *name, struct note *n, int64_t *age_ms)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool ours;

	if (fd < 0)
		return false;
	ours = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && unlinkat(dir, name, 0) == 0 &&
		makes_sense(n, read(fd, n, sizeof(*n)));
	close(fd);
	if (!ours)
		return false;
	*age_ms = clock_wall_ms() - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
	if (n->state.group <= 0 || !is_program_of(n->state.group, n->state.broadcast))
		n->state.group = 0;
	return true;
}

int
notes_dead(const char *run_dir, void (*each)(const struct note *, int64_t age_ms))
{
	DIR *d = opendir(run_dir);
	struct dirent *e;
	struct note n;
	int64_t age_ms;
	size_t len;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		len = strlen(e->d_name);
		if (len > 5 && e->d_name[0] != '.' && !strcmp(e->d_name + len - 5, ".note") &&
			take(dirfd(d), e->d_name, &n, &age_ms))
			each(&n, age_ms);
	}
	closedir(d);
	return 0;
}
