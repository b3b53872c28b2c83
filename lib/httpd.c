#include "httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"

struct listener {
	struct httpd *httpd;
	struct MHD_Daemon *daemon;
	ev_io io;
	ev_timer timer;
	unsigned conns;
	bool freed; /* a place, where all were taken */
};

struct conn {
	struct httpd *httpd;
	struct listener *listener;
	struct conn *next, **link;
	struct MHD_Connection *inner;
	int64_t until_ms; /* the end of what it is doing now: to ask, or to take its response */
	uint64_t bytes;   /* of the response in flight */
	bool asked, answering, cut;
};

struct exchange {
	char *target;
	struct conn *conn;
	bool begun; /* the first call of a request only says that its head is there */
	bool counted;
};

struct httpd {
	struct ev_loop *loop;
	struct httpd_config config;
	struct listener listeners[HTTPD_LISTENERS];
	size_t nlisteners, nconns, in_flight;
	struct conn *conns;
	ev_timer sweep;
};

struct httpd_body {
	struct MHD_Response *inner;
	uint64_t size;
};

static void
log_line(void *ctx, const char *fmt, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	(void)ctx;
	while (n > 0 && (size_t)n < sizeof(line) && line[n - 1] == '\n')
		line[--n] = '\0';
	inform("%s", line);
}

/* Paths are decoded by our own rules: this one leaves them as they are. */
static size_t
leave_escaped(void *ctx, struct MHD_Connection *c, char *s)
{
	(void)ctx;
	(void)c;
	return strlen(s);
}

static void *
request_begin(void *ctx, const char *target, struct MHD_Connection *c)
{
	struct exchange *x = calloc(1, sizeof(*x));

	(void)ctx;
	(void)c;
	if (x && !(x->target = strdup(target))) {
		free(x);
		return NULL;
	}
	return x;
}

static void
request_end(void *ctx, struct MHD_Connection *c, void **slot, enum MHD_RequestTerminationCode code)
{
	struct listener *l = ctx;
	struct exchange *x = *slot;

	(void)c;
	(void)code;
	if (!x)
		return;
	if (x->counted)
		l->httpd->in_flight--;
	if (x->conn) {
		x->conn->answering = false;
		x->conn->until_ms = clock_mono_ms() + HTTPD_IDLE_S * 1000;
	}
	free(x->target);
	free(x);
	*slot = NULL;
}

static enum MHD_Result
request_handle(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_size, void **slot)
{
	struct listener *l = ctx;
	struct exchange *x = *slot;
	struct httpd_request req = { .method = method, .inner = c };
	const union MHD_ConnectionInfo *info;

	(void)url;
	(void)version;
	(void)upload;
	if (!x)
		return MHD_NO; /* no memory for it */
	if (!x->begun) {
		x->begun = true;
		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		if ((x->conn = info ? info->socket_context : NULL))
			x->conn->asked = true;
		return MHD_YES;
	}
	if (*upload_size) { /* nothing here takes a body: it is read past, within the idle time */
		*upload_size = 0;
		return MHD_YES;
	}
	if (!x->counted) /* it was held before */
		l->httpd->in_flight++;
	x->counted = true;
	req.target = x->target;
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	req.peer = info ? info->client_addr : NULL;
	l->httpd->config.handle(l->httpd->config.ctx, &req);
	return MHD_YES;
}

static void
conn_change(void *ctx, struct MHD_Connection *c, void **slot, enum MHD_ConnectionNotificationCode code)
{
	struct listener *l = ctx;
	struct httpd *h = l->httpd;
	struct conn *conn = *slot;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		if (!(conn = calloc(1, sizeof(*conn))))
			return; /* it lives without our clock, under the library's */
		conn->httpd = h;
		conn->listener = l;
		conn->inner = c;
		conn->until_ms = clock_mono_ms() + HTTPD_FIRST_S * 1000;
		conn->link = &h->conns;
		if ((conn->next = h->conns))
			conn->next->link = &conn->next;
		h->conns = conn;
		h->nconns++;
		l->conns++;
		*slot = conn;
		return;
	}
	if (!conn)
		return;
	if ((*conn->link = conn->next))
		conn->next->link = conn->link;
	h->nconns--;
	l->freed |= l->conns-- >= h->config.max_connections;
	free(conn);
	*slot = NULL;
}

