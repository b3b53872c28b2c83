/*
 * httpd: an HTTP/1.1 server on a libev loop; the one place that knows libmicrohttpd.
 *
 * Shape:  new, listen for each address, then the loop runs; drain, and free at the end.
 *         The handler is called once a request and answers before it returns, with httpd_reply; or it
 *         holds the request and returns, and is called again with it after httpd_resume, which comes
 *         within HTTPD_HOLD_S and before httpd_free.
 * Bodies: made once and sent to any number of clients at the same time; a file leaves by sendfile.
 *         They are counted: httpd_body_unref gives up the maker's share.
 * Owner:  new borrows the configuration's texts; a request and its texts are good during the call.
 * Limits: connections an address (more wait in the backlog), HTTPD_HEADER_BYTES of request head,
 *         the first request within HTTPD_FIRST_S, each next one within HTTPD_IDLE_S, a response
 *         taken within HTTPD_SLOW_S and its size at HTTPD_SLOW_RATE; else the client is cut.
 * Errors: 0 or -errno; a reply that cannot be queued closes the connection.
 */
#ifndef LV_HTTPD_H
#define LV_HTTPD_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTPD_HEADER_BYTES (8 << 10)
#define HTTPD_FIRST_S 15
#define HTTPD_IDLE_S 75
#define HTTPD_HOLD_S 15
#define HTTPD_SLOW_S 30
#define HTTPD_SLOW_RATE (16 << 10) /* bytes a second */
#define HTTPD_LISTENERS 16

struct httpd;
struct httpd_body;
struct httpd_held;

struct httpd_request {
	const char *method, *target; /* as it came, with its query */
	const struct sockaddr *peer;
	void *inner;
};

struct httpd_config {
	unsigned max_connections;
	const char *cert, *key; /* PEM texts; NULL: plain HTTP */
	void (*handle)(void *ctx, struct httpd_request *);
	void (*cut)(void *ctx, const struct sockaddr *peer, const char *why, uint64_t bytes);
	void (*replied)(void *ctx, const struct httpd_request *, unsigned status, uint64_t bytes);
	void *ctx;
};

int httpd_new(struct httpd **, struct ev_loop *, const struct httpd_config *);
int httpd_listen(struct httpd *, int fd); /* takes a listening, non-blocking socket */
void httpd_drain(struct httpd *);         /* closes the listeners */
size_t httpd_in_flight(const struct httpd *);
size_t httpd_connections(const struct httpd *);
void httpd_free(struct httpd **);

int httpd_body_file(struct httpd_body **, int fd, uint64_t first, uint64_t size); /* takes fd */
int httpd_body_bytes(struct httpd_body **, const void *, size_t);                 /* copies */
int httpd_body_header(struct httpd_body *, const char *name, const char *value);
void httpd_body_unref(struct httpd_body **);

struct httpd_held *httpd_hold(struct httpd_request *); /* NULL: it cannot be */
void httpd_resume(struct httpd_held *);

const char *httpd_header(const struct httpd_request *, const char *name); /* NULL: absent */
const char *httpd_header_last(const struct httpd_request *, const char *name); /* where it is said more than once */
void httpd_reply(struct httpd_request *, unsigned status, struct httpd_body *); /* borrows */

#endif
