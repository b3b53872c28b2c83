/*
 * redis: a link to a Redis server on libev: commands and subscriptions, made again when it breaks.
 * The one includer of hiredis' asynchronous half.
 *
 * Shape:  new, then "up" comes whenever both connections are there, "down" when they are no more, or
 *         cannot be made at first;
 *         after "up" the caller subscribes again to what it wants to hear.
 * Errors: a command while the link is down gives -ENOTCONN; one whose answer the link lost is
 *         answered with NULL.  Nothing is sent twice.
 * Limits: an answer that takes longer than REDIS_PATIENCE_S breaks the link.
 */
#ifndef LV_REDIS_H
#define LV_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_PATIENCE_S 5
#define REDIS_ARGS_MAX 16

struct ev_loop;
struct redis;
struct redis_reply;

struct redis_config {
	void *ctx;
	const char *url;      /* as in redis_url.h */
	const char *password; /* NULL: none */
	void (*up)(void *ctx);
	void (*down)(void *ctx, const char *why);
	void (*subscribed)(void *ctx, const char *channel);
	void (*heard)(void *ctx, const char *channel, const char *text, size_t n);
	void (*took)(void *ctx, double seconds); /* an answer; NULL: nobody wants to know */
};

int redis_new(struct redis **, struct ev_loop *, const struct redis_config *); /* -EINVAL, -EACCES: the URL */
void redis_free(struct redis **);

/* What answers is of no use, as while it loads its data: the link is made again, later each time. */
void redis_retry(struct redis *, const char *why);

void redis_subscribe(struct redis *, const char *channel);
void redis_unsubscribe(struct redis *, const char *channel);

typedef void redis_done(void *ctx, void *about, const struct redis_reply *);
struct redis_word {
	const char *text;
	size_t n;
};
int redis_call(struct redis *, redis_done *, void *about, const struct redis_word *, int count);

/* Of a reply, NULL too: what it is not is 0, NULL or empty. */
const char *redis_error(const struct redis_reply *);
int64_t redis_int(const struct redis_reply *);
const char *redis_text(const struct redis_reply *, size_t *n); /* ended by a NUL */
size_t redis_count(const struct redis_reply *);
const struct redis_reply *redis_item(const struct redis_reply *, size_t);

#endif