static void
pump(struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG ms;

	do { /* the library looks for who waits to be accepted at the beginning of a run only */
		l->freed = false;
		MHD_run(l->daemon);
	} while (l->freed);
	ev_timer_stop(l->httpd->loop, &l->timer);
	if (MHD_get_timeout(l->daemon, &ms) == MHD_YES) {
		ev_timer_set(&l->timer, (double)ms / 1000, 0);
		ev_timer_start(l->httpd->loop, &l->timer);
	}
}

static void
on_io(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	pump(w->data);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	pump(w->data);
}

/* The library's time-out begins again with every byte; ours does not. */
static void
on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct httpd *h = w->data;
	int64_t now = clock_mono_ms();
	const union MHD_ConnectionInfo *fd, *peer;
	struct conn *c;

	(void)loop;
	(void)events;
	for (c = h->conns; c; c = c->next) {
		if (now < c->until_ms || c->cut)
			continue;
		c->cut = true;
		if (!(fd = MHD_get_connection_info(c->inner, MHD_CONNECTION_INFO_CONNECTION_FD)))
			continue;
		peer = MHD_get_connection_info(c->inner, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		if (h->config.cut && (c->answering || !c->asked)) /* idle ones just go */
			h->config.cut(h->config.ctx, peer ? peer->client_addr : NULL,
				c->answering ? "slow" : "silent", c->bytes);
		shutdown(fd->connect_fd, SHUT_RDWR);
	}
}

int
httpd_new(struct httpd **out, struct ev_loop *loop, const struct httpd_config *config)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->loop = loop;
	h->config = *config;
	ev_timer_init(&h->sweep, on_sweep, 1, 1);
	h->sweep.data = h;
	ev_timer_start(loop, &h->sweep);
	*out = h;
	return 0;
}

int
httpd_listen(struct httpd *h, int fd)
{
	struct listener *l = &h->listeners[h->nlisteners];
	unsigned flags = MHD_USE_ERROR_LOG | MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem tls[] = { { MHD_OPTION_END, 0, NULL }, { MHD_OPTION_END, 0, NULL },
		{ MHD_OPTION_END, 0, NULL } };
	const union MHD_DaemonInfo *info;

	if (h->nlisteners == HTTPD_LISTENERS)
		return -E2BIG;
	if (h->config.cert) {
		flags |= MHD_USE_TLS;
		tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)h->config.cert };
		tls[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)h->config.key };
	}
	l->httpd = h;
	l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, request_handle, l, MHD_OPTION_EXTERNAL_LOGGER,
		log_line, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		h->config.max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTPD_HEADER_BYTES * 2,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTPD_IDLE_S, MHD_OPTION_NOTIFY_COMPLETED, request_end,
		l, MHD_OPTION_NOTIFY_CONNECTION, conn_change, l, MHD_OPTION_URI_LOG_CALLBACK, request_begin, l,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!l->daemon)
		return h->config.cert ? -EINVAL : -EIO; /* the library says why, with --verbose */
	if (!(info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD))) {
		MHD_stop_daemon(l->daemon);
		return -EIO;
	}
	ev_io_init(&l->io, on_io, info->epoll_fd, EV_READ);
	ev_timer_init(&l->timer, on_timer, 0, 0);
	l->io.data = l->timer.data = l;
	ev_io_start(h->loop, &l->io);
	h->nlisteners++;
	pump(l);
	return 0;
}

void
httpd_drain(struct httpd *h)
{
	size_t i;
	int fd;

	for (i = 0; i < h->nlisteners; i++)
		if ((fd = MHD_quiesce_daemon(h->listeners[i].daemon)) >= 0)
			close(fd);
}

