/*
 * ws: a WebSocket server on libwebsockets and its libev plugin.
 *
 * Shape:  new, listen once or more, drain, free.  What happens comes by the callbacks of ws_config.
 * Sending: the caller makes the frames (frame_head in lib/room.h); any number of whole ones go out
 *         by one ws_send.  It gives 1 when it took them, 0 when the client is behind: nothing was
 *         taken, and "writable" will be called once.  What a socket takes only in part is kept by
 *         libwebsockets, once per client.
 * Owner:  a ws_conn lives from open to closed, whatever is called in between; ws_close and ws_drop
 *         only ask for the end, "closed" comes later from the loop.
 * Limits: message_max bytes a message, max_connections, five seconds for a handshake.
 * Spec:   RFC 6455.
 */
#ifndef LV_WS_H
#define LV_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct ws;
struct ws_conn;

struct ws_config {
	void *ctx;
	size_t message_max;
	unsigned max_connections;
	bool proxied; /* believe the last X-Forwarded-For */
	/*
	 * A connection of which no byte was read: below 0 it is closed.  mark comes back in left when it is over.
	 * NULL: all may come.
	 */
	int (*arrived)(void *ctx, const char *remote, void **mark);
	void (*left)(void *ctx, void *mark);
	/* 0 lets it in and sets its user; or the HTTP status that refuses it. */
	int (*open)(void *ctx, struct ws_conn *, void **user);
	void (*opened)(void *user); /* the handshake is done: frames may be sent */
	void (*message)(void *user, const char *text, size_t n);
	void (*writable)(void *user);
	void (*closed)(void *user);
	/* GET without an upgrade: the body of 200, or 0 for 404.  cap bytes are there. */
	size_t (*page)(void *ctx, const char *path, char *body, size_t cap);
};

int ws_new(struct ws **, struct ev_loop *, const struct ws_config *);
int ws_listen(struct ws *, int fd); /* takes it */
void ws_drain(struct ws *);         /* no newcomers */
unsigned ws_connections(const struct ws *);
void ws_free(struct ws **);

/* Within open: of the request.  A missing one is empty; -EMSGSIZE when it is longer than cap. */
int ws_path(const struct ws_conn *, char *text, size_t cap);
int ws_argument(const struct ws_conn *, const char *name, char *text, size_t cap); /* of the query */
int ws_origin(const struct ws_conn *, char *text, size_t cap);
int ws_authorization(const struct ws_conn *, char *text, size_t cap);

const char *ws_remote(const struct ws_conn *); /* the address, without the port */
int ws_send(struct ws_conn *, const void *frames, size_t n);
bool ws_behind(const struct ws_conn *); /* has not taken all of what was sent */
int64_t ws_heard_ms(const struct ws_conn *); /* when anything came from it last; clock_mono_ms */
void ws_ping(struct ws_conn *);
void ws_close(struct ws_conn *, unsigned code, const char *reason); /* reason: 123 bytes at most */
void ws_drop(struct ws_conn *); /* now, without a word */

#endif
