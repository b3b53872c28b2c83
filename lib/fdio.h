/*
 * fdio: descriptors we were given, read and written without changing them for others.
 *
 * O_NONBLOCK belongs to the description, which we may share with a shell or a sibling, so it is
 * never set on an inherited one: a pipe is opened again through /proc/self/fd, a socket is
 * written with MSG_DONTWAIT.
 */
#ifndef LV_FDIO_H
#define LV_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A close-on-exec, non-blocking description of the same file; a plain duplicate of a socket. */
int fdio_reopen(int fd, int flags, bool *socket);

/* One write that does not wait: the bytes taken, -EAGAIN, or another -errno. */
ssize_t fdio_write_now(int fd, bool socket, const void *, size_t);

int fdio_write_all(int fd, const void *, size_t); /* waits; 0 or -errno */

/* Ask for a pipe of 256 KB and warn once when the limits gave less; other files are left alone. */
#define FDIO_PIPE_BYTES (256 << 10)
void fdio_pipe_grow(int fd);

/*
 * input: the standard input of a filter.  input_read waits for bytes, wakes for a drain and
 * gives 0 at end of file or when the drain's time is over; -EAGAIN after wait_ms (-1: never).
 */
ssize_t input_read(int fd, void *, size_t, int wait_ms);

/*
 * output: the standard output of a filter, written whole, with the watch of a live pipeline.
 *
 * Shape:  output_open once, output_write as often as needed, output_close at the end.
 * Errors: -EPIPE when the reader has gone (leave with 74); -ETIMEDOUT when live and nothing was
 *         taken for stall_ms, after an output.stalled event (leave with 75); other -errno.
 */
struct output {
	int fd;
	bool socket, live;
	int stall_ms;
};

int output_open(struct output *, int fd, int stall_ms); /* -ENOTTY: media on a terminal */
int output_write(struct output *, const void *, size_t);
int output_close(struct output *);
int output_status(int err); /* the exit status for an error of the above */

#endif
