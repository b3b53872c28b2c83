/* Connections: counted, given a session each, judged, and handed to a keeper. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "die.h"
#include "door.h"
#include "event.h"
#include "passfd.h"
#include "sha256.h"

#define SPARE_MS 5000 /* what a session may take longer than its own time-outs */

enum state { SILENT, TALKING, ASKED, TAKING, LIVE, LEAVING };

struct client {
	enum state state;
	int fd, ipc;       /* the connection until its session has it; the session's packets */
	pid_t pid;         /* 0: no session yet, or no more */
	const char *listener;
	bool tls;
	pid_t tls_pid;     /* likewise of its TLS process */
	int tls_why;       /* a pipe: why that has failed */
	ev_io io;          /* the first byte, then the packets */
	int64_t since_ms;  /* in this state */
	int64_t opened_ms;
	bool proxied;      /* its front end is to say whose connection it is */
	bool exempt;       /* of the bound an address: ourselves, and front ends */
	int media;         /* the session's end of the media socket, while a keeper takes it */
	char session[65], broadcast[27], remote[64], ip[48], local_ip[48], app[129], client[129];
	uint16_t port, local_port;
	struct ipc_ask *ask; /* until its verdict */
	uint8_t key[SHA256_BYTES]; /* what an operator's "kick" is compared with: no key stays here */
	bool again;          /* it was put twice */
	struct client *next;
};

static struct client *clients;
static int count, pending;
static bool merging; /* what sessions were told last */
static int64_t accepted, refusals, published;
struct metrics_counts clients_refusals;

static void
set_state(struct client *c, enum state state)
{
	pending += (state != LIVE) - (c->state != LIVE);
	c->state = state;
	c->since_ms = clock_mono_ms();
}

static void
forget_question(struct client *c)
{
	if (c->ask)
		explicit_bzero(c->ask, sizeof(*c->ask));
	free(c->ask);
	c->ask = NULL;
}

static int
ask_again(const struct client *c)
{
	return auth_ask(c->ask, c->listener, c->tls ? "rtmps" : "rtmp", c->session, c->remote);
}

/* It is kept: if a publisher is in the way that gives way, it is put again. */
static int
put_question(struct client *c, const struct ipc_ask *ask)
{
	if (!(c->ask = malloc(sizeof(*ask))))
		return -ENOMEM;
	*c->ask = *ask;
	return ask_again(c);
}

static void
drop(struct client *c)
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
	pending -= c->state != LIVE;
	count--;
	forget_question(c);
	free(c);
}

static void
refused(const struct client *c, const char *reason)
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

static void
send_close(struct client *c, uint32_t code, const char *reason)
{
	struct ipc_close m = { .kind = IPC_CLOSE, .code = code };

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	set_state(c, LEAVING);
}

static void
refuse(struct client *c, uint32_t code, const char *reason)
{
	struct ipc_verdict m = { .kind = IPC_VERDICT, .code = code };

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	refused(c, reason);
	if (code == IPC_DENIED)
		address_failed(c->ip);
	send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (c->media >= 0)
		close(c->media);
	c->media = -1;
	set_state(c, LEAVING);
}

static struct client *
find(const char *session)
{
	struct client *c = clients;

	while (c && strcmp(c->session, session))
		c = c->next;
	return c;
}

/* Never used again: the time, our pid and a count. */
static void
name_session(struct client *c)
{
	static unsigned n;

	snprintf(c->session, sizeof(c->session), "%llx-%x-%x", (unsigned long long)clock_wall_ms(),
		(unsigned)getpid(), ++n);
}

static bool
text_ends(const char *s, size_t cap)
{
	return memchr(s, '\0', cap) != NULL;
}

/* Keyed by what only this process knows: whoever reads our memory later has no list of hashes. */
void
clients_mark(uint8_t mark[SHA256_BYTES], const char *key)
{
	sha256_hmac(mark, door.adobe.secret, sizeof(door.adobe.secret), "key", 3, key, strlen(key));
}

