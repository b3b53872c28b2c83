#include "fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "sig.h"

int
fdio_reopen(int fd, int flags, bool *is_socket)
{
	char path[32];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((*is_socket = S_ISSOCK(st.st_mode)))
		return (r = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0 ? -errno : r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((r = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) >= 0)
		return r;
	/* A file of another user, or /proc is not mounted: share it, and wait for it if we must. */
	return (r = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0 ? -errno : r;
}

ssize_t
fdio_write_now(int fd, bool is_socket, const void *data, size_t n)
{
	ssize_t r;

	do
		r = is_socket ? send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(fd, data, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int
fdio_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;
	ssize_t r;

	while (n) {
		r = write(fd, p, n);
		if (r < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
			continue;
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

void
fdio_pipe_grow(int fd)
{
	static bool warned;
	int got = fcntl(fd, F_GETPIPE_SZ);

	if (got < 0 || got >= FDIO_PIPE_BYTES)
		return;
	if (fcntl(fd, F_SETPIPE_SZ, FDIO_PIPE_BYTES) >= 0)
		return;
	if ((got = fcntl(fd, F_GETPIPE_SZ)) >= FDIO_PIPE_BYTES || warned)
		return;
	warned = true;
	warning(0, "a pipe holds %d KB instead of %d: raise the limit with "
		"\"sysctl fs.pipe-user-pages-soft=0\"", got >> 10, FDIO_PIPE_BYTES >> 10);
}

ssize_t
input_read(int fd, void *data, size_t n, int wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	ssize_t r;

	for (;;) {
		int left = sig_drain_left_ms(), ms = 1000, p;

		if (left == 0)
			return 0;
		if (wait_ms >= 0 && until - clock_mono_ms() < ms)
			ms = (int)(until - clock_mono_ms());
		if (ms < 0)
			ms = 0;
		if (left > 0 && left < ms)
			ms = left;
		p = poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, ms);
		if (p < 0 && errno != EINTR)
			return -errno;
		if (p > 0) {
			if ((r = read(fd, data, n)) >= 0)
				return r;
			if (errno != EINTR && errno != EAGAIN)
				return -errno;
		} else if (wait_ms >= 0 && clock_mono_ms() >= until) {
			return -EAGAIN;
		}
	}
}

int
output_open(struct output *o, int fd, int stall_ms)
{
	const char *live = getenv("LV_LIVE");
	int r;

	memset(o, 0, sizeof(*o));
	o->fd = -1;
	if (isatty(fd))
		return -ENOTTY;
	fdio_pipe_grow(fd);
	if ((r = fdio_reopen(fd, O_WRONLY | O_APPEND, &o->socket)) < 0)
		return r;
	o->fd = r;
	o->live = live && !strcmp(live, "1");
	o->stall_ms = stall_ms;
	return 0;
}

int
output_write(struct output *o, const void *data, size_t n)
{
	const char *p = data;
	struct event ev;
	ssize_t r;

	while (n) {
		r = fdio_write_now(o->fd, o->socket, p, n);
		if (r >= 0) {
			p += r;
			n -= (size_t)r;
			continue;
		}
		if (r != -EAGAIN)
			return (int)r;
		do
			r = poll(&(struct pollfd){ o->fd, POLLOUT, 0 }, 1, o->live ? o->stall_ms : -1);
		while (r < 0 && errno == EINTR);
		if (r == 0) {
			event_begin(&ev, "output.stalled");
			event_int(&ev, "stall_ms", o->stall_ms);
			event_send(&ev);
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int
output_close(struct output *o)
{
	int r = o->fd >= 0 && close(o->fd) < 0 ? -errno : 0;

	o->fd = -1;
	return r;
}

int
output_status(int err)
{
	return err == -ETIMEDOUT ? EX_TEMPFAIL : err == -ENOTTY ? EX_USAGE : EX_IOERR;
}
