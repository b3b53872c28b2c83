#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fdio.h"
#include "place.h"
#include "sig.h"
#include "store.h"

#define BLOCK 262144
#define STEP (8 << 20) /* bytes after which signals and progress are looked at */

struct source { /* a segment that is open; sound and picture take turns */
	const struct segment *segment;
	struct place_file file;
};

struct target {
	int fd;
	bool bucket;
	bool copying; /* the kernel copies from file to file */
	struct output pipe; /* .fd -1: a file */
	struct encode *encoder; /* at the pipe's other end, when what it makes goes into a bucket */
	uint64_t made;
	struct source source[2];
	int turn;
	uint64_t done, size;
	output_progress_fn *progress;
};

/* What the encoder has made goes on, once it can take more (or waits for that no longer): 1, 0 at its end. */
static int
pass_on(struct target *t)
{
	struct pollfd p[] = { { t->encoder->made, POLLIN, 0 }, { t->pipe.fd, POLLOUT, 0 } };
	uint8_t block[BLOCK];
	ssize_t n;
	int e;

	if (sig_draining())
		return -ECANCELED;
	if (poll(p, 2, 1000) <= 0 || !p[0].revents)
		return 1;
	if ((n = read(p[0].fd, block, sizeof(block))) <= 0)
		return n == 0 ? 0 : errno == EINTR ? 1 : -errno;
	t->made += (uint64_t)n;
	return (e = store_write(block, (size_t)n)) < 0 ? e : 1;
}

static int
put_encoder(struct target *t, const uint8_t *p, size_t n)
{
	ssize_t r;

	while (n) {
		r = fdio_write_now(t->pipe.fd, t->pipe.socket, p, n);
		if (r >= 0) {
			p += r;
			n -= (size_t)r;
		} else if (r != -EAGAIN) {
			return (int)r;
		} else if ((r = pass_on(t)) <= 0) {
			return r ? (int)r : -EPIPE;
		}
	}
	return 0;
}

static int
put(void *arg, const void *data, size_t n)
{
	struct target *t = arg;

	t->done += n;
	if (t->encoder)
		return put_encoder(t, data, n);
	if (t->bucket)
		return store_write(data, n);
	return t->pipe.fd >= 0 ? output_write(&t->pipe, data, n) : fdio_write_all(t->fd, data, n);
}

static int
open_source(struct target *t, const struct segment *s, struct place_file **out)
{
	struct source *at = &t->source[t->source[1].segment == s];
	int r;

	if (at->segment != s) {
		at = &t->source[t->turn ^= 1];
		if (at->segment)
			place_close(&at->file);
		at->segment = NULL;
		if ((r = place_open(&at->file, s, true)) < 0)
			return r == -ENOENT ? -ESTALE : r;
		at->segment = s;
	}
	*out = &at->file;
	return 0;
}

static int
put_silence(struct target *t, const struct lane *l, uint64_t bytes)
{
	int r = 0;

	for (; !r && bytes; bytes -= (uint64_t)l->silence_size)
		r = put(t, l->silence, (size_t)l->silence_size);
	return r;
}

static int
put_bytes(struct target *t, struct place_file *f, uint64_t offset, uint64_t bytes)
{
	uint8_t block[BLOCK];
	off_t at = (off_t)offset;
	ssize_t n;
	int r = 0;

	while (!r && bytes) {
		size_t want = bytes < STEP ? (size_t)bytes : STEP;

		if (sig_draining())
			return -ECANCELED;
		if (t->copying && f->fd >= 0) {
			n = copy_file_range(f->fd, &at, t->fd, NULL, want, 0);
			if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
				t->copying = false; /* two file systems, or one that cannot */
				continue;
			}
			if (n < 0 && errno != EINTR)
				return -errno;
			if (n > 0)
				t->done += (uint64_t)n;
		} else {
			if ((n = place_read(f, block, want < BLOCK ? want : BLOCK, (uint64_t)at)) < 0)
				return (int)n;
			if (n > 0) {
				r = put(t, block, (size_t)n);
				at += n;
			}
		}
		if (n == 0)
			return -ESTALE;
		if (n > 0)
			bytes -= (uint64_t)n;
	}
	return r;
}

/* Frames of a transport stream, which were made what MP4 holds. */
static int
put_frames(struct target *t, struct recording *r, const struct piece *p)
{
	int e = media_stream_load(&r->stream, p->segment, 0);
	const struct buf *data = p->video ? &r->stream.ts.video.data : &r->stream.ts.audio.data;

	if (e == -ENOENT || e == -EBADMSG || (!e && (p->offset > buf_len(data) || p->bytes > buf_len(data) - p->offset)))
		return -ESTALE;
	return e ? e : sig_draining() ? -ECANCELED : put(t, buf_data(data) + p->offset, (size_t)p->bytes);
}

