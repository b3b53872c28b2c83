/* A publisher's question, the verdict on it, and the hand-over to a keeper. */
#include "clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "passfd.h"
#include "sha256.h"

void
client_forget_question(struct client *c)
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

void
client_refuse(struct client *c, uint32_t code, const char *reason)
{
	struct ipc_verdict m = { .kind = IPC_VERDICT, .code = code };

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	client_refused(c, reason);
	if (code == IPC_DENIED)
		address_failed(c->ip);
	send(c->ipc, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (c->media >= 0)
		close(c->media);
	c->media = -1;
	client_state(c, LEAVING);
}

/* Never used again: the time, our pid and a count. */
static void
name_session(struct client *c)
{
	static unsigned n;

	snprintf(c->session, sizeof(c->session), "%llx-%x-%x", (unsigned long long)clock_wall_ms(),
		(unsigned)getpid(), ++n);
}

/* Keyed by what only this process knows: whoever reads our memory later has no list of hashes. */
void
clients_mark(uint8_t mark[SHA256_BYTES], const char *key)
{
	sha256_hmac(mark, door.adobe.secret, sizeof(door.adobe.secret), "key", 3, key, strlen(key));
}

/* It is kept: if a publisher is in the way that gives way, it is put again. */
void
client_ask(struct client *c, const struct ipc_ask *a)
{
	/* Publishing again costs the coprocess and all readers of events what a connection does. */
	const char *why = c->state == LIVE ? address_refusal(c->ip, c->exempt) : NULL;

	name_session(c); /* another one each time that it publishes */
	c->again = false;
	clients_mark(c->key, a->key);
	memcpy(c->app, a->app, sizeof(c->app));
	memcpy(c->client, a->client, sizeof(c->client));
	if (door.draining)
		why = "the server is stopping";
	if (why) {
		client_refuse(c, IPC_FAILED, why);
		return;
	}
	client_state(c, ASKED);
	if ((c->ask = malloc(sizeof(*a))))
		*c->ask = *a;
	c->held = c->ask && keepers_unheard();
	if (c->held)
		return;
	if ((!c->ask || ask_again(c) < 0) && c->state == ASKED)
		client_refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
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
		client_state(c, TAKING);
		r = keepers_take(v, &m, pair[1]);
		close(pair[1]);
	}
	if (r < 0) {
		if (r != -ESTALE)
			complain(r, "cannot take the publisher of %s", v->stream);
		auth_notice("abandoned", c->session, v->broadcast);
		if (r == -ESTALE)
			auth_notice("broadcast-ended", NULL, v->broadcast);
		client_refuse(c, IPC_FAILED, "the server cannot take the broadcast now; try again");
	}
}

void
clients_verdict(const struct verdict *v)
{
	struct client *c = client_find(v->id);

	if (!c || c->state != ASKED) { /* it left, or the answer came too late */
		if (v->allow)
			auth_notice("abandoned", v->id, v->broadcast);
	} else if (v->allow && door.draining) { /* nobody would end a broadcast that begins now */
		client_forget_question(c);
		auth_notice("abandoned", c->session, v->broadcast);
		client_refuse(c, IPC_FAILED, "the server is stopping");
	} else if (v->allow) {
		client_forget_question(c);
		hand_over(c, v);
	} else if (v->busy && !c->again && keepers_yield(v->stream, c->session)) {
		c->again = true;
	} else {
		client_forget_question(c);
		client_refuse(c, v->busy ? IPC_BAD_NAME : IPC_DENIED, *v->reason ? v->reason : "not allowed");
	}
}

void
clients_yielded(const char *session)
{
	struct client *c = client_find(session);

	if (c && c->state == ASKED && c->ipc >= 0 && c->ask &&
		ask_again(c) < 0)
		client_refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
}

void
clients_taken(const char *session, bool ok, uint32_t code, const char *reason)
{
	struct ipc_verdict m = { .kind = IPC_VERDICT, .allow = 1, .merge_ms = clients_merge_ms };
	struct client *c = client_find(session);

	if (!ok)
		auth_notice("abandoned", session, c ? c->broadcast : NULL);
	if (!c || c->state != TAKING || c->ipc < 0)
		return; /* its media socket is closed, which tells the keeper */
	if (!ok) {
		client_refuse(c, code, reason);
		return;
	}
	passfd_send(c->ipc, &m, sizeof(m), c->media); /* a session that has died is reaped; the keeper sees the socket's end */
	close(c->media);
	c->media = -1;
	client_state(c, LIVE);
}

void
clients_put_held(void)
{
	struct client *c, *next;

	for (c = clients; c; c = next) {
		next = c->next;
		if (!c->held)
			continue;
		c->held = false;
		if (c->state == ASKED && c->ipc >= 0 && ask_again(c) < 0)
			client_refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
	}
}

void
clients_auth_lost(void)
{
	struct client *c;

	for (c = clients; c; c = c->next)
		if (c->state == ASKED && c->ipc >= 0)
			client_refuse(c, IPC_FAILED, "stream keys cannot be checked now; try again");
}

bool
clients_wait_for_auth(void)
{
	const struct client *c = clients;

	while (c && c->state != ASKED)
		c = c->next;
	return c != NULL;
}
