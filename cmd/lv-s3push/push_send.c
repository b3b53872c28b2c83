#include "push_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "hash.h"

#define HOLD_FIRST_MS 200
#define HOLD_MAX_MS 5000 /* viewers wait for the end of an outage */
#define CONFIG_FIRST_MS 2000
#define CONFIG_MAX_MS 30000
#define TRIES_MAX 5

struct flight {
	struct push *push;
	struct object *object;
	struct snapshot *snapshot; /* a playlist's */
	struct buf text;           /* with its gaps marked */
	int fd;
	int64_t size, mtime_ns, seen_ms, sent_ms;
};

struct batch {
	struct push *push;
	size_t n;
	int64_t sent_ms;
	struct object *objects[S3_KEYS];
	char *keys[S3_KEYS];
};

static void
well(struct push *p)
{
	struct event e;

	if (!p->fails)
		return;
	p->fails = 0;
	p->hold_until_ms = 0;
	event_begin(&e, "store.back");
	event_int(&e, "away_ms", clock_mono_ms() - p->failing_since_ms);
	event_send(&e);
	inform("the bucket can be written again");
	p->failing_since_ms = 0;
	p->fault.why[0] = '\0';
}

/* Everything waits; and it is said, once for each reason. */
static void
hold(struct push *p, const struct s3_result *r, int64_t sent_ms)
{
	bool config = r->fault.verdict == S3_CONFIG;
	int64_t now = clock_mono_ms(), most = config ? CONFIG_FIRST_MS : HOLD_FIRST_MS;
	int64_t bound = config ? CONFIG_MAX_MS : HOLD_MAX_MS;
	struct event e;
	uint32_t random = 0;

	if (p->fails && sent_ms < p->failed_at_ms)
		return; /* one of several that failed together */
	p->failed_at_ms = now;
	if (!p->fails++)
		p->failing_since_ms = now;
	most <<= p->fails < 10 ? p->fails : 10;
	if (most > bound)
		most = bound;
	hash_random(&random, sizeof(random));
	p->hold_until_ms = now + (r->retry_after_ms ? r->retry_after_ms : most / 4 + random % (most * 3 / 4));
	if (strcmp(p->fault.why, r->fault.why)) {
		warning(0, "%s; trying again, nothing is lost", r->fault.why);
		event_begin(&e, config ? "store.refused" : "store.away");
		event_str(&e, "reason", r->fault.why);
		event_str(&e, "code", r->fault.code[0] ? r->fault.code : NULL);
		event_send(&e);
	}
	p->fault = r->fault;
	if (config && p->config.refused)
		p->config.refused(p->config.ctx);
}

static void
say_skew(struct push *p, const struct s3_result *r)
{
	if (r->fault.skewed && llabs(r->skew_s - p->skew_s) > 60) {
		warning(0, "%s; its clock is used meanwhile", r->fault.why);
		p->skew_s = r->skew_s;
	}
}

static void
say_pushed(struct push *p, const struct flight *f)
{
	struct event e;

	p->pushed++;
	event_begin(&e, "object.pushed");
	event_str(&e, "path", f->object->path);
	event_int(&e, "size_bytes", f->size);
	event_int(&e, "lag_ms", clock_wall_ms() - f->seen_ms);
	event_send(&e);
	inform("pushed %s", f->object->path);
}

/* It is in the bucket; the version that was sent need not be the newest any more. */
static void
stored(struct push *p, struct flight *f)
{
	struct object *ob = f->object;

	well(p);
	ob->stored = true;
	ob->tries = 0;
	if (ob->kind->settle_ms && !p->config.once)
		ob->due_ms = clock_mono_ms() + ob->kind->settle_ms;
	if (f->snapshot)
		ob->list->hash = list_hash(&f->snapshot->text);
	if (ob->size == f->size && ob->mtime_ns == f->mtime_ns) {
		ob->again = false;
		push_unlink(p, ob);
		push_journal(p, ob, true);
	}
	say_pushed(p, f);
}

