#include "push_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "event.h"

#define DELETE_TRIES_MAX 5 /* at once, of what passes by itself */

static void
lose_sight(struct push *p, struct object *ob)
{
	if (!ob->gone_ms)
		ob->gone_ms = clock_wall_ms();
	if (ob->state == OBJECT_IDLE && !(ob->list && (ob->list->n || ob->list->queued)))
		push_rest(p, ob);
}

void
push_gone(struct push *p, const char *path)
{
	struct object *ob = objects_find(&p->objects, path);

	if (ob)
		lose_sight(p, ob);
}

struct below {
	struct push *push;
	const char *path;
	size_t n;
};

static void
gone_below(void *ctx, struct object *ob)
{
	struct below *b = ctx;

	if (!strncmp(ob->path, b->path, b->n) && ob->path[b->n] == '/')
		lose_sight(b->push, ob);
}

void
push_folder_gone(struct push *p, const char *path)
{
	struct below b = { p, path, strlen(path) };

	objects_each(&p->objects, gone_below, &b);
	if (p->spool)
		spool_folder_gone(p->spool, path);
}

static void
unseen(void *ctx, struct object *ob)
{
	struct push *p = ctx;

	if (ob->scan != p->scan && ob->size >= 0)
		lose_sight(p, ob);
}

void
push_scanned(struct push *p, bool again)
{
	if (!again && p->spool) /* what waits from before; its playlists need the tree's files known */
		spool_pending(p->spool, push_spooled, p);
	push_sort(&p->live);
	push_sort(&p->kept);
	if (!p->config.once)
		objects_each(&p->objects, unseen, p);
	p->scan++;
	if (p->spool)
		push_rewrite(p);
}

struct batch {
	struct push *push;
	size_t n;
	int64_t sent_ms;
	struct object *objects[S3_KEYS];
	char *keys[S3_KEYS];
};

static void
on_deleted(void *ctx, const struct s3_result *r)
{
	struct batch *b = ctx;
	struct push *p = b->push;
	bool done = r->fault.verdict == S3_OK;
	struct event e;
	size_t i;

	p->flying_deletes--;
	push_say_skew(p, r);
	if (!done && (r->fault.verdict != S3_AGAIN || ++b->objects[0]->tries > DELETE_TRIES_MAX))
		push_hold(p, r, b->sent_ms);
	for (i = 0; i < b->n; i++) {
		struct object *ob = b->objects[i];

		free(b->keys[i]);
		if (done) {
			ob->stored = false;
			ob->tries = 0;
			push_journal(p, ob, false);
		}
		push_rest(p, ob);
	}
	if (done) {
		push_well(p);
		p->figures.expired_files += (int64_t)b->n;
		push_event(p, &e, "objects.expired");
		event_int(&e, "files", (int64_t)b->n);
		event_send(&e);
	}
	free(b);
	push_go(p);
}

/* Those whose time is over, in one request; only while nothing live waits. */
void
push_expire(struct push *p)
{
	int64_t before = clock_wall_ms() - p->config.expire_ms;
	struct object *ob = TAILQ_FIRST(&p->gone);
	struct batch *b;
	int r;

	if (!ob || ob->gone_ms > before || p->flying_deletes || !TAILQ_EMPTY(&p->live) ||
		clock_mono_ms() < p->hold_until_ms || !(b = calloc(1, sizeof(*b))))
		return;
	b->push = p;
	b->sent_ms = clock_mono_ms();
	while (b->n < S3_KEYS && (ob = TAILQ_FIRST(&p->gone)) && ob->gone_ms <= before &&
		(b->keys[b->n] = push_key(p, ob->path))) {
		push_leave(ob);
		ob->state = OBJECT_FLYING;
		b->objects[b->n++] = ob;
	}
	p->flying_deletes++;
	if ((r = s3_delete(p->config.s3, (const char *const *)b->keys, b->n, on_deleted, b)) < 0) {
		struct s3_result away = { .fault = { .verdict = S3_AWAY }, .error = r };

		snprintf(away.fault.why, sizeof(away.fault.why), "cannot delete: %s", strerror(-r));
		on_deleted(b, &away);
	}
}