static int
put_all(struct target *t, struct recording *r)
{
	const struct lane *quiet = &r->lane[r->lanes - 1];
	struct piece p;
	struct place_file *f;
	uint64_t told = 0;
	int e = recording_head(r, put, t), i;

	while (!e && (e = recording_next(r, &p)) > 0) {
		if (!p.segment)
			e = put_silence(t, quiet, p.bytes);
		else if (media_is_stream(p.segment))
			e = put_frames(t, r, &p);
		else if ((e = open_source(t, p.segment, &f)) == 0)
			e = put_bytes(t, f, p.offset, p.bytes);
		if (t->progress && t->done - told >= STEP)
			t->progress(told = t->done, t->size);
	}
	if (!e && t->done != t->size)
		e = -ESTALE;
	if (!e && t->progress)
		t->progress(t->done, t->size);
	for (i = 0; i < 2; i++)
		if (t->source[i].segment)
			place_close(&t->source[i].file);
	return e;
}

static struct target
target_of(const struct recording *r, output_progress_fn *progress)
{
	return (struct target){ .fd = -1, .pipe.fd = -1, .size = r->size, .progress = progress };
}

int
output_pipe(struct recording *r, int fd, output_progress_fn *progress)
{
	struct target t = target_of(r, progress);
	int e, c;

	if ((e = output_open(&t.pipe, fd, 5000)) < 0)
		return e;
	e = put_all(&t, r);
	c = output_close(&t.pipe);
	return e ? e : c;
}

int
output_bucket(struct recording *r, const char *url, output_progress_fn *progress, uint64_t *kept)
{
	struct target t = target_of(r, progress);
	int e;

	t.bucket = true;
	if ((e = store_begin(url, r->size)) < 0)
		return e;
	return output_bucket_end(put_all(&t, r), kept);
}

int
output_bucket_end(int e, uint64_t *kept)
{
	if (!e)
		e = store_end(kept);
	if (e && e != -EHOSTUNREACH) /* what is away may return: then the next run goes on */
		store_abort();
	return e;
}

int
output_encoded(struct recording *r, const char *url, struct encode *encoder, output_progress_fn *progress)
{
	struct target t = target_of(r, progress);
	int e;

	t.encoder = encoder;
	if ((e = store_begin(url, 0)) < 0 || (e = output_open(&t.pipe, encoder->fd, 5000)) < 0)
		return e;
	e = put_all(&t, r);
	output_close(&t.pipe);
	close(encoder->fd);
	t.pipe.fd = encoder->fd = -1;
	if (!e)
		while ((e = pass_on(&t)) > 0)
			;
	r->size = t.made;
	return e;
}

int
output_temp(const char *path, char temp[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	struct stat here, there;
	int fd, n = slash ? (int)(slash + 1 - path) : 0;

	if (snprintf(temp, PATH_MAX, "%.*s.%s.tmp", n, path, path + n) >= PATH_MAX)
		return -ENAMETOOLONG;
	for (;;) {
		if ((fd = open(temp, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			close(fd);
			return -EBUSY;
		}
		if (fstat(fd, &here) == 0 && stat(temp, &there) == 0 && here.st_ino == there.st_ino)
			break;
		close(fd); /* who held it has just finished */
	}
	if (ftruncate(fd, 0) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

int
output_settle(int fd, const char *temp, const char *path, int e)
{
	/* The segments may be removed once it is there. */
	if (!e && fdatasync(fd) < 0 && errno != EINVAL)
		e = -errno;
	if (!e && rename(temp, path) < 0)
		e = -errno;
	if (e)
		unlink(temp);
	if (close(fd) < 0 && !e)
		e = -errno;
	return e;
}

int
output_file(struct recording *r, const char *path, output_progress_fn *progress)
{
	struct target t = target_of(r, progress);
	char temp[PATH_MAX];
	int e;

	if ((t.fd = output_temp(path, temp)) < 0)
		return t.fd;
	t.copying = true;
	/* A disk without room says so before the first byte. */
	e = fallocate(t.fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)r->size) < 0 && errno == ENOSPC ? -ENOSPC : 0;
	if (!e)
		e = put_all(&t, r);
	return output_settle(t.fd, temp, path, e);
}
