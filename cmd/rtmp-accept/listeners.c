/* Where connections come from: addresses, and sockets that systemd passed on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "die.h"
#include "door.h"
#include "event.h"
#include "listen.h"

#define LISTENERS 16
#define HANDED_ON "RTMP_ACCEPT_LISTENERS" /* FD:KIND,... in the environment of the next binary; */
#define NAMES "RTMP_ACCEPT_NAMES" /* and what they are called, a line each */

static const char *const protos[] = { "rtmp", "rtmps", "agent" };

static struct listener {
	int fd;
	enum listener_kind kind;
	char name[LISTEN_TEXT]; /* for the coprocess: as --listen has it, or systemd */
	ev_io io;
} listeners[LISTENERS];
static int count;

/* Without a name it is its address. */
static void
add(int fd, enum listener_kind kind, const char *name)
{
	struct listener *l = &listeners[count];
	char addr[LISTEN_TEXT];
	uint16_t port;

	if (count == LISTENERS)
		die(EX_USAGE, 0, "more than %d addresses to listen on", LISTENERS);
	l->fd = fd;
	l->kind = kind;
	count++;
	if (name && *name)
		snprintf(l->name, sizeof(l->name), "%s", name);
	else if (!listen_name(fd, addr, &port))
		snprintf(l->name, sizeof(l->name), strchr(addr, ':') ? "[%.200s]:%u" : "%.200s:%u", addr, port);
}

void
listeners_open(char **where, const char *option, enum listener_kind kind)
{
	const char *why;
	int i, fd;

	for (i = 0; where && where[i]; i++) {
		if ((fd = listen_open(where[i], &why)) < 0) {
			if (why)
				die(EX_USAGE, 0, "%s %s: %s", option, where[i], why);
			die(fd == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, fd, "cannot listen on %s", where[i]);
		}
		add(fd, kind, NULL);
	}
}

/* Their names (FileDescriptorName=) say what is spoken; without one it is RTMP. */
void
listeners_passed(void)
{
	char name[LISTEN_TEXT];
	int i, n = listen_passed(), kind;

	if (n < 0)
		die(EX_USAGE, 0, "LISTEN_FDS: what was passed on is no listening socket");
	for (i = 0; i < n; i++) {
		listen_passed_name(i, name);
		for (kind = LISTENER_AGENT; kind > LISTENER_RTMP && strcmp(name, protos[kind]); kind--)
			;
		add(LISTEN_PASSED_FD + i, (enum listener_kind)kind, name);
	}
	listen_passed_done();
}

bool
listeners_inherited(void)
{
	const char *at = getenv(HANDED_ON), *names = getenv(NAMES);
	char name[LISTEN_TEXT];
	size_t len_name;
	int fd, kind, n, listens;
	socklen_t len = sizeof(listens);

	for (; at && sscanf(at, "%d:%d%n", &fd, &kind, &n) == 2; at += n + (at[n] == ',')) {
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens || kind < 0 ||
			kind > LISTENER_AGENT)
			die(EX_USAGE, 0, "%s: no listening sockets", HANDED_ON);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		len_name = names ? strcspn(names, "\n") : 0;
		snprintf(name, sizeof(name), "%.*s", (int)len_name, names ? names : "");
		if (names)
			names += len_name + (names[len_name] == '\n');
		add(fd, (enum listener_kind)kind, name);
	}
	unsetenv(HANDED_ON);
	unsetenv(NAMES);
	return count > 0;
}

void
listeners_hand_on(bool on)
{
	char text[LISTENERS * 24] = "", names[LISTENERS * (LISTEN_TEXT + 1)] = "";
	size_t n = 0, m = 0;
	int i;

	for (i = 0; i < count; i++) {
		fcntl(listeners[i].fd, F_SETFD, on ? 0 : FD_CLOEXEC);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d:%d", i ? "," : "", listeners[i].fd,
			listeners[i].kind);
		m += (size_t)snprintf(names + m, sizeof(names) - m, "%s\n", listeners[i].name);
	}
	if (on) {
		setenv(HANDED_ON, text, 1);
		setenv(NAMES, names, 1);
	} else {
		unsetenv(HANDED_ON);
		unsetenv(NAMES);
	}
}

void
listeners_pause(bool on)
{
	struct listener *l;

	for (l = listeners; l < listeners + count; l++)
		if (on)
			ev_io_stop(door.loop, &l->io);
		else
			ev_io_start(door.loop, &l->io);
}

bool
listeners_want(enum listener_kind kind)
{
	int i = 0;

	while (i < count && listeners[i].kind != kind)
		i++;
	return i < count;
}

uint16_t
listeners_port(void)
{
	char addr[LISTEN_TEXT];
	uint16_t port;

	return count && !listen_name(listeners[0].fd, addr, &port) ? port : 0;
}

/* HAProxy's agent check: a line, whatever it says; with an unread word the line could be lost. */
static void
tell_agent(int fd)
{
	char text[64], away[256];
	int n = 0;

	clients_capacity(text, sizeof(text));
	while (n++ < 16 && recv(fd, away, sizeof(away), MSG_DONTWAIT) > 0) /* not as long as he likes */
		;
	send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void
on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct listener *l = w->data;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, n;

	(void)loop;
	(void)events;
	for (n = 0; n < 64; n++) { /* then others have their turn */
		len = sizeof(ss);
		fd = accept4(w->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
				complain(-errno, "cannot accept a connection");
			if (errno != ECONNABORTED && errno != EINTR)
				return;
		} else if (l->kind == LISTENER_AGENT) {
			tell_agent(fd);
		} else {
			clients_accept(fd, (struct sockaddr *)&ss, len, l->name, l->kind == LISTENER_RTMPS);
		}
	}
}

void
listeners_start(void)
{
	struct listener *l;

	for (l = listeners; l < listeners + count; l++) {
		ev_io_init(&l->io, on_accept, l->fd, EV_READ);
		l->io.data = l;
		ev_io_start(door.loop, &l->io);
		listen_ready(l->fd, protos[l->kind]);
	}
}

void
listeners_stop(bool all)
{
	struct listener *l;

	for (l = listeners; l < listeners + count; l++) {
		if (l->fd < 0 || (!all && l->kind == LISTENER_AGENT))
			continue;
		ev_io_stop(door.loop, &l->io);
		close(l->fd);
		l->fd = -1;
	}
}
