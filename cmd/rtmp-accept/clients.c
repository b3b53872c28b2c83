/* Connections: accepted, counted, watched, and let go. */
#include "clients.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "crowd.h"
#include "die.h"
#include "event.h"

#define SPARE_MS 5000 /* what a session may take longer than its own time-outs */

struct client *clients;
static int count, pending;
uint32_t clients_merge_ms;
static int64_t accepted, refusals, published;
struct metrics_counts clients_refusals;

static bool
is_pending(const struct client *c)
{
	return c->state != LIVE && (c->state != LEAVING || !c->let_in);
}

void
client_state(struct client *c, enum state state)
{
	pending -= is_pending(c);
	published += state == LIVE && c->state != LIVE;
	c->state = state;
	c->let_in |= state == LIVE;
	pending += is_pending(c);
	c->since_ms = clock_mono_ms();
}

void
client_drop(struct client *c)
{
	struct client **at = &clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->fd >= 0 || c->ipc >= 0)
		ev_io_stop(door.loop, &c->io);
	if (c->fd >= 0)
		close(c->fd);
	if (c->ipc >= 0)
		close(c->ipc);
	if (c->media >= 0)
		close(c->media);
	if (c->tls_why >= 0)
		close(c->tls_why);
	pending -= is_pending(c);
	count--;
	client_forget_question(c);
	free(c);
}

void
client_refused(const struct client *c, const char *reason)
{
	struct event e;

	event_begin(&e, "publish.refused");
	event_str(&e, "remote", c->remote);
	event_str(&e, "session", *c->session ? c->session : NULL);
	event_str(&e, "app", *c->app ? c->app : NULL);
	event_str(&e, "client", *c->client ? c->client : NULL);
	event_str(&e, "reason", reason);
	event_send(&e);
	refusals++;
	metrics_count(&clients_refusals, reason, 1);
}

struct client *
client_find(const char *session)
{
	struct client *c = clients;

	while (c && strcmp(c->session, session))
		c = c->next;
	return c;
}

static int
pending_from(const char *ip)
{
	const struct client *c;
	int n = 0;

	for (c = clients; c; c = c->next)
		n += is_pending(c) && !strcmp(c->ip, ip);
	return n;
}

const char *
client_too_many(const struct client *c)
{
	return pending_from(c->ip) > door.max_pending_address ?
		"too many connections from this address that do not publish" : NULL;
}

void
client_name_remote(struct client *c)
{
	snprintf(c->remote, sizeof(c->remote), strchr(c->ip, ':') ? "[%s]:%u" : "%s:%u", c->ip, c->port);
}

static void
leave_to_tls(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	client_state(c, LEAVING);
}

static void
on_first_byte(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	int r;

	(void)events;
	ev_io_stop(loop, w);
	if ((r = client_start(c)) < 0) {
		complain(r, "cannot start a session for %s", c->remote);
		client_refused(c, "no session could be started");
		if (c->tls_pid) /* it sees the end of what would have been the session, and leaves */
			leave_to_tls(c);
		else
			client_drop(c);
	}
}

