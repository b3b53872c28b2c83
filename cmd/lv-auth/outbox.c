#include "outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "die.h"
#include "fdio.h"
#include "json.h"

#define FILE_MAX (64 << 20)
#define LOCK_WAIT_MS 5000 /* for the lv-auth before us to go */

static void
append(struct outbox *o, struct note *n)
{
	*o->tail = n;
	o->tail = &n->next;
	if (!o->unsent)
		o->unsent = n;
	o->count++;
}

/* All of it, or nothing: half a line would spoil the next one as well. */
static int
append_line(int fd, const char *line, size_t n)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int r = end < 0 ? -errno : fdio_write_all(fd, line, n);

	if (r < 0 && end >= 0 && ftruncate(fd, end) < 0)
		complain(-errno, "cannot take half a line back");
	return r;
}

static void
write_down(struct outbox *o, struct note *n)
{
	char text[1024];
	struct json j;
	int len, r;

	if (o->fd < 0 || n->on_disk)
		return;
	json_begin(&j, text, sizeof(text) - 1);
	json_str(&j, "notice", ask_notice(n->kind));
	json_str(&j, "stream", n->stream);
	json_str(&j, "broadcast", n->broadcast);
	json_str(&j, "session", n->session);
	json_int(&j, "epoch", n->epoch);
	json_int(&j, "origin_ms", n->origin_ms);
	json_int(&j, "at_ms", n->at_ms);
	if ((len = json_end(&j)) < 0)
		return;
	text[len] = '\n';
	r = append_line(o->fd, text, (size_t)len + 1);
	if (r < 0 && !o->failed)
		complain(r, "cannot write %s; what the database misses now is kept in memory only", o->path);
	o->failed = r < 0;
	n->on_disk = r == 0;
}

/* kept: how much of the file is whole lines. */
static int
load(struct outbox *o, off_t *kept)
{
	struct buf text = { 0 };
	int r = whole_read(o->path, FILE_MAX, true, &text, NULL), bad = 0;
	char *line = (char *)buf_data(&text), *end;
	size_t left = buf_len(&text);
	struct ask a;

	for (; r == 0 && left; left -= (size_t)(end - line) + 1, line = end + 1) {
		struct note n = { .on_disk = true };

		if (!(end = memchr(line, '\n', left))) { /* it was killed in the middle of a line */
			bad++;
			break;
		}
		if (ask_parse(&a, line, (size_t)(end - line)) < 0 || a.kind == ASK_PUBLISH ||
			a.kind == ASK_OTHER) {
			bad++;
			continue;
		}
		n.kind = a.kind;
		memcpy(n.stream, a.stream, sizeof(n.stream));
		memcpy(n.broadcast, a.broadcast, sizeof(n.broadcast));
		memcpy(n.session, a.session, sizeof(n.session));
		n.epoch = a.epoch;
		n.origin_ms = a.origin_ms;
		n.at_ms = a.at_ms;
		r = outbox_add(o, &n);
	}
	*kept = (off_t)(buf_len(&text) - left);
	buf_free(&text);
	if (bad)
		warning(0, "%s: %d lines are not understood and left out", o->path, bad);
	return r == -ENOENT ? 0 : r;
}

int
outbox_open(struct outbox *o, const char *path)
{
	off_t kept = 0;
	int r;

	*o = (struct outbox){ .tail = &o->head, .path = path, .fd = -1, .lock = -1, .away = true };
	if (!path)
		return EX_OK;
	if ((o->lock = whole_lock(path, LOCK_WAIT_MS)) < 0) {
		keyring_complain(o->lock, "use", path);
		return o->lock == -EBUSY ? EX_TEMPFAIL : EX_CANTCREAT;
	}
	if ((r = load(o, &kept)) < 0) {
		keyring_complain(r, "read", path);
		return keyring_status(r);
	}
	if ((o->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0 || ftruncate(o->fd, kept) < 0) {
		complain(-errno, "cannot open %s", path);
		return EX_CANTCREAT;
	}
	return EX_OK;
}

int
outbox_add(struct outbox *o, const struct note *note)
{
	struct note *n;

	if (o->count >= OUTBOX_MAX)
		return -ENOSPC;
	if (!(n = malloc(sizeof(*n))))
		return -ENOMEM;
	*n = *note;
	n->next = NULL;
	append(o, n);
	if (o->away)
		write_down(o, n);
	return 0;
}

struct note *
outbox_next(struct outbox *o)
{
	struct note *n = o->unsent;

	if (n) {
		o->unsent = n->next;
		n->sent = true;
		o->sent++;
	}
	return n;
}

/* From the front, as far as all is done; when nothing is left, nothing need be on the disk. */
static void
drop_done(struct outbox *o)
{
	struct note *n;

	while ((n = o->head) && n->done) {
		o->head = n->next;
		if (o->tail == &n->next)
			o->tail = &o->head;
		o->count--;
		free(n);
	}
	if (!o->head && o->fd >= 0 && lseek(o->fd, 0, SEEK_END) > 0 && ftruncate(o->fd, 0) < 0)
		complain(-errno, "cannot empty %s; a restart would tell the database again", o->path);
}

void
outbox_answer(struct outbox *o, struct note *n)
{
	o->sent--;
	n->done = true;
	drop_done(o);
}

void
outbox_again(struct outbox *o)
{
	struct note *n;

	for (n = o->head; n; n = n->next)
		n->sent = n->done = false;
	o->unsent = o->head;
	o->sent = 0;
}

void
outbox_away(struct outbox *o, bool away)
{
	struct note *n;

	o->away = away;
	for (n = o->head; n && away; n = n->next)
		write_down(o, n);
}

void
outbox_close(struct outbox *o)
{
	struct note *n;

	outbox_away(o, true);
	if (o->count && o->fd < 0)
		complain(0, "%zu notices were not told to the database, and there is no --state file to keep "
			"them in", o->count);
	while ((n = o->head)) {
		o->head = n->next;
		free(n);
	}
	if (o->fd >= 0)
		close(o->fd);
	if (o->lock >= 0)
		close(o->lock);
}
