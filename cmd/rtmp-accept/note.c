#include "note.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static struct note note;
static int fd = -1, folder;
static char name[24];

int
note_open(int run_dir, const struct keep_hello *h)
{
	char temp[sizeof(name) + 8];
	int r;

	folder = run_dir;
	snprintf(name, sizeof(name), "%d.note", (int)getpid());
	snprintf(temp, sizeof(temp), ".%s.tmp", name);
	if ((fd = openat(run_dir, temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return -errno;
	note.env_len = h->env_len;
	memcpy(note.env, h->env, h->env_len);
	/* Nobody sees it before it is whole and locked. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && pwrite(fd, &note, sizeof(note), 0) == sizeof(note) &&
		renameat(run_dir, temp, run_dir, name) == 0)
		return 0;
	r = errno ? -errno : -EIO;
	unlinkat(run_dir, temp, 0);
	close(fd);
	fd = -1;
	return r;
}

/* In one page: a kill cannot cut it in two. */
void
note_write(const struct keep_state *s, bool begun, bool ending)
{
	note.begun = begun;
	note.ending = ending;
	if (s != &note.state)
		note.state = *s;
	if (fd >= 0 && pwrite(fd, &note, offsetof(struct note, env), 0) < 0)
		note_remove(); /* a stale one would mislead */
}

void
note_over(void)
{
	note.over = 1;
	note_write(&note.state, true, true);
}

void
note_remove(void)
{
	if (fd < 0)
		return;
	unlinkat(folder, name, 0);
	close(fd);
	fd = -1;
}
