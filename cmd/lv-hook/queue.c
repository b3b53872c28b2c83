#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "die.h"
#include "whole.h"

#define HEAD 21 /* twenty digits and a newline */
#define LOCK_WAIT_MS 5000

static void
lost_disk(struct queue *q, int r)
{
	if (!q->failed)
		complain(r, "cannot write %s; what waits is in memory only", q->path);
	q->failed = true;
}

/* While the disk lacks something the places do not hold: what was delivered since may come twice. */
static void
write_head(struct queue *q)
{
	char text[HEAD + 1];

	if (q->fd < 0 || q->failed)
		return;
	snprintf(text, sizeof(text), "%020" PRId64 "\n", q->head);
	if (pwrite(q->fd, text, HEAD, 0) != HEAD)
		lost_disk(q, -errno);
}

/* In a file of its own that takes the place of the old one: a full disk, or a kill, loses no line. */
static int
replace_file(struct queue *q)
{
	struct buf text = { 0 };
	int fd, r;

	buf_printf(&text, "%020d\n", HEAD);
	buf_append(&text, buf_data(&q->lines), buf_len(&q->lines));
	r = text.error ? text.error : whole_write(q->path, buf_data(&text), buf_len(&text));
	buf_free(&text);
	if (r < 0)
		return r;
	if ((fd = open(q->path, O_RDWR | O_CLOEXEC)) < 0)
		return -errno;
	close(q->fd);
	q->fd = fd;
	return 0;
}

/* What waits, and nothing else. */
static void
rewrite_file(struct queue *q)
{
	int r;

	if (q->fd < 0)
		return;
	if (buf_len(&q->lines))
		r = replace_file(q);
	else
		r = ftruncate(q->fd, 0) < 0 ? -errno : 0;
	if (r < 0) {
		lost_disk(q, r);
		return;
	}
	q->failed = false;
	q->head = HEAD;
	q->end = HEAD + (int64_t)buf_len(&q->lines);
	if (!buf_len(&q->lines))
		write_head(q);
}

static int
load(struct queue *q)
{
	struct buf text = { 0 };
	int r = whole_read(q->path, QUEUE_FILE_MAX, true, &text, NULL);
	const char *data = (const char *)buf_data(&text), *end;
	size_t n = buf_len(&text);
	int64_t head;

	if (r == 0 && n >= HEAD) {
		head = strtoll(data, NULL, 10);
		if (data[HEAD - 1] != '\n' || head < HEAD)
			r = -EBADMSG;
		else if (head < (int64_t)n) /* not so after a power cut: the head was on the disk first */
			for (data += head, n -= (size_t)head; n && (end = memchr(data, '\n', n));
				n -= (size_t)(end - data) + 1, data = end + 1)
				queue_add(q, data, (size_t)(end - data));
	} else if (r == 0 && n) {
		r = -EBADMSG;
	}
	buf_free(&text);
	return r == -ENOENT ? 0 : r;
}

int
queue_open(struct queue *q, const char *path, size_t max)
{
	int r;

	*q = (struct queue){ .path = path, .max = max, .fd = -1, .lock = -1 };
	if (!path)
		return EX_OK;
	if ((q->lock = whole_lock(path, LOCK_WAIT_MS)) < 0) {
		complain(q->lock == -EBUSY ? 0 : q->lock, "cannot use %s%s", path,
			q->lock == -EBUSY ? ": another lv-hook is at it" : "");
		return q->lock == -EBUSY ? EX_TEMPFAIL : EX_CANTCREAT;
	}
	if ((r = load(q)) < 0) {
		complain(r == -EBADMSG ? 0 : r, "cannot read %s%s", path, r == -EBADMSG ? ": it is no queue of lv-hook" : "");
		return r == -EPERM || r == -EACCES ? EX_NOPERM : r == -EBADMSG ? EX_DATAERR : EX_IOERR;
	}
	if ((q->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) {
		complain(-errno, "cannot open %s", path);
		return EX_CANTCREAT;
	}
	rewrite_file(q);
	return EX_OK;
}

const char *
queue_first(const struct queue *q, size_t *n)
{
	const char *data = (const char *)buf_data(&q->lines);

	if (!q->count)
		return NULL;
	*n = (size_t)((const char *)memchr(data, '\n', buf_len(&q->lines)) - data);
	return data;
}

/* A quarter goes at once, so that the file is not written anew for each; the first may be under way. */
static void
drop_oldest(struct queue *q)
{
	size_t first, len, left = q->max / 4;
	const char *data = queue_first(q, &first), *from = data + first + 1, *at = from;

	for (; q->count > 1 && left; at += len, left -= len < left ? len : left) {
		len = (size_t)((const char *)memchr(at, '\n', buf_len(&q->lines) - (size_t)(at - data)) - at) + 1;
		q->count--;
		q->dropped++;
	}
	memmove((char *)buf_data(&q->lines) + (at - from), data, first + 1);
	buf_consume(&q->lines, (size_t)(at - from));
}

int
queue_add(struct queue *q, const char *line, size_t n)
{
	bool full = q->count > 1 && buf_len(&q->lines) + n + 1 > q->max;
	ssize_t wrote;

	if (full)
		drop_oldest(q);
	buf_append(&q->lines, line, n);
	buf_append(&q->lines, "\n", 1);
	if (q->lines.error)
		return q->lines.error;
	q->count++;
	if (q->fd < 0)
		return 0;
	if (full || q->failed || q->end > (int64_t)q->max * 2 + HEAD) {
		rewrite_file(q);
		return 0;
	}
	wrote = pwrite(q->fd, (char *)buf_data(&q->lines) + buf_len(&q->lines) - n - 1, n + 1, q->end);
	if (wrote == (ssize_t)n + 1)
		q->end += wrote;
	else
		lost_disk(q, wrote < 0 ? -errno : -ENOSPC);
	return 0;
}

void
queue_done(struct queue *q)
{
	size_t n;

	if (!queue_first(q, &n))
		return;
	buf_consume(&q->lines, n + 1);
	q->head += (int64_t)n + 1;
	q->count--;
	if (q->count)
		write_head(q);
	else
		rewrite_file(q);
}

int64_t
queue_take_dropped(struct queue *q)
{
	int64_t n = q->dropped;

	q->dropped = 0;
	return n;
}

void
queue_close(struct queue *q)
{
	if (q->count)
		rewrite_file(q);
	buf_free(&q->lines);
	if (q->fd >= 0)
		close(q->fd);
	if (q->lock >= 0)
		close(q->lock);
}