static bool
take_ask(struct client *c, struct ipc_ask *a, size_t n)
{
	int r;

	if (n != sizeof(*a) || (c->state != TALKING && c->state != LIVE) || !text_ends(a->app, sizeof(a->app)) ||
		!text_ends(a->key, sizeof(a->key)) || !text_ends(a->query, sizeof(a->query)) ||
		!text_ends(a->tcurl, sizeof(a->tcurl)) || !text_ends(a->client, sizeof(a->client)) ||
		!text_ends(a->password.user, sizeof(a->password.user)) ||
		!text_ends(a->password.own, sizeof(a->password.own)) ||
		!text_ends(a->password.challenge, sizeof(a->password.challenge)) ||
		!text_ends(a->password.response, sizeof(a->password.response)))
		return false;
	name_session(c); /* another one each time that it publishes */
	c->again = false;
	clients_mark(c->key, a->key);
	memcpy(c->app, a->app, sizeof(c->app));
	memcpy(c->client, a->client, sizeof(c->client));
	if (door.draining) {
		refuse(c, IPC_FAILED, "the server is stopping");
		return true;
	}
	set_state(c, ASKED);
	if ((r = put_question(c, a)) < 0 && c->state == ASKED)
		refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
	return true;
}

static int
pending_from(const char *ip)
{
	const struct client *c;
	int n = 0;

	for (c = clients; c; c = c->next)
		n += c->state != LIVE && !strcmp(c->ip, ip);
	return n;
}

static const char many_from_address[] = "too many connections from this address that do not publish";

static void
name_remote(struct client *c)
{
	snprintf(c->remote, sizeof(c->remote), strchr(c->ip, ':') ? "[%s]:%u" : "%s:%u", c->ip, c->port);
}

/* Bounds an address hold for what is behind a front end, not for the front end. */
static bool
take_peer(struct client *c, const struct ipc_peer *p, size_t n)
{
	struct cidr any;
	const char *why;

	if (n != sizeof(*p) || !c->proxied || c->state != TALKING || !text_ends(p->ip, sizeof(p->ip)) ||
		!text_ends(p->local_ip, sizeof(p->local_ip)) || cidr_parse(&any, p->ip) < 0 ||
		cidr_parse(&any, p->local_ip) < 0)
		return false;
	c->proxied = c->exempt = false;
	memcpy(c->ip, p->ip, sizeof(c->ip));
	memcpy(c->local_ip, p->local_ip, sizeof(c->local_ip));
	c->port = p->port;
	c->local_port = p->local_port;
	name_remote(c);
	if (!(why = address_refusal(c->ip, false)) && pending_from(c->ip) > door.max_pending_address)
		why = many_from_address;
	if (why) {
		refused(c, why);
		send_close(c, IPC_FAILED, why);
	}
	return true;
}

static bool
take_bye(struct client *c, const struct ipc_bye *b, size_t n)
{
	if (n != sizeof(*b) || !text_ends(b->reason, sizeof(b->reason)))
		return false;
	if (c->state != LIVE && c->state != LEAVING && b->code != IPC_OK)
		refused(c, b->reason);
	if (b->code == IPC_DENIED && c->state == TALKING)
		address_failed(c->ip);
	set_state(c, LEAVING);
	return true;
}

static void
kill_session(const struct client *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
}

/* What a session says is as hostile as what it read; a malformed packet costs it its life. */
static void
on_packet(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	union {
		uint32_t kind;
		struct ipc_peer peer;
		struct ipc_ask ask;
		struct ipc_bye bye;
		uint8_t bytes[IPC_MAX];
	} m;
	ssize_t n;
	bool good = false;

	(void)loop;
	(void)events;
	n = recv(c->ipc, &m, sizeof(m), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* the process is reaped after this */
		ev_io_stop(door.loop, &c->io);
		close(c->ipc);
		c->ipc = -1;
		kill_session(c);
		return;
	}
	if ((size_t)n >= sizeof(m.kind) && m.kind == IPC_ASK)
		good = take_ask(c, &m.ask, (size_t)n);
	else if ((size_t)n >= sizeof(m.kind) && m.kind == IPC_PEER)
		good = take_peer(c, &m.peer, (size_t)n);
	else if ((size_t)n >= sizeof(m.kind) && m.kind == IPC_BYE)
		good = take_bye(c, &m.bye, (size_t)n);
	explicit_bzero(&m, sizeof(m));
	if (!good) {
		warning(0, "the session of %s sent a malformed packet and was killed", c->remote);
		kill_session(c);
	}
}

