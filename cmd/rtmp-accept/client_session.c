/* The process of a connection, and what it says. */
#include "clients.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "cidr.h"
#include "crowd.h"
#include "die.h"

void
client_close(struct client *c, uint32_t code, const char *reason)
{
	struct ipc_close m = { .kind = IPC_CLOSE, .code = code };

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	client_state(c, LEAVING);
}

void
client_kill(const struct client *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
}

static bool
text_ends(const char *s, size_t cap)
{
	return memchr(s, '\0', cap) != NULL;
}

static bool
take_ask(struct client *c, struct ipc_ask *a, size_t n)
{
	if (n != sizeof(*a) || (c->state != TALKING && c->state != LIVE) || !text_ends(a->app, sizeof(a->app)) ||
		!text_ends(a->key, sizeof(a->key)) || !text_ends(a->query, sizeof(a->query)) ||
		!text_ends(a->tcurl, sizeof(a->tcurl)) || !text_ends(a->client, sizeof(a->client)) ||
		!text_ends(a->password.user, sizeof(a->password.user)) ||
		!text_ends(a->password.own, sizeof(a->password.own)) ||
		!text_ends(a->password.challenge, sizeof(a->password.challenge)) ||
		!text_ends(a->password.response, sizeof(a->password.response)))
		return false;
	client_ask(c, a);
	return true;
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
	client_name_remote(c);
	if (!(why = address_refusal(c->ip, false)))
		why = client_too_many(c);
	if (why) {
		client_refused(c, why);
		client_close(c, IPC_FAILED, why);
	}
	return true;
}

static bool
take_bye(struct client *c, const struct ipc_bye *b, size_t n)
{
	if (n != sizeof(*b) || !text_ends(b->reason, sizeof(b->reason)))
		return false;
	if (c->state != LIVE && c->state != LEAVING && b->code != IPC_OK)
		client_refused(c, b->reason);
	if (b->code == IPC_DENIED && c->state == TALKING)
		address_failed(c->ip);
	client_state(c, LEAVING);
	return true;
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
		client_kill(c);
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
		client_kill(c);
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

int
client_start(struct client *c)
{
	struct ipc_hello hello = { .kind = IPC_HELLO,
		.merge_ms = (uint32_t)(door.merge_ms < 0 ? CROWD_MERGE_MS : door.merge_ms),
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
	client_state(c, TALKING);
	ev_io_init(&c->io, on_packet, c->ipc, EV_READ);
	c->io.data = c;
	ev_io_start(door.loop, &c->io);
	return 0;
}
