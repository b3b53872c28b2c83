#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"
#include "metrics.h"

#define LOCAL "unix:"
#define SUFFIX ".metrics"
#define FOLDERS 16
#define READ_BYTES (64 << 10)

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: lv\r\nConnection: close\r\n\r\n";

static char *folders[FOLDERS];
static size_t nfolders, nsources, waiting;
static struct source *sources;
static ev_timer late;
static void (*on_done)(struct ev_loop *);

/* ---- which there are ---- */

/* Sorted by unit, so that figures keep their order. */
static int
add(const char *unit, const char *where, bool found)
{
	struct source **at = &sources, *s;

	while (*at && strcmp((*at)->unit, unit) < 0)
		at = &(*at)->next;
	for (s = *at; s && !strcmp(s->unit, unit); s = s->next)
		if (!strcmp(s->where, where))
			return 0; /* known */
	if (nsources == SOURCES_MAX || strlen(unit) >= SOURCE_UNIT)
		return -E2BIG;
	if (unit[strcspn(unit, "\"\\\n")])
		return -EINVAL; /* it is to be a label's value */
	if (!(s = calloc(1, sizeof(*s))) || !(s->where = strdup(where))) {
		free(s);
		return -ENOMEM;
	}
	snprintf(s->unit, sizeof(s->unit), "%s", unit);
	s->found = found;
	s->fd = -1;
	s->in.max = METRICS_BYTES;
	s->next = *at;
	*at = s;
	nsources++;
	return 0;
}

static int
add_local(const char *path, bool found)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char unit[SOURCE_UNIT], *where;
	size_t n = strlen(name), suffix = strlen(SUFFIX);
	int r;

	if (n > suffix && !strcmp(name + n - suffix, SUFFIX))
		n -= suffix;
	if (!n || n >= sizeof(unit))
		return -EINVAL;
	memcpy(unit, name, n);
	unit[n] = '\0';
	if (asprintf(&where, LOCAL "%s", path) < 0)
		return -ENOMEM;
	r = add(unit, where, found);
	free(where);
	return r;
}

