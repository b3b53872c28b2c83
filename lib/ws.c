#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "wsloop.h"

#define LISTENERS 8
#define ACCEPTS 64          /* in one turn of the loop */
#define RX_BYTES 1024       /* libwebsockets' buffer for each connection */
#define TX_BYTES (64 << 10) /* and the most that it writes at once */
#define REASON_MAX 123
#define CLOSE_S 5
#define SNDBUF (128 << 10) /* what a client that takes nothing costs the kernel; it would let it grow */

struct ws {
	struct ws_config config;
	struct ev_loop *loop;
	struct wsloop io;
	ev_io listeners[LISTENERS];
	unsigned listener_count, connections;
	bool ending;
};

/* libwebsockets gives every connection room for one of these, zeroed. */
struct ws_conn {
	struct lws *wsi;
	struct ws *ws;
	void *user;
	struct buf in; /* a message that comes in pieces */
	int64_t heard_ms;
	unsigned code; /* with which it shall end */
	bool open, writable_asked, ping_asked;
	char *reason; /* at most REASON_MAX bytes */
	char remote[INET6_ADDRSTRLEN];
};

static struct ws *
ws_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static int
copied(int r, char *text)
{
	if (r <= 0)
		*text = '\0';
	return r < 0 ? -EMSGSIZE : r;
}

static int
header(const struct ws_conn *c, enum lws_token_indexes which, char *text, size_t cap)
{
	return copied(lws_hdr_copy(c->wsi, text, (int)cap, which), text);
}

int
ws_path(const struct ws_conn *c, char *text, size_t cap)
{
	return header(c, WSI_TOKEN_GET_URI, text, cap);
}

int
ws_origin(const struct ws_conn *c, char *text, size_t cap)
{
	return header(c, WSI_TOKEN_ORIGIN, text, cap);
}

int
ws_authorization(const struct ws_conn *c, char *text, size_t cap)
{
	return header(c, WSI_TOKEN_HTTP_AUTHORIZATION, text, cap);
}

