#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "buf.h"
#include "cidr.h"

#define UPLOAD_BYTES (128 << 10) /* a read of the body */
#define REFILL_S 0.05            /* of what may be sent, under max_bps */

struct call {
	struct http *http;
	struct call *next, **link;
	CURL *easy;
	struct curl_slist *headers;
	struct buf response;
	const void *body;
	int fd;
	uint64_t offset, size, sent;
	int error; /* ours, which ended it */
	int (*take)(void *ctx, int status, const void *, size_t);
	bool paused, barred; /* barred: an address that is not public */
	void (*done)(void *ctx, const struct http_response *);
	void *ctx;
	char why[CURL_ERROR_SIZE];
};

struct sock {
	struct http *http;
	ev_io io;
};

struct http {
	struct ev_loop *loop;
	struct http_config config;
	CURLM *multi;
	struct call *calls;
	ev_timer timer, refill;
	int64_t allowance; /* bytes that may be sent until the next refill */
	bool closing;
};

static void
call_free(struct call *c)
{
	if (c->link && (*c->link = c->next))
		c->next->link = c->link;
	if (c->easy) {
		curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->headers);
	buf_free(&c->response);
	free(c);
}

static int
error_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK: return 0;
	case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST: return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_ABORTED_BY_CALLBACK: return -ESTALE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE: return -EPROTO;
	default: return -EIO;
	}
}

static void
finish(struct call *c, CURLcode code)
{
	struct http_response r = { .error = code && c->error ? c->error : error_of(code), .handle = c->easy };
	long status = 0;

	if (!r.error)
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	r.status = (int)status;
	r.why = r.error && c->barred ? "its address is a private one, which --hook-private permits" :
		r.error == -EMSGSIZE ? "its answer is too long" :
		r.error ? (c->why[0] ? c->why : curl_easy_strerror(code)) : "";
	r.size = buf_len(&c->response);
	buf_u8(&c->response, 0);
	r.body = c->response.error ? "" : (const char *)buf_data(&c->response);
	if (c->response.error)
		r.size = 0;
	c->done(c->ctx, &r);
	call_free(c);
}

static void
reap(struct http *h)
{
	CURLMsg *m;
	struct call *c;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE &&
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c) == CURLE_OK)
			finish(c, m->data.result);
}

static void
act(struct http *h, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(h->multi, fd, what, &running);
	reap(h);
}

static void
on_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct sock *s = w->data;

	(void)loop;
	act(s->http, w->fd, (events & EV_READ ? CURL_CSELECT_IN : 0) |
		(events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	act(w->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
set_timer(CURLM *multi, long ms, void *ctx)
{
	struct http *h = ctx;

	(void)multi;
	ev_timer_stop(h->loop, &h->timer);
	if (ms >= 0) {
		ev_timer_set(&h->timer, (double)ms / 1000, 0);
		ev_timer_start(h->loop, &h->timer);
	}
	return 0;
}

static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *data)
{
	struct http *h = ctx;
	struct sock *s = data;

	(void)easy;
	if (s)
		ev_io_stop(h->loop, &s->io);
	if (what == CURL_POLL_REMOVE) {
		free(s);
		return 0;
	}
	if (!s) {
		if (!(s = calloc(1, sizeof(*s))))
			return -1;
		s->http = h;
		curl_multi_assign(h->multi, fd, s);
	}
	ev_io_init(&s->io, on_io, fd, (what & CURL_POLL_IN ? EV_READ : 0) |
		(what & CURL_POLL_OUT ? EV_WRITE : 0));
	s->io.data = s;
	ev_io_start(h->loop, &s->io);
	return 0;
}

static void
on_refill(struct ev_loop *loop, ev_timer *w, int events)
{
	struct http *h = w->data;
	int64_t step = (int64_t)((double)h->config.max_bps / 8 * REFILL_S);
	struct call *c, *next;

	(void)events;
	h->allowance += step;
	if (h->allowance >= 2 * step) {
		h->allowance = 2 * step;
		ev_timer_stop(loop, w); /* nobody sends */
	}
	for (c = h->calls; c; c = next) {
		next = c->next;
		if (c->paused) {
			c->paused = false;
			curl_easy_pause(c->easy, CURLPAUSE_CONT);
		}
	}
	reap(h);
}

static size_t
read_body(char *to, size_t size, size_t count, void *ctx)
{
	struct call *c = ctx;
	struct http *h = c->http;
	size_t cap = size * count;
	ssize_t n;

	if (h->config.max_bps) {
		if (!ev_is_active(&h->refill))
			ev_timer_again(h->loop, &h->refill);
		if (h->allowance <= 0) {
			c->paused = true;
			return CURL_READFUNC_PAUSE;
		}
		if ((int64_t)cap > h->allowance)
			cap = (size_t)h->allowance;
	}
	if (cap > c->size - c->sent)
		cap = (size_t)(c->size - c->sent);
	if (c->body) {
		memcpy(to, (const char *)c->body + c->sent, cap);
		n = (ssize_t)cap;
	} else if ((n = pread(c->fd, to, cap, (off_t)(c->offset + c->sent))) < 0 || (!n && cap)) {
		return CURL_READFUNC_ABORT; /* the file became shorter */
	}
	c->sent += (uint64_t)n;
	h->allowance -= h->config.max_bps ? n : 0;
	return (size_t)n;
}

/* A kept-alive connection that the server had closed: curl sends the body once more. */
static int
seek_body(void *ctx, curl_off_t offset, int origin)
{
	struct call *c = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->size)
		return CURL_SEEKFUNC_FAIL;
	c->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t
take_response(char *p, size_t size, size_t count, void *ctx)
{
	struct call *c = ctx;
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	c->error = c->take && status / 100 == 2 ? c->take(c->ctx, (int)status, p, size * count) :
		buf_append(&c->response, p, size * count);
	return c->error < 0 ? 0 : size * count;
}

/* Whatever the name of a host is said to be, at the moment of connecting. */
static curl_socket_t
open_public(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	static const char *const private[] = { "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
		"::/127", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8" };
	struct call *c = ctx;
	struct cidr block;
	char ip[NI_MAXHOST];
	size_t i;

	(void)purpose;
	c->barred = getnameinfo(&a->addr, a->addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST) != 0;
	for (i = 0; i < sizeof(private) / sizeof(*private) && !c->barred; i++)
		c->barred = cidr_parse(&block, private[i]) < 0 || cidr_holds(&block, ip);
	return c->barred ? CURL_SOCKET_BAD : socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

int
http_new(struct http **out, struct ev_loop *loop, const struct http_config *config)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->loop = loop;
	h->config = *config;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(h->multi = curl_multi_init())) {
		free(h);
		return -ENOMEM;
	}
	ev_timer_init(&h->timer, on_timer, 0, 0);
	ev_timer_init(&h->refill, on_refill, 0, REFILL_S);
	h->timer.data = h->refill.data = h;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)config->connections);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)config->connections);
	*out = h;
	return 0;
}

