#include "event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "fdio.h"

#define SINKS 8
#define QUEUE_MAX (1 << 20)
#define KEPT_MAX (4 << 20) /* even what is kept has a bound */

struct sink {
	int fd; /* our own description of it; -1 while a path has no reader */
	bool socket;
	char *path;
	struct buf queue;
	int64_t dropped, retry_at;
	bool gone; /* a descriptor whose reader has died */
};

static struct sink sinks[SINKS];
static int nsinks;
static char about_stream[72], about_broadcast[32];

static void
copy_text(char *to, size_t cap, const char *from)
{
	size_t n = from ? strlen(from) : 0;

	if (n >= cap)
		n = cap - 1;
	if (n)
		memcpy(to, from, n);
	to[n] = '\0';
}

static int
path_open(struct sink *s)
{
	s->fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640);
	if (s->fd >= 0)
		return 0;
	s->retry_at = clock_mono_ms() + 1000;
	return errno == ENXIO ? 0 : -errno; /* a FIFO without a reader: later */
}

int
events_open(const char *where)
{
	struct sink *s = &sinks[nsinks];
	char *end;
	long fd;
	int r;

	if (nsinks == SINKS)
		return -E2BIG;
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->queue.max = KEPT_MAX;
	fd = strtol(where, &end, 10);
	if (*where && !*end) {
		if (fd < 0 || fd > 1 << 20)
			return -EBADF;
		if ((r = fdio_reopen((int)fd, O_WRONLY | O_APPEND, &s->socket)) < 0)
			return r;
		s->fd = r;
	} else {
		if (!*where)
			return -EINVAL;
		if (!(s->path = strdup(where)))
			return -ENOMEM;
		if ((r = path_open(s)) < 0) {
			free(s->path);
			return r;
		}
	}
	nsinks++;
	return 0;
}

void
events_open_env(void)
{
	const char *fd = getenv("LV_EVENTS_FD");

	if (!nsinks && fd && *fd && events_open(fd) < 0)
		warning(0, "LV_EVENTS_FD=%s is not an open descriptor: no events", fd);
}

bool
events_wanted(void)
{
	return nsinks > 0;
}

void
events_about(const char *stream, const char *broadcast)
{
	copy_text(about_stream, sizeof(about_stream), stream);
	copy_text(about_broadcast, sizeof(about_broadcast), broadcast);
}

void
event_begin(struct event *e, const char *name)
{
	char ts[CLOCK_TEXT];

	json_begin(&e->json, e->text, sizeof(e->text));
	e->kept = !strncmp(name, "publish.", 8) || !strncmp(name, "broadcast.", 10);
	json_str(&e->json, "ts", clock_text(ts, clock_wall_ms()));
	json_str(&e->json, "src", die_prog);
	json_str(&e->json, "event", name);
	if (*about_stream)
		json_str(&e->json, "stream", about_stream);
	if (*about_broadcast)
		json_str(&e->json, "broadcast", about_broadcast);
}

void
event_str(struct event *e, const char *key, const char *value)
{
	json_str(&e->json, key, value);
}

void
event_int(struct event *e, const char *key, int64_t value)
{
	json_int(&e->json, key, value);
}

void
event_num(struct event *e, const char *key, double value, int decimals)
{
	json_num(&e->json, key, value, decimals);
}

void
event_bool(struct event *e, const char *key, bool value)
{
	json_bool(&e->json, key, value);
}

/* Cut the longest string so that the line fits, at a character's boundary and never in an escape. */
static size_t
cut(struct event *e, size_t len)
{
	static const char mark[] = ",\"truncated\":true}";
	struct json *j = &e->json;
	size_t over = len - 1 + sizeof(mark) - 1 + 1 - EVENT_MAX; /* less '}', plus the mark, plus \n */
	size_t keep, at = 0, end = j->long_at + j->long_len;

	if (over > j->long_len)
		return 0;
	for (keep = 0; at <= j->long_len - over; at++) {
		unsigned char c = (unsigned char)j->text[j->long_at + at];

		if ((c & 0xc0) != 0x80)
			keep = at;
		if (c == '\\')
			at += j->text[j->long_at + at + 1] == 'u' ? 5 : 1;
	}
	memmove(j->text + j->long_at + keep, j->text + end, len - end);
	len -= j->long_len - keep;
	memcpy(j->text + len - 1, mark, sizeof(mark));
	return len - 1 + sizeof(mark) - 1;
}

static void
lose(struct sink *s, const char *why)
{
	if (s->path) {
		warning(0, "events at %s: %s", s->path, why);
		s->retry_at = clock_mono_ms() + 1000;
	} else {
		warning(0, "no more events: %s", why);
		s->gone = true;
		buf_free(&s->queue);
	}
	close(s->fd);
	s->fd = -1;
}

static bool
sink_flush(struct sink *s)
{
	const uint8_t *line, *nl;
	ssize_t n;

	if (s->fd < 0 && s->path && !s->gone && clock_mono_ms() >= s->retry_at)
		path_open(s);
	while (s->fd >= 0 && buf_len(&s->queue)) {
		line = buf_data(&s->queue);
		nl = memchr(line, '\n', buf_len(&s->queue));
		n = fdio_write_now(s->fd, s->socket, line, (size_t)(nl - line) + 1);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			lose(s, n == -EPIPE ? "their reader has gone" : strerror((int)-n));
		else
			buf_consume(&s->queue, (size_t)n);
	}
	return s->fd >= 0 && buf_len(&s->queue);
}

static void
sink_send(struct sink *s, const char *line, size_t n, bool kept)
{
	struct event *note;

	if (s->gone)
		return;
	sink_flush(s);
	if (buf_len(&s->queue) + n > (kept ? KEPT_MAX : QUEUE_MAX)) {
		s->dropped++;
		return;
	}
	if (s->dropped && buf_len(&s->queue) + n + EVENT_MAX < QUEUE_MAX && (note = malloc(sizeof(*note)))) {
		int len;

		event_begin(note, "events.dropped");
		event_int(note, "count", s->dropped);
		if ((len = json_end(&note->json)) > 0) {
			note->text[len++] = '\n';
			buf_append(&s->queue, note->text, (size_t)len);
			s->dropped = 0;
		}
		free(note);
	}
	buf_append(&s->queue, line, n);
	s->queue.error = 0;
	sink_flush(s);
}

void
event_send(struct event *e)
{
	int len = json_end(&e->json), i;
	size_t n;

	if (!nsinks)
		return;
	if (len < 0)
		return; /* over 16 KB: none of ours is; a bound, not a policy */
	n = (size_t)len;
	if (n + 1 > EVENT_MAX && !(n = cut(e, n)))
		return;
	e->text[n++] = '\n';
	for (i = 0; i < nsinks; i++)
		sink_send(&sinks[i], e->text, n, e->kept);
}

bool
events_flush(void)
{
	bool queued = false;
	int i;

	for (i = 0; i < nsinks; i++)
		queued |= sink_flush(&sinks[i]);
	return queued;
}

void
events_close(int wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	int i;

	while (events_flush() && clock_mono_ms() < until) {
		struct pollfd p[SINKS];

		for (i = 0; i < nsinks; i++)
			p[i] = (struct pollfd){ buf_len(&sinks[i].queue) ? sinks[i].fd : -1, POLLOUT, 0 };
		poll(p, (nfds_t)nsinks, 50);
	}
	for (i = 0; i < nsinks; i++) {
		if (sinks[i].fd >= 0)
			close(sinks[i].fd);
		buf_free(&sinks[i].queue);
		free(sinks[i].path);
	}
	nsinks = 0;
}