int
ws_argument(const struct ws_conn *c, const char *name, char *text, size_t cap)
{
	size_t len = strlen(name), n;
	char piece[4096];
	int i, r;

	*text = '\0';
	for (i = 0; (r = lws_hdr_copy_fragment(c->wsi, piece, sizeof(piece), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++) {
		if (strncmp(piece, name, len) || piece[len] != '=')
			continue;
		if ((n = strlen(piece + len + 1)) >= cap)
			return -EMSGSIZE;
		memcpy(text, piece + len + 1, n + 1);
		return (int)n;
	}
	return 0;
}

static const char *
address(char text[INET6_ADDRSTRLEN], const struct sockaddr_storage *sa, socklen_t len)
{
	if (getnameinfo((const struct sockaddr *)sa, len, text, INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST))
		snprintf(text, INET6_ADDRSTRLEN, "unknown");
	return text;
}

/* Behind a proxy of ours the address is the one that the proxy saw, the last. */
static void
find_remote(struct ws_conn *c)
{
	char list[1024], *last;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (c->ws->config.proxied && header(c, WSI_TOKEN_X_FORWARDED_FOR, list, sizeof(list)) > 0) {
		last = strrchr(list, ',');
		last = last ? last + 1 : list;
		last += strspn(last, " \t");
		snprintf(c->remote, sizeof(c->remote), "%.*s", (int)strcspn(last, " \t"), last);
		return;
	}
	if (getpeername(lws_get_socket_fd(c->wsi), (struct sockaddr *)&sa, &len) < 0)
		len = 0;
	address(c->remote, &sa, len);
}

const char *
ws_remote(const struct ws_conn *c)
{
	return c->remote;
}

int64_t
ws_heard_ms(const struct ws_conn *c)
{
	return c->heard_ms;
}

static void
ask_writable(struct ws_conn *c)
{
	if (!c->writable_asked)
		lws_callback_on_writable(c->wsi);
	c->writable_asked = true;
}

bool
ws_behind(const struct ws_conn *c)
{
	return c->writable_asked || lws_partial_buffered(c->wsi);
}

/*
 * Written at once, not from the WRITEABLE callback: that would cost two system calls more for each
 * client.  It is sound while nothing is left of an earlier write, which is looked at first.
 * LWS_WRITE_RAW: the frames have their heads already, so that all clients share them.
 */
int
ws_send(struct ws_conn *c, const void *frames, size_t n)
{
	if (!c->open || c->code)
		return 1; /* it is leaving */
	if (ws_behind(c)) {
		ask_writable(c);
		return 0;
	}
	if (n && lws_write(c->wsi, (unsigned char *)frames, n, LWS_WRITE_RAW) < 0)
		ws_drop(c);
	return 1;
}

void
ws_ping(struct ws_conn *c)
{
	c->ping_asked = true;
	ask_writable(c);
}

void
ws_close(struct ws_conn *c, unsigned code, const char *reason)
{
	if (c->code)
		return;
	c->code = code;
	c->reason = strndup(reason, REASON_MAX);
	if (!c->open)
		return;
	ask_writable(c);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, CLOSE_S); /* if it takes nothing any more */
}

void
ws_drop(struct ws_conn *c)
{
	c->code = 1006;
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* One message or a piece of it; a message that came whole is not copied. */
static int
on_receive(struct ws_conn *c, const char *in, size_t n)
{
	bool last = lws_is_final_fragment(c->wsi) && !lws_remaining_packet_payload(c->wsi);

	c->heard_ms = clock_mono_ms();
	if (lws_frame_is_binary(c->wsi)) {
		ws_close(c, 1003, "binary");
		return 0;
	}
	if (c->code)
		return 0;
	if (buf_len(&c->in) + n > c->ws->config.message_max) {
		buf_free(&c->in);
		ws_close(c, 1009, "too long");
		return 0;
	}
	if (last && !buf_len(&c->in)) {
		c->ws->config.message(c->user, in, n);
		return 0;
	}
	if (buf_append(&c->in, in, n) < 0)
		return -1;
	if (last) {
		c->ws->config.message(c->user, (const char *)buf_data(&c->in), buf_len(&c->in));
		buf_free(&c->in);
		c->in = (struct buf){ 0 };
	}
	return 0;
}

static int
on_writeable(struct ws_conn *c)
{
	unsigned char ping[LWS_PRE + 4]; /* an empty one's answer would not be told of */

	c->writable_asked = false;
	if (lws_partial_buffered(c->wsi)) {
		ask_writable(c);
		return 0;
	}
	if (c->code) {
		lws_close_reason(c->wsi, (enum lws_close_status)c->code, (unsigned char *)c->reason,
			c->reason ? strlen(c->reason) : 0);
		return -1;
	}
	if (c->ping_asked) {
		c->ping_asked = false;
		ask_writable(c); /* one write each time */
		memcpy(ping + LWS_PRE, "ping", 4);
		return lws_write(c->wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 0 ? -1 : 0;
	}
	c->ws->config.writable(c->user);
	return 0;
}

/* libwebsockets would say HTTP/1.0 here, with a page. */
static int
refuse(struct lws *wsi, int status)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
		"HTTP/1.1 %d Refused\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status,
		status == 429 || status == 503 ? "Retry-After: 30\r\n" : "");

	lws_write(wsi, (unsigned char *)text, (size_t)n, LWS_WRITE_RAW);
	return -1;
}

static int
on_filter(struct lws *wsi, struct ws_conn *c)
{
	int status;

	c->wsi = wsi;
	c->ws = ws_of(wsi);
	find_remote(c);
	c->heard_ms = clock_mono_ms();
	status = c->ws->ending ? 503 : c->ws->config.open(c->ws->config.ctx, c, &c->user);
	return status ? refuse(wsi, status) : 0;
}

static int
on_page(struct lws *wsi, const char *path)
{
	struct ws *ws = ws_of(wsi);
	unsigned char head[LWS_PRE + 512], *start = head + LWS_PRE, *p = start, *end = head + sizeof(head);
	char body[LWS_PRE + 1024];
	size_t n = ws->config.page(ws->config.ctx, path, body + LWS_PRE, sizeof(body) - LWS_PRE);

	if (!n)
		return refuse(wsi, HTTP_STATUS_NOT_FOUND);
	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "application/json", n, &p, end) ||
		lws_finalize_write_http_header(wsi, start, &p, end) ||
		lws_write(wsi, (unsigned char *)body + LWS_PRE, n, LWS_WRITE_HTTP_FINAL) < 0)
		return -1;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static void