static int
set_options(struct call *c, const struct http_request *rq)
{
	const struct http_config *config = &c->http->config;
	const char *const *line;
	struct curl_slist *more;
	CURL *e = c->easy;

	for (line = rq->headers; line && *line; line++) {
		if (!(more = curl_slist_append(c->headers, *line)))
			return -ENOMEM;
		c->headers = more;
	}
	/* Expect costs a second with a server that does not know it, and a round trip with others. */
	if (!(more = curl_slist_append(c->headers, "Expect:")))
		return -ENOMEM;
	c->headers = more;
	if (rq->size || !strcmp(rq->method, "PUT") || !strcmp(rq->method, "POST")) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->size);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, read_body);
		curl_easy_setopt(e, CURLOPT_READDATA, c);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
		curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
	} else if (!strcmp(rq->method, "HEAD")) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, rq->method);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_response);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->why);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "lv/" LV_VERSION);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(config->connect_ms ? config->connect_ms : HTTP_CONNECT_MS));
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME,
		(long)(config->stall_ms ? config->stall_ms : HTTP_STALL_MS) / 1000);
	if (config->total_ms)
		curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)config->total_ms);
	if (config->public_only) {
		curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_public);
		curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
		curl_easy_setopt(e, CURLOPT_PROXY, ""); /* which would connect in our place */
	}
	if (config->ca_file)
		curl_easy_setopt(e, CURLOPT_CAINFO, config->ca_file);
	return curl_easy_setopt(e, CURLOPT_URL, rq->url) == CURLE_OK ? 0 : -ENOMEM;
}

int
http_send(struct http *h, const struct http_request *rq)
{
	struct call *c = h->closing ? NULL : calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return h->closing ? -ECANCELED : -ENOMEM;
	c->http = h;
	c->body = rq->body;
	c->fd = rq->fd;
	c->offset = rq->offset;
	c->take = rq->take;
	c->size = rq->size;
	c->done = rq->done;
	c->ctx = rq->ctx;
	c->response.max = HTTP_RESPONSE_MAX;
	if (!(c->easy = curl_easy_init()) || (r = set_options(c, rq)) < 0)
		goto out;
	if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		r = -EINVAL;
		goto out;
	}
	if ((c->next = h->calls))
		c->next->link = &c->next;
	c->link = &h->calls;
	h->calls = c;
	return 0;
out:
	call_free(c);
	return r;
}

const char *
http_header(const struct http_response *r, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(r->handle, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ?
		found->value : NULL;
}

void
http_free(struct http **hp)
{
	struct http *h = *hp;
	struct call *c;

	if (!h)
		return;
	h->closing = true;
	while ((c = h->calls)) {
		c->done(c->ctx, &(struct http_response){ .error = -ECANCELED, .why = "cancelled", .body = "",
					.handle = c->easy });
		call_free(c);
	}
	curl_multi_cleanup(h->multi);
	ev_timer_stop(h->loop, &h->timer);
	ev_timer_stop(h->loop, &h->refill);
	free(h);
	*hp = NULL;
}
