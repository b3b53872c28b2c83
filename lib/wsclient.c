#include "wsclient.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "bytes.h"
#include "wsloop.h"

#define HOST_MAX 256

struct wsclient {
	struct wsclient_config config;
	struct wsloop io;
	struct lws *wsi; /* NULL: not connected, nor on the way */
	struct buf in, out; /* out: lengths of four bytes and messages */
	char *bearer;
	bool open, leaving;
	unsigned code;
	char why[128];
};

static void
forget(struct wsclient *w)
{
	w->wsi = NULL;
	w->open = false;
	buf_free(&w->in);
	buf_free(&w->out);
	w->in = w->out = (struct buf){ 0 };
	w->config.closed(w->config.ctx, w->code, w->why);
}

static void
forget_bearer(struct wsclient *w)
{
	if (w->bearer)
		explicit_bzero(w->bearer, strlen(w->bearer));
	free(w->bearer);
	w->bearer = NULL;
}

static int
on_receive(struct wsclient *w, struct lws *wsi, const void *in, size_t n)
{
	w->in.max = WSCLIENT_MESSAGE_MAX;
	if (buf_append(&w->in, in, n) < 0)
		return -1;
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi))
		return 0;
	w->config.message(w->config.ctx, (const char *)buf_data(&w->in), buf_len(&w->in));
	buf_clear(&w->in);
	return 0;
}

static int
on_writeable(struct wsclient *w, struct lws *wsi)
{
	unsigned char *copy;
	size_t n;
	int r;

	if (w->leaving) {
		lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}
	if (!buf_len(&w->out))
		return 0;
	n = get_be32(buf_data(&w->out));
	if (!(copy = malloc(LWS_PRE + n)))
		return -1;
	memcpy(copy + LWS_PRE, buf_data(&w->out) + 4, n);
	buf_consume(&w->out, 4 + n);
	r = lws_write(wsi, copy + LWS_PRE, n, LWS_WRITE_TEXT);
	free(copy);
	if (r < 0)
		return -1;
	if (buf_len(&w->out))
		lws_callback_on_writable(wsi);
	return 0;
}

static int
on_headers(const struct wsclient *w, struct lws *wsi, unsigned char **p, size_t n)
{
	char value[4096];
	int len;

	if (!w->bearer)
		return 0;
	len = snprintf(value, sizeof(value), "Bearer %s", w->bearer);
	if (len >= (int)sizeof(value))
		return -1;
	return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (unsigned char *)value, len, p,
		       *p + n) ? -1 : 0;
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct wsclient *w = lws_context_user(lws_get_context(wsi));

	(void)user;
	if (w->wsi && wsi != w->wsi)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return on_headers(w, wsi, in, n);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		w->open = true;
		w->wsi = wsi;
		w->config.opened(w->config.ctx);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(w, wsi, in, n);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writeable(w, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		if (n >= 2) {
			w->code = get_be16(in);
			snprintf(w->why, sizeof(w->why), "%.*s", (int)(n - 2), (const char *)in + 2);
		}
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		snprintf(w->why, sizeof(w->why), "%s", in ? (const char *)in : "cannot connect");
		forget(w);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		forget(w);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "lv", .callback = on_event, .rx_buffer_size = 8192 },
	{ 0 },
};

int
wsclient_new(struct wsclient **out, struct ev_loop *loop, const struct wsclient_config *config)
{
	struct wsclient *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->config = *config;
	r = wsloop_open(&w->io, loop, protocols, LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT, w);
	if (r < 0)
		free(w);
	else
		*out = w;
	return r;
}

void
wsclient_free(struct wsclient **client)
{
	struct wsclient *w = *client;

	if (!w)
		return;
	wsloop_close(&w->io);
	buf_free(&w->in);
	buf_free(&w->out);
	forget_bearer(w);
	free(w);
	*client = NULL;
}

static int
take_url(const char *url, char host[HOST_MAX], int *port, bool *tls)
{
	const char *at, *end;
	char *rest;
	size_t n;

	*tls = !strncmp(url, "wss://", 6);
	if (!*tls && strncmp(url, "ws://", 5))
		return -EINVAL;
	url += *tls ? 6 : 5;
	at = *url == '[' ? strchr(url, ']') : url;
	if (!at || !(end = at + strcspn(at, ":/")) || (n = (size_t)(end - url)) >= HOST_MAX || !n)
		return -EINVAL;
	if (*url == '[') {
		url++;
		n = (size_t)(at - url);
	}
	snprintf(host, HOST_MAX, "%.*s", (int)n, url);
	*port = *tls ? 443 : 80;
	if (*end == ':') {
		*port = (int)strtol(end + 1, &rest, 10);
		end = rest;
	}
	if (!strcmp(end, "/"))
		end++;
	return *end || *port < 1 || *port > 65535 ? -EINVAL : 0;
}

int
wsclient_connect(struct wsclient *w, const char *url, const char *path, const char *bearer)
{
	struct lws_client_connect_info info = { .context = w->io.lws, .vhost = w->io.vhost, .path = path,
		.ietf_version_or_minus_one = -1, .local_protocol_name = "lv", .pwsi = &w->wsi };
	char host[HOST_MAX];
	bool tls;
	int r = take_url(url, host, &info.port, &tls);

	if (r < 0)
		return r;
	forget_bearer(w);
	w->bearer = bearer ? strdup(bearer) : NULL;
	info.address = info.host = host;
	info.ssl_connection = tls ? LCCSCF_USE_SSL : 0;
	w->code = 1006;
	w->leaving = false;
	snprintf(w->why, sizeof(w->why), "the connection broke");
	lws_client_connect_via_info(&info); /* what fails at once is told by "closed" too */
	return 0;
}

int
wsclient_send(struct wsclient *w, const char *text, size_t n)
{
	if (!w->open)
		return -ENOTCONN;
	if (!buf_reserve(&w->out, 4 + n)) /* all of it or nothing: half a message would be read over its end */
		return w->out.error;
	buf_be32(&w->out, (uint32_t)n);
	buf_append(&w->out, text, n);
	lws_callback_on_writable(w->wsi);
	return 0;
}

void
wsclient_close(struct wsclient *w)
{
	w->leaving = true;
	if (w->open)
		lws_callback_on_writable(w->wsi);
}