leave(struct ws *ws, void *mark)
{
	if (mark)
		ws->config.left(ws->config.ctx, mark);
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct ws_conn *c = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_page(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return on_filter(wsi, c);
	case LWS_CALLBACK_ESTABLISHED:
		c->open = true;
		c->ws->config.opened(c->user);
		if (c->code)
			ask_writable(c);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return on_receive(c, in, n);
	case LWS_CALLBACK_RECEIVE_PONG:
		c->heard_ms = clock_mono_ms();
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return c->open ? on_writeable(c) : 0;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: /* after 101 was decided on, before ESTABLISHED */
		if (c->user)
			c->ws->config.closed(c->user);
		c->user = NULL;
		buf_free(&c->in);
		free(c->reason);
		c->reason = NULL;
		c->open = false;
		return 0;
	case LWS_CALLBACK_WSI_CREATE:
		ws_of(wsi)->connections++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		ws_of(wsi)->connections--;
		leave(ws_of(wsi), lws_get_opaque_user_data(wsi));
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "lv-chat.v1", .callback = on_event, .per_session_data_size = sizeof(struct ws_conn),
		.rx_buffer_size = RX_BYTES, .tx_packet_size = TX_BYTES },
	{ 0 },
};

int
ws_new(struct ws **out, struct ev_loop *loop, const struct ws_config *config)
{
	struct ws *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws)
		return -ENOMEM;
	ws->config = *config;
	ws->loop = loop;
	r = wsloop_open(&ws->io, loop, protocols,
		LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_DISABLE_IPV6, ws);
	if (r < 0)
		free(ws);
	else
		*out = ws;
	return r;
}

static void
on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct ws *ws = w->data;
	int fd, n, on = 1, bytes = SNDBUF;
	struct sockaddr_storage sa;
	char remote[INET6_ADDRSTRLEN];
	struct lws *wsi;
	socklen_t len;
	void *mark;

	(void)loop;
	(void)events;
	for (n = 0; n < ACCEPTS; n++) {
		len = sizeof(sa);
		mark = NULL;
		if ((fd = accept4(w->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
			return;
		if (ws->connections >= ws->config.max_connections || (ws->config.arrived &&
			ws->config.arrived(ws->config.ctx, address(remote, &sa, len), &mark) < 0)) {
			close(fd); /* before a byte of it is read */
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		if ((wsi = lws_adopt_socket_vhost(ws->io.vhost, fd)))
			lws_set_opaque_user_data(wsi, mark);
		else
			leave(ws, mark); /* and it is closed */
	}
}

int
ws_listen(struct ws *ws, int fd)
{
	ev_io *w = &ws->listeners[ws->listener_count];

	if (ws->listener_count == LISTENERS)
		return -ENOSPC;
	ws->listener_count++;
	ev_io_init(w, on_accept, fd, EV_READ);
	w->data = ws;
	ev_io_start(ws->loop, w);
	return 0;
}

void
ws_drain(struct ws *ws)
{
	unsigned i;

	ws->ending = true;
	for (i = 0; i < ws->listener_count; i++) {
		ev_io_stop(ws->loop, &ws->listeners[i]);
		close(ws->listeners[i].fd);
	}
	ws->listener_count = 0;
}

unsigned
ws_connections(const struct ws *ws)
{
	return ws->connections;
}

void
ws_free(struct ws **w)
{
	struct ws *ws = *w;

	if (!ws)
		return;
	ws_drain(ws);
	wsloop_close(&ws->io);
	free(ws);
	*w = NULL;
}
