/*
 * A judge behind a store: what the store allows, a back end is asked about as well.  Its "no" takes
 * the reservation back; so does no answer in time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <jansson.h>

#include "auth.h"
#include "backend.h"
#include "clock.h"
#include "die.h"

#define ANSWER_MS 2000
#define VERDICT_MS 2900 /* the door gives up after 3 s: a later "yes" would hold the stream in vain */
#define WAITING_MAX 4096
#define TURN_MS 20      /* between looks at the loop while the back end is asked */

struct hookstore;

/* A request whose verdict is not out. */
struct waiting {
	struct waiting *next;
	struct hookstore *h;
	struct ask ask;
	int64_t since_ms;
	char *verdict; /* the store's yes, whole; NULL while the store is asked */
	char broadcast[27];
};

struct hookstore {
	struct store store, *inner;
	struct ev_loop *loop;
	struct backend *backend;
	const char *url;
	struct waiting *waiting;
	size_t count, asked;
	bool said; /* that it cannot be asked, until it can */
};

static void
forget(struct waiting *w)
{
	struct waiting **p = &w->h->waiting;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	w->h->count--;
	free(w->verdict);
	explicit_bzero(w, sizeof(*w));
	free(w);
}

/* Its session will never start: the store must know. */
static void
take_back(struct waiting *w, const char *reason)
{
	struct store *inner = w->h->inner;
	struct ask notice = { .kind = ASK_ABANDONED };

	memcpy(notice.session, *w->ask.session ? w->ask.session : w->ask.id, sizeof(notice.session));
	memcpy(notice.broadcast, w->broadcast, sizeof(notice.broadcast));
	if (inner->notice(inner, &notice) < 0)
		complain(0, "cannot take a reservation back");
	verdict_refuse(&w->h->store.out, w->ask.id, reason);
}

static void
answered(void *ctx, const struct backend_answer *a)
{
	struct waiting *w = ctx;
	struct hookstore *h = w->h;

	h->asked--;
	if (a->why && !h->said)
		complain(0, "cannot ask %s: %s; publishers are refused", h->url, a->why);
	h->said = a->why != NULL;
	if (!a->allowed)
		take_back(w, a->reason);
	else if (clock_mono_ms() - w->since_ms > VERDICT_MS)
		take_back(w, "try again later");
	else
		buf_append(&h->store.out, w->verdict, strlen(w->verdict));
	forget(w);
}

static int
question(struct waiting *w, const json_t *verdict)
{
	const struct ask *a = &w->ask;

	return backend_call(w->h->backend, HOOK_PUBLISH, &(struct hook_facts){
		.client = *a->session ? a->session : a->id, .remote = a->remote, .app = a->app, .tcurl = a->tcurl,
		.query = a->query, .agent = a->client, .broadcast = w->broadcast,
		.stream = json_string_value(json_object_get(verdict, "stream")),
		.user = json_string_value(json_object_get(verdict, "user")) }, answered, w);
}

/* A line of the store: a yes is held back while the back end is asked, all else goes out. */
static void
take_line(struct hookstore *h, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *broadcast = json_string_value(json_object_get(o, "broadcast"));
	struct waiting *w;

	for (w = h->waiting; w && id; w = w->next)
		if (!w->verdict && !strcmp(w->ask.id, id))
			break;
	if (!id || !w) {
		buf_append(&h->store.out, line, n);
	} else if (!json_is_true(json_object_get(o, "allow")) || !broadcast ||
		strlen(broadcast) >= sizeof(w->broadcast)) {
		buf_append(&h->store.out, line, n);
		forget(w);
	} else {
		memcpy(w->broadcast, broadcast, strlen(broadcast) + 1);
		if (!(w->verdict = strndup(line, n)) || question(w, o) < 0) {
			take_back(w, "try again later");
			forget(w);
		} else {
			h->asked++;
		}
	}
	json_decref(o);
}

static void
take_lines(struct hookstore *h)
{
	struct buf *from = &h->inner->out;
	const char *data, *end;

	while (buf_len(from) && (end = memchr(data = (char *)buf_data(from), '\n', buf_len(from)))) {
		take_line(h, data, (size_t)(end - data) + 1);
		buf_consume(from, (size_t)(end - data) + 1);
	}
	if (from->error)
		h->store.out.error = from->error;
}

static void
hook_publish(struct store *s, const struct ask *a)
{
	struct hookstore *h = (struct hookstore *)s;
	struct waiting *w = h->count < WAITING_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (!w) {
		verdict_refuse(&s->out, a->id, "try again later");
		return;
	}
	w->h = h;
	w->ask = *a;
	w->since_ms = clock_mono_ms();
	explicit_bzero(w->ask.key, sizeof(w->ask.key));
	w->next = h->waiting;
	h->waiting = w;
	h->count++;
	h->inner->publish(h->inner, a);
	take_lines(h);
}

static int
hook_notice(struct store *s, const struct ask *a)
{
	struct hookstore *h = (struct hookstore *)s;

	return h->inner->notice(h->inner, a);
}

static void
hook_turn(struct store *s)
{
	struct hookstore *h = (struct hookstore *)s;

	ev_run(h->loop, EVRUN_NOWAIT);
	h->inner->turn(h->inner);
	take_lines(h);
}

static int
hook_watch(struct store *s, struct pollfd *p, int most_ms)
{
	struct hookstore *h = (struct hookstore *)s;
	int ms = h->inner->watch(h->inner, p, most_ms);

	return h->asked && ms > TURN_MS ? TURN_MS : ms;
}

static bool
hook_busy(struct store *s)
{
	struct hookstore *h = (struct hookstore *)s;

	return h->count || h->inner->busy(h->inner);
}

static void
hook_fill(const struct store *s, struct metrics *m)
{
	const struct hookstore *h = (const struct hookstore *)s;

	metrics_gauge(m, "lv_auth_hook_waiting", (double)h->count, "Requests that the back end is asked about.");
	if (h->inner->fill)
		h->inner->fill(h->inner, m);
}

static void
hook_close(struct store **s)
{
	struct hookstore *h = (struct hookstore *)*s;

	backend_free(&h->backend);
	while (h->waiting)
		forget(h->waiting);
	if (h->loop)
		ev_loop_destroy(h->loop);
	h->inner->close(&h->inner);
	buf_free(&h->store.out);
	free(h);
	*s = NULL;
}

int
hookstore_open(struct store **store, const char *url)
{
	struct hookstore *h = calloc(1, sizeof(*h));
	struct store *inner = *store;
	int status;

	if (!h) {
		complain(-ENOMEM, "cannot begin");
		inner->close(store);
		return EX_OSERR;
	}
	h->store = (struct store){ hook_publish, hook_notice, hook_turn, hook_watch, hook_busy, hook_fill, hook_close,
		.out = { 0 } };
	h->inner = inner;
	h->url = url;
	*store = &h->store;
	h->loop = ev_loop_new(EVFLAG_AUTO);
	if ((status = backend_new(&h->backend, h->loop, url, ANSWER_MS)))
		hook_close(store);
	return status;
}