size_t
httpd_in_flight(const struct httpd *h)
{
	return h->in_flight;
}

size_t
httpd_connections(const struct httpd *h)
{
	return h->nconns;
}

void
httpd_free(struct httpd **hp)
{
	struct httpd *h = *hp;
	size_t i;

	if (!h)
		return;
	for (i = 0; i < h->nlisteners; i++) {
		ev_io_stop(h->loop, &h->listeners[i].io);
		ev_timer_stop(h->loop, &h->listeners[i].timer);
		MHD_stop_daemon(h->listeners[i].daemon);
	}
	ev_timer_stop(h->loop, &h->sweep);
	free(h);
	*hp = NULL;
}

static int
body_new(struct httpd_body **out, struct MHD_Response *inner, uint64_t size)
{
	struct httpd_body *b;

	if (!inner)
		return -ENOMEM;
	if (!(b = calloc(1, sizeof(*b)))) {
		MHD_destroy_response(inner);
		return -ENOMEM;
	}
	b->inner = inner;
	b->size = size;
	*out = b;
	return 0;
}

int
httpd_body_file(struct httpd_body **out, int fd, uint64_t first, uint64_t size)
{
	struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(size, fd, first);

	if (!r)
		close(fd);
	return body_new(out, r, size);
}

int
httpd_body_bytes(struct httpd_body **out, const void *bytes, size_t n)
{
	return body_new(out,
		MHD_create_response_from_buffer(n, (void *)(n ? bytes : ""), MHD_RESPMEM_MUST_COPY), n);
}

int
httpd_body_header(struct httpd_body *b, const char *name, const char *value)
{
	return MHD_add_response_header(b->inner, name, value) == MHD_YES ? 0 : -ENOMEM;
}

/* The library counts a share of the response for every client that is still taking it. */
void
httpd_body_unref(struct httpd_body **bp)
{
	if (!*bp)
		return;
	MHD_destroy_response((*bp)->inner);
	free(*bp);
	*bp = NULL;
}

static struct conn *
conn_of(const struct httpd_request *req)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->inner, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

struct httpd_held *
httpd_hold(struct httpd_request *req)
{
	struct conn *c = conn_of(req);

	if (!c)
		return NULL;
	c->until_ms = clock_mono_ms() + HTTPD_HOLD_S * 1000;
	MHD_suspend_connection(c->inner);
	return (struct httpd_held *)c;
}

/* The library looks for them when it runs, and would not be run before something else comes. */
void
httpd_resume(struct httpd_held *held)
{
	struct conn *c = (struct conn *)held;

	MHD_resume_connection(c->inner);
	ev_feed_event(c->httpd->loop, &c->listener->timer, EV_TIMER);
}

const char *
httpd_header(const struct httpd_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->inner, MHD_HEADER_KIND, name);
}

static enum MHD_Result
take_last(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	const char **last = ctx; /* the name that is wanted, then what was found */

	(void)kind;
	if (value && !strcasecmp(name, last[0]))
		last[1] = value;
	return MHD_YES;
}

const char *
httpd_header_last(const struct httpd_request *req, const char *name)
{
	const char *last[2] = { name, NULL };

	MHD_get_connection_values(req->inner, MHD_HEADER_KIND, take_last, last);
	return last[1];
}

void
httpd_reply(struct httpd_request *req, unsigned status, struct httpd_body *b)
{
	struct conn *c = conn_of(req);

	if (c) {
		c->answering = true;
		c->bytes = b->size;
		c->until_ms =
			clock_mono_ms() + HTTPD_SLOW_S * 1000 + (int64_t)(b->size * 1000 / HTTPD_SLOW_RATE);
	}
	if (c && c->httpd->config.replied)
		c->httpd->config.replied(c->httpd->config.ctx, req, status, b->size);
	MHD_queue_response(req->inner, status, b->inner);
}
