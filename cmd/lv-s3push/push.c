#include "push.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "hash.h"
#include "lists.h"

#define HOLD_FIRST_MS 200
#define HOLD_MAX_MS 5000 /* viewers wait for the end of an outage */
#define CONFIG_FIRST_MS 2000
#define CONFIG_MAX_MS 30000
#define MISSING_MS 5000     /* a file that a playlist names is looked for a second time */
#define MEASURE_MS 10000
#define TRIES_MAX 5
#define JOURNAL_SLACK 10000

struct push {
	struct push_config config;
	struct objects objects;
	struct objects_queue live, kept, later, asks, gone;
	struct lists_queue lists[2]; /* live ones, archives */
	int flying, flying_kept, flying_deletes;
	uint32_t scan;
	bool scanning, link_warned, journal_broken;
	size_t journal_lines, pushed, failed;
	/* Trouble with the whole: */
	int fails;
	int64_t hold_until_ms, failed_at_ms, failing_since_ms;
	struct s3_fault fault;
	int64_t measured_ms, skew_s;
};

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

int
push_new(struct push **out, const struct push_config *config)
{
	struct push *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->config = *config;
	TAILQ_INIT(&p->live);
	TAILQ_INIT(&p->kept);
	TAILQ_INIT(&p->later);
	TAILQ_INIT(&p->asks);
	TAILQ_INIT(&p->gone);
	TAILQ_INIT(&p->lists[0]);
	TAILQ_INIT(&p->lists[1]);
	p->scan = 1;
	p->journal_broken = true; /* until it has been read */
	p->measured_ms = clock_mono_ms();
	*out = p;
	return 0;
}

