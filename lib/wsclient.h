/*
 * wsclient: one WebSocket connection to a server, on libev; text messages both ways.
 *
 * Shape:  new, connect; then "opened" and "message" as they come, "closed" once, after which it may
 *         connect again.
 * Errors: connect gives -EINVAL for a URL that is none; everything later is told by "closed", whose
 *         code is the server's, or 1006 when there was none.
 * Limits: WSCLIENT_MESSAGE_MAX bytes a message; what is sent waits in memory.
 */
#ifndef LV_WSCLIENT_H
#define LV_WSCLIENT_H

#include <stdbool.h>
#include <stddef.h>

#define WSCLIENT_MESSAGE_MAX (1 << 20)

struct ev_loop;
struct wsclient;

struct wsclient_config {
	void *ctx;
	void (*opened)(void *ctx);
	void (*message)(void *ctx, const char *text, size_t n);
	void (*closed)(void *ctx, unsigned code, const char *reason);
};

int wsclient_new(struct wsclient **, struct ev_loop *, const struct wsclient_config *);
void wsclient_free(struct wsclient **);

/* ws://HOST[:PORT] or wss://…, with what the path is; bearer: a token, NULL: none. */
int wsclient_connect(struct wsclient *, const char *url, const char *path, const char *bearer);
int wsclient_send(struct wsclient *, const char *text, size_t n); /* -ENOTCONN, -ENOMEM */
void wsclient_close(struct wsclient *);

#endif
