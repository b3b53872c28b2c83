#include "redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/adapters/libev.h>

#include "redis_url.h"
#include "table.h"

#include "clock.h"

#define RETRY_FIRST_S 0.1
#define RETRY_MAX_S 5.0
/*
 * hiredis 0.14 fails an assertion when an answer to SUBSCRIBE comes after the last channel was left: one is
 * never left.
 */
#define ALWAYS "lv:always"

/*
 * A channel whose UNSUBSCRIBE is not answered yet.  hiredis forgets the channel at the answer, with whatever was
 * asked for it meanwhile: to subscribe again waits for that.
 */
struct leaving {
	struct table_item item;
	bool again;
	char channel[];
};

struct redis {
	struct redis_config config;
	struct ev_loop *loop;
	redisAsyncContext *talk, *listen; /* NULL while away */
	struct redis_url url;
	int there;                        /* how many of the two are connected */
	bool up, away, asked, ending;     /* away: and it was told; asked: a ping is not answered yet */
	double retry_s;
	struct table leaving;
	ev_timer retry, watch;
};

struct call {
	struct redis *redis;
	redis_done *done;
	void *about;
	int64_t sent_us;
};

static void
link_break(struct redis *r, const char *why)
{
	redisAsyncContext *talk = r->talk, *listen = r->listen;
	char reason[160];
	bool told = r->away;

	snprintf(reason, sizeof(reason), "%s", why); /* it may be the connection's */
	r->talk = r->listen = NULL;
	r->up = r->asked = false;
	r->away = true;
	r->there = 0;
	table_empty(&r->leaving, free);
	ev_timer_stop(r->loop, &r->watch);
	if (talk)
		redisAsyncFree(talk); /* every command is answered with NULL */
	if (listen)
		redisAsyncFree(listen);
	if (!told && !r->ending)
		r->config.down(r->config.ctx, reason);
	if (r->ending || ev_is_active(&r->retry))
		return;
	r->retry_s = r->retry_s * 2 < RETRY_MAX_S ? r->retry_s * 2 : RETRY_MAX_S;
	ev_timer_set(&r->retry, r->retry_s * (0.5 + drand48() / 2), 0);
	ev_timer_start(r->loop, &r->retry);
}

/* hiredis frees a context that it tells of here: ours is forgotten first. */
static void
forget(struct redis *r, const redisAsyncContext *c)
{
	if (r->talk == c)
		r->talk = NULL;
	if (r->listen == c)
		r->listen = NULL;
}

static void
on_gone(const redisAsyncContext *c, int status)
{
	struct redis *r = c->data;

	if (c != r->talk && c != r->listen)
		return; /* it was broken by us */
	forget(r, c);
	link_break(r, status == REDIS_OK ? "closed" : c->errstr);
}

static void
on_there(const redisAsyncContext *c, int status)
{
	struct redis *r = c->data;

	if (c != r->talk && c != r->listen)
		return;
	if (status != REDIS_OK) {
		forget(r, c);
		link_break(r, c->errstr);
	} else if (++r->there == 2) {
		r->up = true;
		r->away = false;
		redis_subscribe(r, ALWAYS);
		r->config.up(r->config.ctx);
	}
}

static void
on_pong(redisAsyncContext *c, void *reply, void *about)
{
	struct redis *r = c->data;

	(void)about;
	if (!reply || c != r->talk)
		return;
	r->asked = false;
	r->retry_s = RETRY_FIRST_S / 2; /* it is well */
}

/* A server that is there but does not answer is away. */
static void
on_watch(struct ev_loop *loop, ev_timer *w, int events)
{
	struct redis *r = w->data;

	(void)loop;
	(void)events;
	if (!r->up || r->asked) {
		link_break(r, "no answer");
		return;
	}
	r->asked = redisAsyncCommand(r->talk, on_pong, NULL, "PING") == REDIS_OK;
}

static redisAsyncContext *
connection(struct redis *r)
{
	redisAsyncContext *c = r->url.path ? redisAsyncConnectUnix(r->url.path) :
		redisAsyncConnect(r->url.host, r->url.port);

	if (!c)
		return NULL;
	c->data = r;
	if (c->err || redisLibevAttach(r->loop, c) != REDIS_OK) {
		redisAsyncFree(c);
		return NULL;
	}
	redisAsyncSetConnectCallback(c, on_there);
	redisAsyncSetDisconnectCallback(c, on_gone);
	if (r->config.password)
		redisAsyncCommand(c, NULL, NULL, "AUTH %s", r->config.password);
	if (r->url.number)
		redisAsyncCommand(c, NULL, NULL, "SELECT %d", r->url.number);
	return c;
}

static void
link_make(struct redis *r)
{
	if (!(r->talk = connection(r)) || !(r->listen = connection(r))) {
		link_break(r, "cannot connect");
		return;
	}
	ev_timer_set(&r->watch, REDIS_PATIENCE_S, REDIS_PATIENCE_S);
	ev_timer_start(r->loop, &r->watch);
}

static void
on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	link_make(w->data);
}