static int64_t
mtime_of(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void
leave(struct object *ob)
{
	if (ob->queue)
		TAILQ_REMOVE(ob->queue, ob, in);
	ob->queue = NULL;
}

static void
enter(struct object *ob, struct objects_queue *q, enum object_state state)
{
	leave(ob);
	ob->state = (uint8_t)state;
	ob->queue = q;
	TAILQ_INSERT_TAIL(q, ob, in);
}

static void
queue(struct push *p, struct object *ob)
{
	if (ob->due_ms > clock_mono_ms()) {
		enter(ob, &p->later, OBJECT_WAITING);
		return;
	}
	ob->due_ms = 0;
	enter(ob, ob->asked ? &p->asks : ob->kept ? &p->kept : &p->live, OBJECT_WAITING);
}

static void
await_list(struct push *p, struct list *l)
{
	if (!l->queued && l->n)
		TAILQ_INSERT_TAIL(&p->lists[l->object->kept], l, in);
	l->queued |= l->n > 0;
}

static void
journal(struct push *p, struct object *ob, bool stored)
{
	int r;

	if (!p->config.spool || p->journal_broken)
		return;
	r = stored ? spool_note(p->config.spool, ob->path, ob->size, ob->mtime_ns) :
		     spool_forget(p->config.spool, ob->path);
	p->journal_lines++;
	if (r < 0) {
		warning(r, "cannot write the journal; pushing goes on, it is written again when that is possible");
		p->journal_broken = true;
	}
}

/* Nothing is known of it that is worth its memory. */
static void
drop(struct push *p, struct object *ob)
{
	if (ob->refs || (ob->list && ob->list->n))
		return;
	leave(ob);
	if (ob->list && ob->list->queued)
		TAILQ_REMOVE(&p->lists[ob->kept], ob->list, in);
	list_free(&ob->list);
	objects_remove(&p->objects, ob);
}

/* Nothing is under way about it: what is left to do? */
static void
rest(struct push *p, struct object *ob)
{
	leave(ob);
	ob->state = OBJECT_IDLE;
	if (ob->again && !ob->list) {
		ob->again = false;
		queue(p, ob);
	} else if (ob->gone_ms && ob->stored && p->config.expire_ms >= 0 && !ob->kept) {
		enter(ob, &p->gone, OBJECT_GONE);
	} else if (ob->gone_ms && !ob->lost) {
		if (ob->stored && ob->size >= 0)
			journal(p, ob, false);
		drop(p, ob);
	}
}

static void
unlink_pending(struct push *p, struct object *ob)
{
	if (ob->linked)
		spool_unlink(p->config.spool, ob->path);
	ob->linked = false;
}

static int
open_object(struct push *p, struct object *ob)
{
	int fd = ob->linked ? spool_file(p->config.spool, ob->path) : -ENOENT;

	if (fd < 0) {
		fd = openat(p->config.root, ob->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}

/* What a playlist names. */
static struct object *
need(void *ctx, const char *path)
{
	struct push *p = ctx;
	struct object *ob;
	struct stat st;

	if (!kind_of(path) || kind_excluded(path) || *path == '.' || strstr(path, "/."))
		return NULL;
	ob = objects_find(&p->objects, path);
	if (!ob && (ob = objects_get(&p->objects, path))) {
		ob->asked = true;
		if (fstatat(p->config.root, path, &st, AT_SYMLINK_NOFOLLOW) == 0) /* it will be told of */
			ob->due_ms = clock_mono_ms() + MISSING_MS;
		queue(p, ob);
	}
	return ob && !ob->stored ? ob : NULL;
}

/* A manifest says by rule, not by name, what there is: it waits for all that was there before it. */
static int
wait_for_all(struct push *p, struct list *l)
{
	const char *slash = strrchr(l->object->path, '/');
	size_t n = slash ? (size_t)(slash + 1 - l->object->path) : 0;
	struct object *ob;
	int r = 0;

	TAILQ_FOREACH(ob, l->object->kept ? &p->kept : &p->live, in)
		if (!strncmp(ob->path, l->object->path, n) && !ob->stored && r >= 0)
			r = list_wait_for(l, ob);
	return r;
}

static int
take_list(struct push *p, struct object *ob)
{
	struct buf text = { 0 };
	int fd = open_object(p, ob), r = fd < 0 ? fd : 0;
	uint8_t *room = NULL;
	ssize_t n = 0;
	struct stat st;

	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	if (!r && st.st_size > LIST_BYTES)
		r = -EMSGSIZE;
	if (!r && !(room = buf_reserve(&text, (size_t)st.st_size + 1)))
		r = -ENOMEM;
	if (!r && (n = pread(fd, room, (size_t)st.st_size, 0)) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (!r && !ob->list)
		r = list_new(&ob->list, ob);
	if (!r) {
		buf_grew(&text, (size_t)n);
		ob->size = st.st_size;
		ob->mtime_ns = mtime_of(&st);
		if (ob->list->hash && !ob->list->n && ob->state == OBJECT_IDLE &&
			list_hash(&text) == ob->list->hash) { /* written again as it was */
			unlink_pending(p, ob);
			journal(p, ob, true);
		} else if (!(r = list_take(ob->list, &text, ob->size, ob->mtime_ns, ob->seen_ms, need, p)) &&
			ob->kind->role == KIND_MANIFEST) {
			r = wait_for_all(p, ob->list);
		}
	}
	buf_free(&text);
	if (!r)
		await_list(p, ob->list);
	return r;
}

static void
fail_object(struct push *p, struct object *ob, const char *why)
{
	struct event e;

	complain(0, "%s is not pushed: %s", ob->path, why);
	p->failed++;
	event_begin(&e, "object.failed");
	event_str(&e, "path", ob->path);
	event_str(&e, "reason", why);
	event_send(&e);
	unlink_pending(p, ob);
	ob->lost = !ob->stored;
}

static void
lose_object(struct push *p, struct object *ob)
{
	struct event e;

	if (ob->stored) { /* a newer version of it went as it came */
		rest(p, ob);
		return;
	}
	warning(0, "%s is lost: it is neither in the tree nor in the bucket", ob->path);
	event_begin(&e, "object.lost");
	event_str(&e, "path", ob->path);
	event_send(&e);
	unlink_pending(p, ob);
	ob->lost = true;
	ob->asked = false;
	rest(p, ob);
}

void
push_stored(struct push *p, const char *path, int64_t size, int64_t mtime_ns)
{
	struct object *ob;

	if (!kind_of(path) || kind_excluded(path) ||
		!(ob = size < 0 ? objects_find(&p->objects, path) : objects_get(&p->objects, path)))
		return;
	if (size < 0) {
		objects_remove(&p->objects, ob);
		return;
	}
	ob->stored = true;
	ob->size = size;
	ob->mtime_ns = mtime_ns;
}

void
push_scanning(struct push *p, bool on)
{
	p->scanning = on;
}

static bool
known(const struct push *p, const struct object *ob, const struct stat *st)
{
	if (ob->size != st->st_size || ob->asked || ob->lost)
		return false;
	if (p->config.once && ob->stored && ob->state == OBJECT_IDLE)
		return ob->mtime_ns >= mtime_of(st); /* the bucket's is younger */
	return ob->mtime_ns == mtime_of(st) && (ob->stored || ob->state != OBJECT_IDLE ||
		(ob->list && ob->list->n));
}

static void
keep_link(struct push *p, struct object *ob)
{
	int r = spool_link(p->config.spool, ob->path);

	ob->linked = r >= 0;
	if (r < 0 && r != -ENOENT && !p->link_warned) {
		warning(r, "cannot link %s into the spool: what is deleted before it was pushed is lost", ob->path);
		p->link_warned = true;
	}
}

/* A version that was not known yet. */
static void
take(struct push *p, struct object *ob, const struct stat *st)
{
	int r;

	ob->size = st->st_size;
	ob->mtime_ns = mtime_of(st);
	ob->seen_ms = p->scanning ? ob->mtime_ns / 1000000 : clock_wall_ms();
	ob->gone_ms = 0;
	ob->lost = false;
	ob->asked = false;
	if (!ob->kind->settle_ms || !ob->stored)
		ob->due_ms = 0;
	if (ob->state == OBJECT_GONE)
		rest(p, ob);
	if (ob->kind->role != KIND_MEDIA) {
		if (ob->state == OBJECT_WAITING) { /* it was asked for */
			leave(ob);
			ob->state = OBJECT_IDLE;
		}
		if ((r = take_list(p, ob)) < 0 && r != -ENOENT)
			fail_object(p, ob, strerror(-r));
	} else if (ob->state == OBJECT_FLYING) {
		ob->again = true;
	} else if (ob->state == OBJECT_IDLE || ob->queue == &p->asks || ob->queue == &p->later) {
		queue(p, ob);
	}
}

void
push_file(struct push *p, const char *path, const struct stat *st)
{
	struct object *ob;

	if (!kind_of(path) || kind_excluded(path))
		return;
	if (!(ob = objects_get(&p->objects, path))) {
		warning(-ENOMEM, "cannot remember %s", path);
		return;
	}
	ob->scan = p->scan;
	if (known(p, ob, st)) {
		if (ob->state == OBJECT_GONE) {
			ob->gone_ms = 0;
			rest(p, ob);
		}
		ob->gone_ms = 0;
		return;
	}
	if (p->config.spool)
		keep_link(p, ob);
	take(p, ob, st);
}

static void
spooled(void *ctx, const char *path, const struct stat *st)
{
	struct push *p = ctx;
	struct object *ob = kind_of(path) ? objects_get(&p->objects, path) : NULL;

	if (!ob) {
		spool_unlink(p->config.spool, path);
		return;
	}
	ob->linked = true;
	if (!known(p, ob, st))
		take(p, ob, st);
	else if (ob->stored && ob->state == OBJECT_IDLE) /* it was pushed, and the journal said so */
		unlink_pending(p, ob);
}

static void
lose_sight(struct push *p, struct object *ob)
{
	if (!ob->gone_ms)
		ob->gone_ms = clock_wall_ms();
	if (ob->state == OBJECT_IDLE && !(ob->list && (ob->list->n || ob->list->queued)))
		rest(p, ob);
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
	if (p->config.spool)
		spool_folder_gone(p->config.spool, path);
}

static void
unseen(void *ctx, struct object *ob)
{
	struct push *p = ctx;

	if (ob->scan != p->scan && ob->size >= 0)
		lose_sight(p, ob);
}

static void
note(void *ctx, struct object *ob)
{
	struct push *p = ctx;

	if (!ob->stored || ob->size < 0 || p->journal_broken || ob->state == OBJECT_WAITING ||
		ob->state == OBJECT_FLYING || (ob->list && ob->list->n))
		return;
	p->journal_broken = spool_note(p->config.spool, ob->path, ob->size, ob->mtime_ns) < 0;
	p->journal_lines++;
}

static void
rewrite_journal(struct push *p)
{
	int r = spool_begin(p->config.spool);

	p->journal_broken = false;
	p->journal_lines = 0;
	if (!r)
		objects_each(&p->objects, note, p);
	if (!r && !p->journal_broken)
		r = spool_end(p->config.spool);
	p->journal_broken |= r < 0;
}

void
push_scanned(struct push *p, bool again)
{
	struct event e;

	if (!again && p->config.spool) /* what waits from before; its playlists need the tree's files known */
		spool_pending(p->config.spool, spooled, p);
	if (!p->config.once)
		objects_each(&p->objects, unseen, p);
	p->scan++;
	if (p->config.spool)
		rewrite_journal(p);
	if (again) {
		event_begin(&e, "tree.rescanned");
		event_int(&e, "files", (int64_t)p->objects.n);
		event_send(&e);
	}
}

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
		unlink_pending(p, ob);
		journal(p, ob, true);
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
		await_list(p, ob->list);
		if (ob->list->n || ob->list->queued)
			return;
	}
	if (ob->state != OBJECT_WAITING)
		rest(p, ob);
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
		queue(p, ob);
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
	case S3_NEVER: well(p); fail_object(p, f->object, r->fault.why); break;
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
		fail_object(p, f->object, "it is larger than 5 GiB");
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
	leave(ob);
	ob->state = OBJECT_FLYING;
	return f;
}

static void
put_file(struct push *p, struct object *ob)
{
	struct flight *f = flight_new(p, ob);
	struct stat st;
	int r;

	if (!f)
		return;
	if ((f->fd = r = open_object(p, ob)) >= 0 && fstat(f->fd, &st) < 0)
		r = -errno;
	if (r == -ENOENT) {
		p->flying--;
		p->flying_kept -= ob->kept;
		free(f);
		lose_object(p, ob);
		return;
	}
	if (r >= 0) {
		f->size = ob->size = st.st_size;
		f->mtime_ns = ob->mtime_ns = mtime_of(&st);
		f->seen_ms = ob->seen_ms;
		r = launch(p, f);
	}
	if (r)
		no_flight(p, f, r);
}

static void
put_list(struct push *p, struct list *l, struct snapshot *s)
{
	struct flight *f = flight_new(p, l->object);
	int r = 0;

	TAILQ_REMOVE(&p->lists[l->object->kept], l, in);
	l->queued = false;
	if (!f) {
		list_return(l, s);
		await_list(p, l);
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
		lose_object(p, ob);
	} else {
		if (v == S3_MISSING)
			ob->due_ms = clock_mono_ms() + MISSING_MS;
		else if (v != S3_AGAIN)
			hold(p, r, f->sent_ms);
		queue(p, ob);
	}
	if (v == S3_OK || v == S3_MISSING)
		well(p);
	land(p, f);
	push_go(p);
}

static void
ask(struct push *p, struct object *ob)
{
	struct flight *f;
	char *key;
	struct stat st;
	int r;

	if (fstatat(p->config.root, ob->path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
		leave(ob);
		ob->state = OBJECT_IDLE;
		if (!p->config.once && clock_wall_ms() - mtime_of(&st) / 1000000 < MISSING_MS) {
			ob->due_ms = clock_mono_ms() + MISSING_MS; /* it is being written */
			queue(p, ob);
		} else {
			push_file(p, ob->path, &st);
		}
		return;
	}
	if (p->config.dry_run) {
		lose_object(p, ob);
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

/* A playlist that is ready, moved behind the others; or what one waits for. */
static bool
go_lists(struct push *p, struct lists_queue *q, bool wants)
{
	struct snapshot *s;
	struct object *ob;
	struct list *l;

	TAILQ_FOREACH(l, q, in) {
		if (l->object->state == OBJECT_FLYING)
			continue;
		if ((s = list_ready(l))) {
			if (s->dead) {
				list_release(s);
				fail_object(p, l->object, "it names an init section or key that is nowhere");
				if (!l->n) {
					TAILQ_REMOVE(q, l, in);
					l->queued = false;
				}
				return true;
			}
			put_list(p, l, s);
			return true;
		}
	}
	TAILQ_FOREACH(l, q, in)
		if (wants && (ob = list_wants(l))) {
			put_file(p, ob);
			return true;
		}
	return false;
}

static bool
go_kept(struct push *p)
{
	if (p->flying_kept >= (p->config.jobs > 1 ? p->config.jobs - 1 : 1))
		return false;
	if (go_lists(p, &p->lists[1], false))
		return true;
	if (TAILQ_EMPTY(&p->kept))
		return false;
	put_file(p, TAILQ_FIRST(&p->kept));
	return true;
}

static bool
go_one(struct push *p)
{
	if (!TAILQ_EMPTY(&p->asks))
		ask(p, TAILQ_FIRST(&p->asks));
	else if (go_lists(p, &p->lists[0], true))
		;
	else if (!TAILQ_EMPTY(&p->live))
		put_file(p, TAILQ_FIRST(&p->live));
	else
		return go_kept(p);
	return true;
}

void
push_go(struct push *p)
{
	while (p->flying < p->config.jobs && clock_mono_ms() >= p->hold_until_ms &&
		!(p->fails && p->flying) && go_one(p))
		;
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
			journal(p, ob, false);
		}
		rest(p, ob);
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
static void
expire(struct push *p)
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
		leave(ob);
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

struct backlog {
	int64_t files, bytes, oldest_ms;
};

static void
count(void *ctx, struct object *ob)
{
	struct backlog *b = ctx;

	if (ob->asked || !(ob->state == OBJECT_WAITING || ob->state == OBJECT_FLYING ||
				 (ob->list && ob->list->n)))
		return;
	b->files++;
	b->bytes += ob->size > 0 ? ob->size : 0;
	if (!b->oldest_ms || ob->seen_ms < b->oldest_ms)
		b->oldest_ms = ob->seen_ms;
}

void
push_say(struct push *p, const char *name)
{
	struct backlog b = { 0 };
	struct event e;

	objects_each(&p->objects, count, &b);
	event_begin(&e, name);
	event_int(&e, "backlog_files", b.files);
	event_int(&e, "backlog_bytes", b.bytes);
	event_int(&e, "backlog_age_ms", b.oldest_ms ? clock_wall_ms() - b.oldest_ms : 0);
	event_int(&e, "files_pushed", (int64_t)p->pushed);
	event_int(&e, "files_failed", (int64_t)p->failed);
	event_int(&e, "files_known", (int64_t)p->objects.n);
	event_send(&e);
}

void
push_tick(struct push *p)
{
	int64_t now = clock_mono_ms();
	struct object *ob, *next;

	for (ob = TAILQ_FIRST(&p->later); ob; ob = next) {
		next = TAILQ_NEXT(ob, in);
		if (ob->due_ms <= now || (p->config.once && !ob->asked))
			queue(p, ob);
	}
	if (p->config.expire_ms >= 0)
		expire(p);
	if (p->config.spool && (p->journal_broken || p->journal_lines > 2 * p->objects.n + JOURNAL_SLACK))
		rewrite_journal(p);
	if (now - p->measured_ms >= MEASURE_MS) {
		p->measured_ms = now;
		push_say(p, "push.measured");
	}
	push_go(p);
}

bool
push_idle(const struct push *p)
{
	return !p->flying && !p->flying_deletes && TAILQ_EMPTY(&p->live) && TAILQ_EMPTY(&p->kept) &&
		TAILQ_EMPTY(&p->later) && TAILQ_EMPTY(&p->asks) && TAILQ_EMPTY(&p->lists[0]) &&
		TAILQ_EMPTY(&p->lists[1]);
}

const struct s3_fault *
push_fault(const struct push *p)
{
	return p->fails ? &p->fault : NULL;
}

int64_t
push_failing_ms(const struct push *p)
{
	return p->fails ? clock_mono_ms() - p->failing_since_ms : 0;
}

size_t
push_failed(const struct push *p)
{
	return p->failed;
}

size_t
push_known(const struct push *p)
{
	return p->objects.n;
}

static void
free_list(void *ctx, struct object *ob)
{
	(void)ctx;
	list_free(&ob->list);
}

void
push_free(struct push **pp)
{
	if (!*pp)
		return;
	objects_each(&(*pp)->objects, free_list, NULL);
	objects_free(&(*pp)->objects);
	free(*pp);
	*pp = NULL;
}