static void
name_address(const struct sockaddr *sa, socklen_t len, char *ip, size_t cap, uint16_t *port)
{
	char service[8] = "0";

	if (getnameinfo(sa, len, ip, (socklen_t)cap, service, sizeof(service),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(ip, cap, "unknown");
	if (!strncmp(ip, "::ffff:", 7) && strchr(ip, '.'))
		memmove(ip, ip + 7, strlen(ip + 7) + 1);
	*port = (uint16_t)strtol(service, NULL, 10);
}

/* Above half of --max-pending newcomers are dropped at random, the more the fuller it is. */
static bool
crowded(void)
{
	int half = door.max_pending / 2, over = pending - half;
	uint32_t dice = 0;

	if (over <= 0)
		return false;
	if (pending >= door.max_pending || getrandom(&dice, sizeof(dice), 0) < 0)
		return true;
	return dice % (uint32_t)(door.max_pending - half) < (uint32_t)over;
}

int
clients_accept(int fd, const struct sockaddr *sa, socklen_t len, const char *listener, bool tls)
{
	struct client *c = calloc(1, sizeof(*c));
	struct sockaddr_storage local;
	socklen_t local_len = sizeof(local);
	const char *why = NULL;
	int one = 1;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->tls = tls;
	c->listener = listener;
	c->ipc = c->media = c->tls_why = -1;
	c->opened_ms = c->since_ms = clock_mono_ms();
	c->next = clients;
	clients = c;
	count++;
	pending++;
	accepted++;
	ev_io_init(&c->io, on_first_byte, fd, EV_READ);
	c->io.data = c;
	name_address(sa, len, c->ip, sizeof(c->ip), &c->port);
	if (!getsockname(fd, (struct sockaddr *)&local, &local_len))
		name_address((struct sockaddr *)&local, local_len, c->local_ip, sizeof(c->local_ip),
			&c->local_port);
	client_name_remote(c);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	c->proxied = address_front_end(c->ip);
	c->exempt = c->proxied || !strcmp(c->ip, "::1") || !strncmp(c->ip, "127.", 4);
	if (count > door.max_connections)
		why = "too many connections";
	else if (!c->proxied && (why = address_refusal(c->ip, c->exempt)))
		;
	else if (!c->exempt && (why = client_too_many(c)))
		;
	else if (crowded())
		why = "too many connections that do not publish";
	if (why) {
		client_refused(c, why);
		client_drop(c);
		return -EBUSY;
	}
	ev_io_start(door.loop, &c->io);
	return 0;
}

static void
look_at(struct client *c, int64_t now)
{
	int64_t age = now - c->since_ms;

	if (c->state == SILENT && age >= door.publish_ms) {
		client_refused(c, "nothing was sent");
		client_drop(c);
	} else if (c->state == ASKED && age >= DOOR_WAIT_MS && c->ipc >= 0) {
		client_refuse(c, IPC_FAILED, "the stream key was not checked in time; try again");
	} else if (c->state == TAKING && age >= DOOR_WAIT_MS && c->ipc >= 0) {
		client_refuse(c, IPC_FAILED, "the broadcast was not taken in time; try again");
	} else if ((c->state == TALKING && age >= door.publish_ms + SPARE_MS) ||
		(c->state == LEAVING && age >= SPARE_MS)) {
		client_kill(c);
		if (!c->pid && c->tls_pid)
			kill(c->tls_pid, SIGKILL);
	}
}

static void
look_at_crowd(void)
{
	struct ipc_merge m = { IPC_MERGE, crowd_merge_ms(door.merge_ms, count - pending, clients_merge_ms) };
	struct client *c;

	for (c = m.ms != clients_merge_ms ? clients : NULL; c; c = c->next)
		if (c->state == LIVE && c->ipc >= 0)
			send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	clients_merge_ms = m.ms;
}

void
clients_tick(int64_t now)
{
	struct client *c, *next;

	look_at_crowd();
	for (c = clients; c; c = next) {
		next = c->next;
		look_at(c, now);
	}
}

/* Its TLS process tells what the session behind it cannot know. */
static void
tls_reaped(struct client *c, int status)
{
	char why[160] = "no TLS handshake: ";
	size_t n = strlen(why);

	c->tls_pid = 0;
	if (*c->session || (WIFEXITED(status) && !WEXITSTATUS(status)))
		return;
	if (read(c->tls_why, why + n, sizeof(why) - n - 1) <= 0)
		snprintf(why + n, sizeof(why) - n, "its process died");
	client_refused(c, why);
}

void
clients_reaped(pid_t pid, int status)
{
	struct client *c = clients;

	while (c && c->pid != pid && c->tls_pid != pid)
		c = c->next;
	if (!c)
		return;
	if (c->tls_pid == pid) {
		tls_reaped(c, status);
	} else {
		if (c->state == ASKED) /* an allow that comes later is answered with "abandoned" */
			inform("%s left while its key was looked at", c->remote);
		c->pid = 0;
		client_state(c, LEAVING);
	}
	if (!c->pid && !c->tls_pid)
		client_drop(c);
}

void
clients_drain(void)
{
	struct ipc_reconnect again = { IPC_RECONNECT, "the server is stopping; connect again" };
	struct client *c, *next;

	for (c = clients; c; c = next) {
		next = c->next;
		if (c->state == SILENT)
			client_drop(c);
		else if (c->state == TALKING && c->ipc >= 0)
			client_close(c, IPC_FAILED, "the server is stopping");
		else if (c->state == LIVE && c->ipc >= 0)
			send(c->ipc, &again, sizeof(again), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

int
clients_count(void)
{
	return count;
}

void
clients_capacity(char *text, size_t cap)
{
	int left = door.max_connections - count;

	if (door.draining)
		snprintf(text, cap, "drain\n");
	else if (!auth_runs())
		snprintf(text, cap, "down#stream keys cannot be checked\n");
	else
		snprintf(text, cap, "up ready %d%%\n",
			left <= 0 ? 0 : (int)(((int64_t)left * 100 + door.max_connections - 1) / door.max_connections));
}

void
clients_stats(struct clients_stats *s)
{
	*s = (struct clients_stats){ count, pending, accepted, refusals, published };
}