int
redis_new(struct redis **out, struct ev_loop *loop, const struct redis_config *config)
{
	struct redis *r = calloc(1, sizeof(*r));
	const char *why;
	int e;

	if (!r)
		return -ENOMEM;
	r->config = *config;
	r->loop = loop;
	r->retry_s = RETRY_FIRST_S / 2;
	ev_timer_init(&r->retry, on_retry, 0, 0);
	ev_timer_init(&r->watch, on_watch, 0, 0);
	r->retry.data = r->watch.data = r;
	if ((e = redis_url_read(&r->url, config->url, &why)) < 0) {
		free(r);
		return e;
	}
	*out = r;
	link_make(r);
	return 0;
}

void
redis_free(struct redis **redis)
{
	struct redis *r = *redis;

	if (!r)
		return;
	r->ending = true;
	r->up = false;
	link_break(r, "ending");
	ev_timer_stop(r->loop, &r->retry);
	redis_url_free(&r->url);
	free(r);
	*redis = NULL;
}

void
redis_retry(struct redis *r, const char *why)
{
	link_break(r, why);
}

static void
left(struct redis *r, const char *channel)
{
	struct leaving *l = table_find(&r->leaving, channel);
	bool again = l && l->again;

	if (l)
		table_drop(&r->leaving, &l->item);
	free(l);
	if (again)
		redis_subscribe(r, channel);
}

static void
on_heard(redisAsyncContext *c, void *reply, void *about)
{
	const struct redis_reply *message = reply;
	struct redis *r = c->data;
	const char *kind, *channel, *text;
	size_t n;

	(void)about;
	if (!reply || c != r->listen || redis_count(message) != 3)
		return;
	kind = redis_text(redis_item(message, 0), &n);
	channel = redis_text(redis_item(message, 1), &n);
	if (!kind || !channel)
		return;
	if (!strcmp(kind, "unsubscribe"))
		left(r, channel);
	else if (!strcmp(channel, ALWAYS))
		return;
	else if (!strcmp(kind, "subscribe"))
		r->config.subscribed(r->config.ctx, channel);
	else if (!strcmp(kind, "message") && (text = redis_text(redis_item(message, 2), &n)))
		r->config.heard(r->config.ctx, channel, text, n);
}

void
redis_subscribe(struct redis *r, const char *channel)
{
	struct leaving *l = table_find(&r->leaving, channel);

	if (l)
		l->again = true;
	else if (r->up)
		redisAsyncCommand(r->listen, on_heard, NULL, "SUBSCRIBE %s", channel);
}

void
redis_unsubscribe(struct redis *r, const char *channel)
{
	struct leaving *l = table_find(&r->leaving, channel);
	size_t n = strlen(channel) + 1;

	if (l) {
		l->again = false;
		return;
	}
	if (!r->up || !(l = calloc(1, sizeof(*l) + n)))
		return; /* it is heard on and ignored */
	memcpy(l->channel, channel, n);
	if (table_add(&r->leaving, &l->item, l->channel) < 0)
		free(l);
	else
		redisAsyncCommand(r->listen, NULL, NULL, "UNSUBSCRIBE %s", channel);
}

static void
on_answer(redisAsyncContext *c, void *reply, void *about)
{
	struct call *call = about;

	(void)c;
	if (reply && call->redis->config.took)
		call->redis->config.took(call->redis->config.ctx, (double)(clock_mono_us() - call->sent_us) / 1e6);
	if (call->done)
		call->done(call->redis->config.ctx, call->about, reply);
	free(call);
}

int
redis_call(struct redis *r, redis_done *done, void *about, const struct redis_word *words, int count)
{
	const char *argv[REDIS_ARGS_MAX];
	size_t sizes[REDIS_ARGS_MAX];
	struct call *call;
	int i;

	if (!r->up)
		return -ENOTCONN;
	if (count > REDIS_ARGS_MAX || !(call = malloc(sizeof(*call))))
		return -ENOMEM;
	*call = (struct call){ r, done, about, clock_mono_us() };
	for (i = 0; i < count; i++) {
		argv[i] = words[i].text;
		sizes[i] = words[i].n;
	}
	if (redisAsyncCommandArgv(r->talk, on_answer, call, count, argv, sizes) == REDIS_OK)
		return 0;
	free(call);
	return -ENOTCONN;
}

static const redisReply *
raw(const struct redis_reply *r)
{
	return (const redisReply *)r;
}

const char *
redis_error(const struct redis_reply *r)
{
	return r && raw(r)->type == REDIS_REPLY_ERROR ? raw(r)->str : NULL;
}

int64_t
redis_int(const struct redis_reply *r)
{
	return r && raw(r)->type == REDIS_REPLY_INTEGER ? raw(r)->integer : 0;
}

const char *
redis_text(const struct redis_reply *r, size_t *n)
{
	bool text = r && (raw(r)->type == REDIS_REPLY_STRING || raw(r)->type == REDIS_REPLY_STATUS);

	*n = text ? raw(r)->len : 0;
	return text ? raw(r)->str : NULL;
}

size_t
redis_count(const struct redis_reply *r)
{
	return r && raw(r)->type == REDIS_REPLY_ARRAY ? raw(r)->elements : 0;
}

const struct redis_reply *
redis_item(const struct redis_reply *r, size_t i)
{
	return i < redis_count(r) ? (const struct redis_reply *)raw(r)->element[i] : NULL;
}
