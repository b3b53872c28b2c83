#include "push_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "upload.h"

#define TRIES_MAX 5

static void
say_pushed(struct push *p, const struct flight *f)
{
	struct event e;

	p->figures.pushed_files++;
	p->figures.pushed_bytes += f->size;
	push_puts_stored(&p->puts, f->object->path, clock_wall_ms() - f->seen_ms);
	push_event(p, &e, "object.pushed");
	event_str(&e, "path", f->object->path);
	event_int(&e, "size_bytes", f->size);
	event_int(&e, "lag_ms", clock_wall_ms() - f->seen_ms);
	event_send(&e);
	inform("%spushed %s", p->config.who, f->object->path);
}

/* It is in the bucket; the version that was sent need not be the newest any more. */
static void
stored(struct push *p, struct flight *f)
{
	struct object *ob = f->object;

	push_well(p);
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

void
push_land(struct push *p, struct flight *f)
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

	push_say_skew(p, r);
	push_puts_answered(&p->puts, r, f->sent_ms);
	if (later.fault.verdict == S3_AGAIN && ++f->object->tries > TRIES_MAX)
		later.fault.verdict = S3_AWAY;
	switch (later.fault.verdict) {
	case S3_OK: stored(p, f); break;
	case S3_AGAIN: put_back(p, f); break;
	case S3_NEVER: push_well(p); push_fail(p, f->object, r->fault.why); break;
	default:
		push_hold(p, &later, f->sent_ms);
		put_back(p, f);
	}
	push_land(p, f);
	push_go(p);
}

/* The key of an object: the prefix, and its path in the tree. */
char *
push_key(const struct push *p, const char *path)
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
	char *key = push_key(p, ob->path);
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
		printf("put %s/%s (%s; %s)\n", p->config.dest, ob->path, o.type, o.cache);
		ob->stored = true;
		p->figures.pushed_files++;
		r = 1;
	} else {
		r = o.data || o.size < UPLOAD_FROM ? s3_put(p->config.s3, &o, on_put, f) :
			upload_file(p->config.s3, p->config.loop, &o, on_put, f);
	}
	free(key);
	return r;
}

/* A flight that did not begin ends here: 1 is a dry run's success. */
void
push_no_flight(struct push *p, struct flight *f, int r)
{
	struct s3_result away = { .fault = { .verdict = S3_AWAY }, .error = r };

	if (r == -EFBIG) {
		push_fail(p, f->object, "it is larger than 5 GiB");
	} else if (r < 0) {
		if (r != -ESTALE || ++f->object->tries > TRIES_MAX) {
			snprintf(away.fault.why, sizeof(away.fault.why), "cannot send %s: %s",
				f->object->path, strerror(-r));
			push_hold(p, &away, f->sent_ms);
		}
		put_back(p, f);
	}
	push_land(p, f);
}

struct flight *
push_fly(struct push *p, struct object *ob)
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
	struct flight *f = push_fly(p, ob);
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
		push_no_flight(p, f, r);
}

void
push_put_list(struct push *p, struct list *l, struct snapshot *s)
{
	struct flight *f = push_fly(p, l->object);
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
		push_no_flight(p, f, r);
}