/* The process of the connection's own, and what the session has in place of the connection. */
static int
start_tls(struct client *c)
{
	int pair[2], why[2] = { -1, -1 }, r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = pipe2(why, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno
		: cert_start(c->fd, pair[1], why[1], c->proxied, &c->tls_pid);
	close(pair[1]);
	if (why[1] >= 0)
		close(why[1]);
	c->tls_why = why[0];
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	close(c->fd);
	c->fd = pair[0];
	return 0;
}

static int
start_session(struct client *c)
{
	struct ipc_hello hello = { .kind = IPC_HELLO,
		.merge_ms = (uint32_t)(door.merge_ms < 0 ? DOOR_MERGE_MS : door.merge_ms),
		.publish_ms = (uint32_t)door.publish_ms,
		.silence_ms = (uint32_t)door.silence_ms,
		.max_message_early = 1 << 20,
		.max_message = RECORD_MAX,
		.proxied = c->proxied,
		.codecs = door.codecs,
		.adobe = door.adobe,
		.sandbox = (uint32_t)door.sandbox };
	char path[4096];
	char *argv[] = { path, NULL }, *envp[] = { NULL };
	int pair[2], r;

	if ((r = child_beside(path, sizeof(path), "libexec/lv", "rtmp-session")) < 0 ||
		(c->tls && (r = start_tls(c)) < 0))
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	snprintf(hello.play_url, sizeof(hello.play_url), "%s", door.play_url ? door.play_url : "");
	snprintf(hello.remote, sizeof(hello.remote), "%s", c->remote);
	if (send(pair[0], &hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r = -errno;
	else
		r = child_start(&c->pid, &(struct child_spec){ .argv = argv, .envp = envp,
			.fds = (int[]){ c->fd, -1, STDERR_FILENO, pair[1] }, .nfds = 4 });
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	close(c->fd);
	c->fd = -1;
	c->ipc = pair[0];
	set_state(c, TALKING);
	ev_io_init(&c->io, on_packet, c->ipc, EV_READ);
	c->io.data = c;
	ev_io_start(door.loop, &c->io);
	return 0;
}

static void
leave_to_tls(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	set_state(c, LEAVING);
}

static void
on_first_byte(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	int r;

	(void)events;
	ev_io_stop(loop, w);
	if ((r = start_session(c)) < 0) {
		complain(r, "cannot start a session for %s", c->remote);
		refused(c, "no session could be started");
		if (c->tls_pid) /* it sees the end of what would have been the session, and leaves */
			leave_to_tls(c);
		else
			drop(c);
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
	name_remote(c);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	c->proxied = address_front_end(c->ip);
	c->exempt = c->proxied || !strcmp(c->ip, "::1") || !strncmp(c->ip, "127.", 4);
	if (count > door.max_connections)
		why = "too many connections";
	else if (!c->proxied && (why = address_refusal(c->ip, c->exempt)))
		;
	else if (!c->exempt && pending_from(c->ip) > door.max_pending_address)
		why = many_from_address;
	else if (crowded())
		why = "too many connections that do not publish";
	if (why) {
		refused(c, why);
		drop(c);
		return -EBUSY;
	}
	ev_io_start(door.loop, &c->io);
	return 0;
}

/* The media socket: one end to the keeper, the other to the session once the keeper has taken it. */
static void
hand_over(struct client *c, const struct verdict *v)
{
	struct keep_session m = { .kind = KEEP_SESSION,
		.max_kbps = (uint32_t)v->max_kbps,
		.until_ms = v->until_ms,
		.epoch = v->epoch,
		.remote_port = c->port,
		.local_port = c->local_port };
	int pair[2], r;

	snprintf(m.proto, sizeof(m.proto), c->tls ? "RTMPS" : "RTMP");
	memcpy(m.key, c->key, sizeof(m.key));
	memcpy(m.session, c->session, sizeof(m.session));
	memcpy(m.remote_ip, c->ip, sizeof(m.remote_ip));
	memcpy(m.local_ip, c->local_ip, sizeof(m.local_ip));
	memcpy(m.app, c->app, sizeof(m.app));
	memcpy(m.client, c->client, sizeof(m.client));
	memcpy(c->broadcast, v->broadcast, sizeof(c->broadcast));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		r = -errno;
	} else {
		c->media = pair[0];
		set_state(c, TAKING);
		r = keepers_take(v, &m, pair[1]);
		close(pair[1]);
	}
	if (r < 0) {
		complain(r, "cannot take the publisher of %s", v->stream);
		auth_notice("abandoned", c->session, v->broadcast);
		refuse(c, IPC_FAILED, "the server cannot take the broadcast now; try again");
	}
}

void
clients_verdict(const struct verdict *v)
{
	struct client *c = find(v->id);

	if (!c || c->state != ASKED) { /* it left, or the answer came too late */
		if (v->allow)
			auth_notice("abandoned", v->id, v->broadcast);
	} else if (v->allow) {
		forget_question(c);
		hand_over(c, v);
	} else if (v->busy && !c->again && keepers_yield(v->stream, c->session)) {
		c->again = true;
	} else {
		forget_question(c);
		refuse(c, v->busy ? IPC_BAD_NAME : IPC_DENIED, *v->reason ? v->reason : "not allowed");
	}
}

void
clients_yielded(const char *session)
{
	struct client *c = find(session);

	if (c && c->state == ASKED && c->ipc >= 0 && c->ask &&
		ask_again(c) < 0)
		refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
}

void
clients_taken(const char *session, bool ok, uint32_t code, const char *reason)
{
	struct ipc_verdict m = { .kind = IPC_VERDICT, .allow = 1, .merge = merging };
	struct client *c = find(session);

	if (!ok)
		auth_notice("abandoned", session, c ? c->broadcast : NULL);
	if (!c || c->state != TAKING || c->ipc < 0)
		return; /* its media socket is closed, which tells the keeper */
	if (!ok) {
		refuse(c, code, reason);
		return;
	}
	passfd_send(c->ipc, &m, sizeof(m), c->media); /* a session that has died is reaped; the keeper sees the socket's end */
	close(c->media);
	c->media = -1;
	set_state(c, LIVE);
	published++;
}

void
clients_auth_lost(void)
{
	struct client *c;

	for (c = clients; c; c = c->next)
		if (c->state == ASKED && c->ipc >= 0)
			refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
}

bool
clients_wait_for_auth(void)
{
	const struct client *c = clients;

	while (c && c->state != ASKED)
		c = c->next;
	return c != NULL;
}

static void
look_at(struct client *c, int64_t now)
{
	int64_t age = now - c->since_ms;

	if (c->state == SILENT && age >= door.publish_ms) {
		refused(c, "nothing was sent");
		drop(c);
	} else if (c->state == ASKED && age >= DOOR_WAIT_MS && c->ipc >= 0) {
		refuse(c, IPC_FAILED, "the stream key was not checked in time; try again");
	} else if (c->state == TAKING && age >= DOOR_WAIT_MS && c->ipc >= 0) {
		refuse(c, IPC_FAILED, "the broadcast was not taken in time; try again");
	} else if ((c->state == TALKING && age >= door.publish_ms + SPARE_MS) ||
		(c->state == LEAVING && age >= SPARE_MS)) {
		kill_session(c);
		if (!c->pid && c->tls_pid)
			kill(c->tls_pid, SIGKILL);
	}
}

/* By itself where many publish, unless it was said when. */
static void
look_at_crowd(void)
{
	int live = count - pending;
	bool merge = door.merge_ms > 0 || (door.merge_ms < 0 && live >= (merging ? DOOR_MERGE_FEW : DOOR_MERGE_MANY));
	struct ipc_merge m = { IPC_MERGE, merge };
	struct client *c;

	for (c = merge != merging ? clients : NULL; c; c = c->next)
		if (c->state == LIVE && c->ipc >= 0)
			send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	merging = merge;
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
	refused(c, why);
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
		set_state(c, LEAVING);
	}
	if (!c->pid && !c->tls_pid)
		drop(c);
}

void
clients_drain(void)
{
	struct ipc_reconnect again = { IPC_RECONNECT, "the server is stopping; connect again" };
	struct client *c, *next;

	for (c = clients; c; c = next) {
		next = c->next;
		if (c->state == SILENT)
			drop(c);
		else if (c->state == TALKING && c->ipc >= 0)
			send_close(c, IPC_FAILED, "the server is stopping");
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
