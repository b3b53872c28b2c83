#include "metricsd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "listen.h"
#include "local.h"

#define LOCAL "unix:"
#define LOCAL_MODE 0660 /* a group may read what is told */
#define READS 8 /* of METRICSD_REQUEST bytes, of one who says too much */
#define TYPE "text/plain; version=0.0.4; charset=utf-8"

char *metricsd_where;
bool metricsd_bare;

static struct client {
	int fd;
	bool open, answering;
	int64_t until_ms;
	char request[METRICSD_REQUEST];
	size_t have;
	struct buf answer;
} clients[METRICSD_CLIENTS];

static struct {
	int set, fd, memory; /* the epoll set, the listener, /proc/self/statm */
	struct local local;
	void (*fill)(void *, struct metrics *);
	void *ctx;
	int64_t began_ms;
	bool answered; /* in this turn */
} self = { -1, -1, -1, { .fd = -1 }, NULL, NULL, 0, false };

static void
cut(struct client *c)
{
	close(c->fd); /* and so out of the set */
	buf_free(&c->answer);
	c->open = false;
}

/* ---- what is answered ---- */

void
metricsd_process(struct metrics *m)
{
	struct rusage use;
	char text[128];
	long pages;
	ssize_t n;

	metrics_family(m, "lv_build_info", METRICS_GAUGE, "Which command of which version this is.");
	metrics_sample(m, 1, "command", die_prog, "version", LV_VERSION, NULL);
	metrics_gauge(m, "process_start_time_seconds", (double)self.began_ms / 1000,
		"When the process began, as Unix time.");
	if (!getrusage(RUSAGE_SELF, &use))
		metrics_counter(m, "process_cpu_seconds_total",
			(double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
				(double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
			"Processor time of the process.");
	if ((n = pread(self.memory, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		if (sscanf(text, "%*d %ld", &pages) == 1)
			metrics_gauge(m, "process_resident_memory_bytes",
				(double)pages * (double)sysconf(_SC_PAGESIZE), "Memory of the process.");
	}
}

static void
answer(struct client *c, const char *status, const char *type, const void *body, size_t n, bool head)
{
	buf_printf(&c->answer, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nConnection: close\r\n\r\n", status, type, n);
	if (!head)
		buf_append(&c->answer, body, n);
	c->answering = true;
}

static void
refuse(struct client *c, const char *status)
{
	char text[64];

	answer(c, status, "text/plain; charset=utf-8", text,
		(size_t)snprintf(text, sizeof(text), "%s\n", status), false);
}

static void
tell(struct client *c, bool head)
{
	struct metrics m = { .out.max = METRICS_BYTES };

	if (!metricsd_bare)
		metricsd_process(&m);
	self.fill(self.ctx, &m);
	self.answered = true;
	if (m.out.error) {
		complain(m.out.error, "cannot tell the metrics");
		refuse(c, "500 Internal Server Error");
	} else {
		answer(c, "200 OK", TYPE, buf_data(&m.out), buf_len(&m.out), head);
	}
	buf_free(&m.out);
}

/* The next word of the first line; a longer one is cut, and then is none of ours. */
static const char *
word(const char *at, char *text, size_t cap)
{
	size_t n = strcspn(at, " \r\n");

	snprintf(text, cap, "%.*s", n < cap ? (int)n : (int)cap - 1, at);
	return at + n + (at[n] == ' ');
}

/* The request is whole: its first line says it all. */
static void
take_request(struct client *c)
{
	char method[8], target[16];
	bool head;

	word(word(c->request, method, sizeof(method)), target, sizeof(target));
	head = !strcmp(method, "HEAD");
	if (!head && strcmp(method, "GET"))
		refuse(c, "405 Method Not Allowed");
	else if (strcspn(target, "?") != strlen("/metrics") || strncmp(target, "/metrics", strlen("/metrics")))
		refuse(c, "404 Not Found");
	else
		tell(c, head);
}

/* ---- who asks ---- */

static void
write_on(struct client *c)
{
	int reads = 0;
	ssize_t n;

	while (buf_len(&c->answer)) {
		n = fdio_write_now(c->fd, true, buf_data(&c->answer), buf_len(&c->answer));
		if (n == -EAGAIN) {
			epoll_ctl(self.set, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){ EPOLLOUT, { .ptr = c } });
			return;
		}
		if (n < 0)
			break;
		buf_consume(&c->answer, (size_t)n);
	}
	/* Closing over bytes that were not read would take the answer back. */
	while (reads++ < READS && recv(c->fd, c->request, sizeof(c->request), MSG_DONTWAIT) > 0)
		;
	cut(c);
}

static void
read_on(struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->have, sizeof(c->request) - 1 - c->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		cut(c);
		return;
	}
	c->have += (size_t)n;
	c->request[c->have] = '\0';
	if (strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n"))
		take_request(c);
	else if (strlen(c->request) < c->have)
		refuse(c, "400 Bad Request"); /* a NUL in it */
	else if (c->have == sizeof(c->request) - 1)
		refuse(c, "431 Request Header Fields Too Large");
	if (c->answering)
		write_on(c);
}

static void
take_client(int64_t now)
{
	int fd = accept4(self.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c = clients;

	if (fd < 0)
		return;
	while (c < clients + METRICSD_CLIENTS && c->open)
		c++;
	if (c == clients + METRICSD_CLIENTS ||
		epoll_ctl(self.set, EPOLL_CTL_ADD, fd, &(struct epoll_event){ EPOLLIN, { .ptr = c } }) < 0) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->open = true;
	c->answering = false;
	c->have = 0;
	c->until_ms = now + METRICSD_MS;
	memset(&c->answer, 0, sizeof(c->answer));
}

void
metricsd_turn(void)
{
	struct epoll_event ready[METRICSD_CLIENTS + 1];
	int64_t now = clock_mono_ms();
	struct client *c;
	int i, n;

	if (self.set < 0)
		return;
	self.answered = false;
	n = epoll_wait(self.set, ready, METRICSD_CLIENTS + 1, 0);
	for (i = 0; i < n; i++) {
		if (!(c = ready[i].data.ptr))
			take_client(now);
		else if (c->answering)
			write_on(c);
		else if (!self.answered)
			read_on(c);
	}
	for (c = clients; c < clients + METRICSD_CLIENTS; c++)
		if (c->open && now >= c->until_ms)
			cut(c);
}

int
metricsd_poll(struct pollfd *own, unsigned n, int ms)
{
	struct pollfd all[METRICSD_POLL + 1];
	int64_t until = clock_mono_ms() + ms;
	int r, left = ms;

	if (self.set < 0)
		return poll(own, n, ms);
	do {
		if (n)
			memcpy(all, own, n * sizeof(*own));
		all[n] = (struct pollfd){ self.set, POLLIN, 0 };
		r = poll(all, n + 1, left < 1000 ? left : 1000);
		metricsd_turn();
		if (r > 0)
			r -= all[n].revents != 0;
		left = (int)(until - clock_mono_ms());
	} while (r == 0 && left > 0);
	if (r > 0)
		memcpy(own, all, n * sizeof(*own));
	return r;
}

int
metricsd_fd(void)
{
	return self.set;
}

void
metricsd_open(void (*fill)(void *, struct metrics *), void *ctx)
{
	const char *why = NULL;
	int r = 0;

	if (!metricsd_where && !metricsd_bare)
		return;
	self.began_ms = clock_wall_ms();
	self.memory = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (!metricsd_where)
		return;
	self.fill = fill;
	self.ctx = ctx;
	if (!strncmp(metricsd_where, LOCAL, strlen(LOCAL))) {
		if ((r = local_listen(&self.local, metricsd_where + strlen(LOCAL), SOCK_STREAM, LOCAL_MODE,
			     METRICSD_CLIENTS)) < 0)
			die(EX_CANTCREAT, r, "cannot make %s", metricsd_where + strlen(LOCAL));
		self.fd = self.local.fd;
	} else {
		self.fd = listen_open(metricsd_where, &why);
		if (self.fd < 0 && why)
			die(EX_USAGE, 0, "--metrics %s: %s, nor unix:PATH", metricsd_where, why);
		if (self.fd < 0)
			die(self.fd == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, self.fd, "cannot listen on %s",
				metricsd_where);
	}
	if ((self.set = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
		epoll_ctl(self.set, EPOLL_CTL_ADD, self.fd, &(struct epoll_event){ .events = EPOLLIN }) < 0)
		die(EX_OSERR, -errno, "cannot answer at %s", metricsd_where);
}

int
metricsd_folder(void)
{
	return self.local.fd < 0 ? -1 : self.local.folder;
}

void
metricsd_ready(void)
{
	struct event e;

	if (self.set < 0)
		return;
	if (self.local.fd < 0) {
		listen_ready(self.fd, "metrics");
		return;
	}
	event_begin(&e, "server.ready");
	event_str(&e, "addr", metricsd_where);
	event_str(&e, "proto", "metrics");
	event_send(&e);
}

void
metricsd_close(void)
{
	struct client *c;

	if (self.set < 0)
		return;
	for (c = clients; c < clients + METRICSD_CLIENTS; c++)
		if (c->open)
			cut(c);
	if (self.local.fd >= 0)
		local_close(&self.local);
	else
		close(self.fd);
	close(self.set);
	close(self.memory);
	self.set = self.fd = self.memory = -1;
}
