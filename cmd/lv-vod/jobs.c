#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "die.h"
#include "sig.h"

#define LOOK_MS 200
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* 1: it is ours, until we end; 0: somebody has it. */
static int
try(int i)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/lv-vod.%u.%d.lock", run && *run ? run : tmp && *tmp ? tmp : "/tmp",
		    (unsigned)getuid(), i) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 1;
	r = errno == EWOULDBLOCK ? 0 : -errno;
	close(fd);
	return r;
}

int
jobs_enter(int n)
{
	bool told = false;
	int i, r = 0;

	if (setpriority(PRIO_PROCESS, 0, 19) < 0 ||
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE) < 0)
		inform("cannot stand back behind others on this system");
	for (;;) {
		for (i = 0; !r && i < n; i++)
			r = try(i);
		if (r)
			return r < 0 ? r : 0;
		if (!told)
			inform("waiting: as many are at work as may be");
		told = true;
		poll(NULL, 0, LOOK_MS);
		if (sig_draining())
			return -ECANCELED;
	}
}