static void
land(struct push *p, struct flight *f)
{
	struct object *ob = f->object;
	bool kept = ob->kept;

	p->flying--;
	p->flying_kept -= kept;
	if (f->fd >= 0)
		close(f->fd);
	buf_free(&f->text);
	if (f->snapshot)
		list_release(f->snapshot);
	free(f);
	if (ob->list && ob->state == OBJECT_FLYING) {
		ob->state = OBJECT_IDLE;
		push_await(p, ob->list);
		if (ob->list->n || ob->list->queued)
			return;
	}
	if (ob->state != OBJECT_WAITING)
		push_rest(p, ob);
}

/* Not stored: it waits again, at the head of its queue. */
static void
put_back(struct push *p, struct flight *f)
{
	struct object *ob = f->object;

	ob->again = false;
	if (f->snapshot) {
		list_return(ob->list, f->snapshot);
		f->snapshot = NULL;
	} else {
		push_queue(p, ob);
		if (ob->queue == &p->live || ob->queue == &p->kept) {
			TAILQ_REMOVE(ob->queue, ob, in);
			TAILQ_INSERT_HEAD(ob->queue, ob, in);
		}
	}
}

static void
on_put(void *ctx, const struct s3_result *r)
{
	struct flight *f = ctx;
	struct push *p = f->push;
	struct s3_result later = *r;

	say_skew(p, r);
	if (later.fault.verdict == S3_AGAIN && ++f->object->tries > TRIES_MAX)
		later.fault.verdict = S3_AWAY;
	switch (later.fault.verdict) {
	case S3_OK: stored(p, f); break;
	case S3_AGAIN: put_back(p, f); break;
	case S3_NEVER: well(p); push_fail(p, f->object, r->fault.why); break;
	default:
		hold(p, &later, f->sent_ms);
		put_back(p, f);
	}
	land(p, f);
	push_go(p);
}

/* The key of an object: the prefix, and its path in the tree. */
static char *
key_of(const struct push *p, const char *path)
{
	char *key;

	return asprintf(&key, "%s%s%s", p->config.prefix, *p->config.prefix ? "/" : "", path) < 0 ? NULL : key;
}

static int
launch(struct push *p, struct flight *f)
{
	struct object *ob = f->object;
	struct s3_object o = { .key = NULL, .fd = f->fd, .size = (uint64_t)f->size, .type = ob->kind->type,
		.cache = ob->kind->cache };
	char *key = key_of(p, ob->path);
	int r;

	if (!key)
		return -ENOMEM;
	if (f->snapshot) {
		const struct buf *b = buf_len(&f->text) ? &f->text : &f->snapshot->text;

		o.data = buf_len(b) ? (const void *)buf_data(b) : "";
		o.size = buf_len(b);
	}
	o.key = key;
	f->sent_ms = clock_mono_ms();
	if (p->config.dry_run) {
		printf("put %s (%s; %s)\n", key, o.type, o.cache);
		ob->stored = true;
		p->pushed++;
		r = 1;
	} else {
		r = s3_put(p->config.s3, &o, on_put, f);
	}
	free(key);
	return r;
}

/* A flight that did not begin ends here: 1 is a dry run's success. */
static void
no_flight(struct push *p, struct flight *f, int r)
{
	struct s3_result away = { .fault = { .verdict = S3_AWAY } };

	if (r == -EFBIG) {
		push_fail(p, f->object, "it is larger than 5 GiB");
	} else if (r < 0) {
		if (r != -ESTALE || ++f->object->tries > TRIES_MAX) {
			snprintf(away.fault.why, sizeof(away.fault.why), "cannot send %s: %s",
				f->object->path, strerror(-r));
			hold(p, &away, f->sent_ms);
		}
		put_back(p, f);
	}
	land(p, f);
}

static struct flight *
flight_new(struct push *p, struct object *ob)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->push = p;
	f->object = ob;
	f->fd = -1;
	p->flying++;
	p->flying_kept += ob->kept;
	push_leave(ob);
	ob->state = OBJECT_FLYING;
	return f;
}

void
push_put_file(struct push *p, struct object *ob)
{
	struct flight *f = flight_new(p, ob);
	struct stat st;
	int r;

	if (!f)
		return;
	if ((f->fd = r = push_open(p, ob)) >= 0 && fstat(f->fd, &st) < 0)
		r = -errno;
	if (r == -ENOENT) {
		p->flying--;
		p->flying_kept -= ob->kept;
		free(f);
		push_lose(p, ob);
		return;
	}
	if (r >= 0) {
		f->size = ob->size = st.st_size;
		f->mtime_ns = ob->mtime_ns = push_mtime(&st);
		f->seen_ms = ob->seen_ms;
		r = launch(p, f);
	}
	if (r)
		no_flight(p, f, r);
}

