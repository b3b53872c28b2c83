/*
 * http: requests to HTTP servers over kept-alive connections, in the caller's libev loop.  The only
 * includer of curl.
 *
 * Shape:  http_new, then http_send as often as wanted; each ends in one call of its done, from the
 *         loop, where new requests may be sent.  http_free ends what is in flight with -ECANCELED.
 * Owner:  url and headers are copied; body, or the descriptor, is borrowed until done.
 * Errors: http_send gives -ENOMEM or -EINVAL; all else comes to done: status, or 0 with an error
 *         (-ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -EPROTO for TLS, -ESTALE when a file
 *         became shorter, -EMSGSIZE for an answer that is too long, -EIO; what take gave) and why
 *         in words.
 * Limits: connect_ms to connect; stall_ms without a byte in either direction (curl may
 *         take 6 s to notice that it began); max_response bytes.
 *         HTTP/1.1, no redirects followed, nothing decoded; paths are sent as they are.
 */
#ifndef LV_HTTP_H
#define LV_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#define HTTP_CONNECT_MS 5000
#define HTTP_STALL_MS 10000
#define HTTP_RESPONSE_MAX (8u << 20)

struct http_config {
	int connections;     /* at most; more requests wait for one */
	int connect_ms, stall_ms; /* 0: the above */
	int total_ms;             /* a request, with its answer; 0: no bound */
	bool public_only;         /* no address of this machine or of a private network is asked */
	int64_t max_bps;     /* bits a second, sent by all requests together; 0: no bound */
	const char *ca_file; /* whose certificates are believed, PEM; NULL: the system's */
};

struct http_response {
	int status, error;
	const char *why;  /* good during done, as is all here */
	const void *body; /* ends in a NUL that size does not count */
	size_t size;
	void *handle; /* for http_header */
};

struct http_request {
	const char *method, *url;
	const char *const *headers; /* "Name: value", ended by NULL */
	const void *body;           /* NULL: size bytes of fd, from offset on */
	int fd;
	uint64_t offset, size;
	/* The bytes of a good answer (2xx) as they come, in place of body; under 0 is its error. */
	int (*take)(void *ctx, int status, const void *, size_t);
	void (*done)(void *ctx, const struct http_response *);
	void *ctx;
};

struct http;
int http_new(struct http **, struct ev_loop *, const struct http_config *);
int http_send(struct http *, const struct http_request *);
const char *http_header(const struct http_response *, const char *name); /* NULL: absent */
void http_free(struct http **);

#endif
