#include "viewers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "die.h"
#include "event.h"

#define BUCKETS 16384
#define STREAMS_MAX 4096

struct audience {
	struct audience *next;
	char stream[65];
	size_t count;
};

struct viewer {
	struct viewer *next;
	uint64_t hash;
	struct audience *audience;
	int64_t started_ms, seen_ms;
	char remote[64], agent[64], session[17];
};

struct viewers {
	struct viewer *buckets[BUCKETS];
	struct audience *audiences;
	size_t count, naudiences;
	uint64_t seed, serial;
	int64_t counted_ms;
	bool full;
};

static uint64_t
mix(uint64_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 1099511628211u;
	return (hash ^ 0x1f) * 1099511628211u; /* so that "a" "bc" is not "ab" "c" */
}

static struct audience *
audience_of(struct viewers *v, const char *stream)
{
	struct audience *a;

	for (a = v->audiences; a; a = a->next)
		if (!strcmp(a->stream, stream))
			return a;
	if (v->naudiences == STREAMS_MAX || !(a = calloc(1, sizeof(*a))))
		return NULL;
	memcpy(a->stream, stream, strnlen(stream, sizeof(a->stream) - 1));
	a->next = v->audiences;
	v->audiences = a;
	v->naudiences++;
	return a;
}

static void
tell(const struct viewer *w, const char *name, int64_t watched_ms)
{
	struct event e;

	event_begin(&e, name);
	event_str(&e, "stream", w->audience->stream);
	event_str(&e, "remote", w->remote);
	event_str(&e, "agent", w->agent);
	event_str(&e, "session", w->session);
	if (watched_ms >= 0)
		event_int(&e, "watched_ms", watched_ms);
	event_send(&e);
}

void
viewers_seen(struct viewers *v, const char *stream, const char *remote, const char *agent)
{
	uint64_t hash = mix(mix(mix(v->seed, stream), remote), agent);
	struct viewer **bucket = &v->buckets[(hash ^ hash >> 32) % BUCKETS], *w;
	struct audience *a;

	for (w = *bucket; w; w = w->next)
		if (w->hash == hash) {
			w->seen_ms = clock_mono_ms();
			return;
		}
	if (v->count == VIEWERS_MAX) {
		if (!v->full)
			warning(0, "more than %d viewers: the others are served but not counted", VIEWERS_MAX);
		v->full = true;
		return;
	}
	if (!(a = audience_of(v, stream)) || !(w = calloc(1, sizeof(*w))))
		return;
	w->hash = hash;
	w->audience = a;
	w->started_ms = w->seen_ms = clock_mono_ms();
	memcpy(w->remote, remote, strnlen(remote, sizeof(w->remote) - 1));
	memcpy(w->agent, agent, strnlen(agent, sizeof(w->agent) - 1));
	snprintf(w->session, sizeof(w->session), "%016" PRIx64, mix(v->seed + ++v->serial, remote));
	w->next = *bucket;
	*bucket = w;
	a->count++;
	v->count++;
	tell(w, "play.started", -1);
}

static void
drop_since(struct viewers *v, int64_t seen_before)
{
	struct viewer **link, *w;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (link = &v->buckets[i]; (w = *link);) {
			if (w->seen_ms >= seen_before) {
				link = &w->next;
				continue;
			}
			*link = w->next;
			w->audience->count--;
			v->count--;
			tell(w, "play.ended", w->seen_ms - w->started_ms);
			free(w);
		}
	if (v->count < VIEWERS_MAX)
		v->full = false;
}

void
viewers_tick(struct viewers *v, int64_t now_ms)
{
	struct audience **link, *a;
	struct event e;

	drop_since(v, now_ms - VIEWERS_GONE_MS);
	if (now_ms - v->counted_ms < VIEWERS_COUNT_MS)
		return;
	v->counted_ms = now_ms;
	for (link = &v->audiences; (a = *link);) {
		event_begin(&e, "viewers.counted");
		event_str(&e, "stream", a->stream);
		event_int(&e, "viewers", (int64_t)a->count);
		event_send(&e);
		if (a->count) {
			link = &a->next;
			continue;
		}
		*link = a->next;
		v->naudiences--;
		free(a);
	}
}

size_t
viewers_of(const struct viewers *v, const char *stream)
{
	const struct audience *a;

	if (!stream)
		return v->count;
	for (a = v->audiences; a; a = a->next)
		if (!strcmp(a->stream, stream))
			return a->count;
	return 0;
}

void
viewers_each(const struct viewers *v, void (*each)(void *, const char *, size_t), void *ctx)
{
	const struct audience *a;

	for (a = v->audiences; a; a = a->next)
		each(ctx, a->stream, a->count);
}

int
viewers_new(struct viewers **out)
{
	struct viewers *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (getrandom(&v->seed, sizeof(v->seed), 0) != sizeof(v->seed))
		v->seed = (uint64_t)clock_wall_ms();
	v->counted_ms = clock_mono_ms();
	*out = v;
	return 0;
}

void
viewers_free(struct viewers **vp)
{
	struct audience *a;

	if (!*vp)
		return;
	drop_since(*vp, INT64_MAX);
	while ((a = (*vp)->audiences)) {
		(*vp)->audiences = a->next;
		free(a);
	}
	free(*vp);
	*vp = NULL;
}