void
push_put_list(struct push *p, struct list *l, struct snapshot *s)
{
	struct flight *f = flight_new(p, l->object);
	int r = 0;

	TAILQ_REMOVE(&p->lists[l->object->kept], l, in);
	l->queued = false;
	if (!f) {
		list_return(l, s);
		push_await(p, l);
		return;
	}
	f->snapshot = s;
	f->size = s->size;
	f->mtime_ns = s->mtime_ns;
	f->seen_ms = s->seen_ms;
	if (s->gaps)
		r = list_mark_gaps(&f->text, s, l->object->path, &p->objects);
	if (r >= 0)
		r = launch(p, f);
	if (r)
		no_flight(p, f, r);
}

static void
on_head(void *ctx, const struct s3_result *r)
{
	struct flight *f = ctx;
	struct push *p = f->push;
	struct object *ob = f->object;
	enum s3_verdict v = r->fault.verdict;

	say_skew(p, r);
	if (v == S3_CONFIG && p->pushed) /* without the right to list, what is missing is forbidden */
		v = S3_MISSING;
	if (ob->again || !ob->asked) { /* it came meanwhile */
		;
	} else if (v == S3_OK) {
		ob->stored = true;
		ob->asked = false;
	} else if (v == S3_MISSING && ob->tries++) {
		ob->state = OBJECT_IDLE;
		push_lose(p, ob);
	} else {
		if (v == S3_MISSING)
			ob->due_ms = clock_mono_ms() + PUSH_MISSING_MS;
		else if (v != S3_AGAIN)
			hold(p, r, f->sent_ms);
		push_queue(p, ob);
	}
	if (v == S3_OK || v == S3_MISSING)
		well(p);
	land(p, f);
	push_go(p);
}

void
push_ask(struct push *p, struct object *ob)
{
	struct flight *f;
	char *key;
	struct stat st;
	int r;

	if (fstatat(p->config.root, ob->path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
		push_leave(ob);
		ob->state = OBJECT_IDLE;
		if (!p->config.once && clock_wall_ms() - push_mtime(&st) / 1000000 < PUSH_MISSING_MS) {
			ob->due_ms = clock_mono_ms() + PUSH_MISSING_MS; /* it is being written */
			push_queue(p, ob);
		} else {
			push_file(p, ob->path, &st);
		}
		return;
	}
	if (p->config.dry_run) {
		push_lose(p, ob);
		return;
	}
	if (!(key = key_of(p, ob->path)) || !(f = flight_new(p, ob))) {
		free(key);
		return;
	}
	f->sent_ms = clock_mono_ms();
	if ((r = s3_head(p->config.s3, key, on_head, f)) < 0)
		no_flight(p, f, r);
	free(key);
}

static void
on_deleted(void *ctx, const struct s3_result *r)
{
	struct batch *b = ctx;
	struct push *p = b->push;
	bool done = r->fault.verdict == S3_OK;
	struct event e;
	size_t i;

	p->flying_deletes--;
	say_skew(p, r);
	if (!done && r->fault.verdict != S3_AGAIN)
		hold(p, r, b->sent_ms);
	for (i = 0; i < b->n; i++) {
		struct object *ob = b->objects[i];

		free(b->keys[i]);
		if (done) {
			ob->stored = false;
			push_journal(p, ob, false);
		}
		push_rest(p, ob);
	}
	if (done) {
		well(p);
		event_begin(&e, "objects.expired");
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
		(b->keys[b->n] = key_of(p, ob->path))) {
		push_leave(ob);
		ob->state = OBJECT_FLYING;
		b->objects[b->n++] = ob;
	}
	p->flying_deletes++;
	if ((r = s3_delete(p->config.s3, (const char *const *)b->keys, b->n, on_deleted, b)) < 0) {
		struct s3_result away = { .fault = { .verdict = S3_AWAY } };

		snprintf(away.fault.why, sizeof(away.fault.why), "cannot delete: %s", strerror(-r));
		on_deleted(b, &away);
	}
}
