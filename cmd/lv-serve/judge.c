#include "judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "backend.h"
#include "clock.h"
#include "die.h"

#define BUCKETS 16384
#define LEAVE_MS 2000

enum state { ASKED, YES, NO };

struct viewer {
	struct viewer *next;
	struct judge *j;
	uint64_t hash, query_hash;
	enum state state;
	int64_t seen_ms, until_ms; /* until: a no is good */
	char stream[65], remote[64], session[17];
	char reason[HOOK_REASON];
	struct httpd_held *held[JUDGE_HELD];
	size_t held_count;
};

struct judge {
	struct backend *backend;
	struct ev_loop *loop;
	const char *url;
	struct viewer *buckets[BUCKETS];
	size_t count;
	uint64_t seed, serial;
	bool said; /* that it cannot be asked, until it can */
};

static uint64_t
mix(uint64_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 1099511628211u;
	return (hash ^ 0x1f) * 1099511628211u;
}

static void
resume(struct viewer *w)
{
	size_t i;

	for (i = 0; i < w->held_count; i++)
		httpd_resume(w->held[i]);
	w->held_count = 0;
}

static void
answered(void *ctx, const struct backend_answer *a)
{
	struct viewer *w = ctx;

	if (a->why && !w->j->said)
		complain(0, "cannot ask %s: %s; new viewers are turned away", w->j->url, a->why);
	if (!a->why && w->j->said)
		warning(0, "%s answers again", w->j->url);
	w->j->said = a->why != NULL;
	w->state = a->allowed ? YES : NO;
	w->until_ms = clock_mono_ms() + (a->why ? JUDGE_RETRY_MS : JUDGE_NO_MS);
	snprintf(w->reason, sizeof(w->reason), "%s", a->reason);
	resume(w);
}

static int
call(struct viewer *w, enum hook_call call, const char *query, const char *agent, backend_done *done)
{
	return backend_call(w->j->backend, call, &(struct hook_facts){ .client = w->session, .remote = w->remote,
		.app = "live", .stream = w->stream, .query = query, .agent = agent }, done, w);
}

static void
stopped(void *ctx, const struct backend_answer *a)
{
	(void)a; /* nothing follows from it */
	free(ctx);
}

/* Who was let in has gone: the back end is told, and the viewer forgotten. */
static void
drop(struct viewer *w)
{
	w->j->count--;
	if (w->state != YES || call(w, HOOK_STOP, NULL, NULL, stopped) < 0)
		free(w);
}

static struct viewer *
find(struct judge *j, uint64_t hash)
{
	struct viewer *w;

	for (w = j->buckets[(hash ^ hash >> 32) % BUCKETS]; w && w->hash != hash; w = w->next)
		;
	return w;
}

static struct viewer *
add(struct judge *j, uint64_t hash, const char *stream, const char *remote)
{
	struct viewer **bucket = &j->buckets[(hash ^ hash >> 32) % BUCKETS];
	struct viewer *w = j->count < JUDGE_VIEWERS ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	w->j = j;
	w->hash = hash;
	w->state = NO;
	snprintf(w->stream, sizeof(w->stream), "%s", stream);
	snprintf(w->remote, sizeof(w->remote), "%s", remote);
	snprintf(w->session, sizeof(w->session), "%016" PRIx64, mix(j->seed + ++j->serial, remote));
	w->next = *bucket;
	*bucket = w;
	j->count++;
	return w;
}

static enum judge_verdict
hold(struct viewer *w, struct httpd_request *req)
{
	if (w->held_count == JUDGE_HELD || !(w->held[w->held_count] = httpd_hold(req)))
		return JUDGE_BUSY;
	w->held_count++;
	return JUDGE_HOLD;
}

enum judge_verdict
judge_ask(struct judge *j, struct httpd_request *req, const char *stream, const char *remote, const char **why)
{
	const char *agent = httpd_header(req, "User-Agent"), *query = strchr(req->target, '?');
	uint64_t hash = mix(mix(mix(j->seed, stream), remote), agent ? agent : "");
	uint64_t query_hash = mix(j->seed, query ? query : "");
	struct viewer *w = find(j, hash);
	int64_t now = clock_mono_ms();

	if (!w && !(w = add(j, hash, stream, remote)))
		return JUDGE_BUSY;
	w->seen_ms = now;
	if (w->state == YES)
		return JUDGE_YES;
	if (w->state == NO && now < w->until_ms && w->query_hash == query_hash) {
		*why = w->reason;
		return JUDGE_NO;
	}
	if (w->state == NO) {
		if (call(w, HOOK_PLAY, query ? query + 1 : NULL, agent, answered) < 0)
			return JUDGE_BUSY;
		w->state = ASKED;
		w->query_hash = query_hash;
	}
	return hold(w, req);
}

void
judge_tick(struct judge *j, int64_t now_ms)
{
	struct viewer **link, *w;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (link = &j->buckets[i]; (w = *link);)
			if (w->state == ASKED || now_ms - w->seen_ms < JUDGE_GONE_MS) {
				link = &w->next;
			} else {
				*link = w->next;
				drop(w);
			}
}

int
judge_new(struct judge **out, struct ev_loop *loop, const char *url)
{
	struct judge *j = calloc(1, sizeof(*j));
	int status;

	if (!j) {
		complain(-ENOMEM, "cannot begin");
		return EX_OSERR;
	}
	if ((status = backend_new(&j->backend, loop, url, JUDGE_ANSWER_MS))) {
		free(j);
		return status;
	}
	j->loop = loop;
	j->url = url;
	if (getrandom(&j->seed, sizeof(j->seed), 0) != sizeof(j->seed))
		j->seed = (uint64_t)clock_wall_ms();
	*out = j;
	return EX_OK;
}

void
judge_leave(struct judge *j)
{
	int64_t until = clock_mono_ms() + LEAVE_MS;

	judge_tick(j, INT64_MAX);
	while (backend_waiting(j->backend) && clock_mono_ms() < until)
		ev_run(j->loop, EVRUN_ONCE);
}

void
judge_free(struct judge **jp)
{
	struct viewer *w;
	size_t i;

	if (!*jp)
		return;
	backend_free(&(*jp)->backend); /* whoever is asked about has his answer now */
	for (i = 0; i < BUCKETS; i++)
		while ((w = (*jp)->buckets[i])) {
			(*jp)->buckets[i] = w->next;
			free(w);
		}
	free(*jp);
	*jp = NULL;
}