int
sources_add(const char *where)
{
	const char *colon = strrchr(where, ':');
	struct stat st;

	if (!strncmp(where, LOCAL, strlen(LOCAL)))
		return add_local(where + strlen(LOCAL), false);
	if (stat(where, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (nfolders == FOLDERS)
			return -E2BIG;
		return (folders[nfolders++] = strdup(where)) ? 0 : -ENOMEM;
	}
	if (stat(where, &st) == 0 && S_ISSOCK(st.st_mode))
		return add_local(where, false);
	if (!colon || colon == where || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return -EINVAL;
	return add(where, where, false);
}

/* Sockets come and go with their commands. */
static void
look_into(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	char *path;
	size_t n;

	while (d && (e = readdir(d))) {
		n = strlen(e->d_name);
		if (e->d_name[0] == '.' || n <= strlen(SUFFIX) || strcmp(e->d_name + n - strlen(SUFFIX), SUFFIX) ||
			asprintf(&path, "%s/%s", folder, e->d_name) < 0)
			continue;
		(void)add_local(path, true);
		free(path);
	}
	if (d)
		closedir(d);
}

static void
source_free(struct source *s)
{
	buf_free(&s->in);
	free(s->where);
	free(s);
	nsources--;
}

/* What a folder no longer has is no longer asked for. */
static void
forget_gone(void)
{
	struct source **at = &sources, *s;

	while ((s = *at)) {
		if (s->found && access(s->where + strlen(LOCAL), F_OK) < 0) {
			*at = s->next;
			source_free(s);
		} else {
			at = &s->next;
		}
	}
}

/* ---- asking ---- */

static void
settle(struct ev_loop *loop, struct source *s)
{
	if (s->fd >= 0) {
		ev_io_stop(loop, &s->io);
		close(s->fd);
	}
	s->fd = -1;
	s->asked = false;
	if (--waiting)
		return;
	ev_timer_stop(loop, &late);
	on_done(loop);
}

/* All of it is here: its head says whether it is good. */
static void
take_answer(struct source *s)
{
	static const char ok[] = "HTTP/1.1 200 ";
	const char *text = (const char *)buf_data(&s->in), *body;
	size_t n = buf_len(&s->in);

	if (s->in.error || n < sizeof(ok) || memcmp(text, ok, sizeof(ok) - 1) || !(body = memmem(text, n, "\r\n\r\n", 4)))
		return;
	s->text = body + 4;
	s->len = n - (size_t)(s->text - text);
	s->up = true;
}

static void
write_on(struct ev_loop *loop, struct source *s)
{
	ssize_t n = send(s->fd, request + s->sent, sizeof(request) - 1 - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		settle(loop, s);
		return;
	}
	s->sent += n > 0 ? (size_t)n : 0;
	if (s->sent < sizeof(request) - 1)
		return;
	ev_io_stop(loop, &s->io);
	ev_io_set(&s->io, s->fd, EV_READ);
	ev_io_start(loop, &s->io);
}

static void
on_ready(struct ev_loop *loop, ev_io *w, int events)
{
	struct source *s = w->data;
	uint8_t *room;
	ssize_t n;

	if (events & EV_WRITE) {
		write_on(loop, s);
		return;
	}
	if (!(room = buf_reserve(&s->in, READ_BYTES))) {
		settle(loop, s);
		return;
	}
	n = recv(s->fd, room, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		buf_grew(&s->in, (size_t)n);
		return;
	}
	if (n == 0)
		take_answer(s);
	settle(loop, s);
}

static int
connect_tcp(const char *where)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	const char *colon = strrchr(where, ':');
	size_t n = (size_t)(colon - where);
	char host[256];
	int fd;

	if (*where == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -ENAMETOOLONG;
	memcpy(host, where, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &ai))
		return -EHOSTUNREACH;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static void
on_late(struct ev_loop *loop, ev_timer *w, int events)
{
	struct source *s, *next;

	(void)w;
	(void)events;
	for (s = sources; s; s = next) {
		next = s->next;
		if (s->asked)
			settle(loop, s); /* the last one ends the round */
	}
}

static void
ask(struct ev_loop *loop, struct source *s)
{
	bool local = !strncmp(s->where, LOCAL, strlen(LOCAL));

	buf_clear(&s->in);
	s->up = false;
	s->text = NULL;
	s->len = s->sent = 0;
	s->fd = local ? local_connect(s->where + strlen(LOCAL), SOCK_STREAM) : connect_tcp(s->where);
	if (s->fd < 0)
		return;
	s->asked = true;
	waiting++;
	ev_io_init(&s->io, on_ready, s->fd, EV_WRITE);
	s->io.data = s;
	ev_io_start(loop, &s->io);
}

void
sources_ask(struct ev_loop *loop, void (*done)(struct ev_loop *))
{
	struct source *s;
	size_t i;

	if (waiting)
		return; /* the round before is not over yet */
	forget_gone();
	for (i = 0; i < nfolders; i++)
		look_into(folders[i]);
	on_done = done;
	for (s = sources; s; s = s->next)
		ask(loop, s);
	if (!waiting) {
		done(loop);
		return;
	}
	ev_timer_init(&late, on_late, SOURCE_MS / 1000.0, 0);
	ev_timer_start(loop, &late);
}

bool
sources_any(void)
{
	return nfolders || nsources;
}

const struct source *
sources_first(void)
{
	return sources;
}

void
sources_free(struct ev_loop *loop)
{
	struct source *s;

	ev_timer_stop(loop, &late);
	while ((s = sources)) {
		sources = s->next;
		if (s->fd >= 0) {
			ev_io_stop(loop, &s->io);
			close(s->fd);
		}
		source_free(s);
	}
	while (nfolders)
		free(folders[--nfolders]);
}
