#include "push_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "die.h"
#include "clock.h"

int64_t
push_mtime(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

void
push_leave(struct object *ob)
{
	if (ob->queue)
		TAILQ_REMOVE(ob->queue, ob, in);
	ob->queue = NULL;
}

static void
enter(struct object *ob, struct objects_queue *q, enum object_state state)
{
	push_leave(ob);
	ob->state = (uint8_t)state;
	ob->queue = q;
	TAILQ_INSERT_TAIL(q, ob, in);
}

void
push_queue(struct push *p, struct object *ob)
{
	if (ob->due_ms > clock_mono_ms()) {
		enter(ob, &p->later, OBJECT_WAITING);
		return;
	}
	ob->due_ms = 0;
	enter(ob, ob->asked ? &p->asks : ob->kept ? &p->kept : &p->live, OBJECT_WAITING);
}

static int
by_time(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return ((*x)->mtime_ns > (*y)->mtime_ns) - ((*x)->mtime_ns < (*y)->mtime_ns);
}

/* A scan finds files in the order of folders; they go in that in which they were written. */
void
push_sort(struct objects_queue *q)
{
	struct object **all = NULL, *ob;
	size_t n = 0, i = 0;

	TAILQ_FOREACH(ob, q, in)
		n++;
	if (n < 2 || !(all = malloc(n * sizeof(*all)))) /* another order loses nothing */
		return;
	TAILQ_FOREACH(ob, q, in)
		all[i++] = ob;
	qsort(all, n, sizeof(*all), by_time);
	TAILQ_INIT(q);
	for (i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(q, all[i], in);
	free(all);
}

void
push_await(struct push *p, struct list *l)
{
	if (!l->queued && l->n)
		TAILQ_INSERT_TAIL(&p->lists[l->object->kept], l, in);
	l->queued |= l->n > 0;
}

void
push_journal(struct push *p, struct object *ob, bool stored)
{
	int r;

	if (!p->spool || p->journal_broken)
		return;
	r = stored ? spool_note(p->spool, ob->path, ob->size, ob->mtime_ns) :
		     spool_forget(p->spool, ob->path);
	p->journal_lines++;
	if (r < 0) {
		warning(r, "%scannot write the journal; pushing goes on, it is written again when that is possible",
			p->config.who);
		p->journal_broken = true;
	}
}

static void
note(void *ctx, struct object *ob)
{
	struct push *p = ctx;

	if (!ob->stored || ob->size < 0 || p->journal_broken || ob->state == OBJECT_WAITING ||
		ob->state == OBJECT_FLYING || (ob->list && ob->list->n))
		return;
	p->journal_broken = spool_note(p->spool, ob->path, ob->size, ob->mtime_ns) < 0;
	p->journal_lines++;
}

void
push_rewrite(struct push *p)
{
	int r = spool_begin(p->spool);

	p->journal_broken = false;
	p->journal_lines = 0;
	if (!r)
		objects_each(&p->objects, note, p);
	if (!r && !p->journal_broken)
		r = spool_end(p->spool);
	p->journal_broken |= r < 0;
}

/* Nothing is known of it that is worth its memory. */
static void
drop(struct push *p, struct object *ob)
{
	if (ob->refs || (ob->list && ob->list->n))
		return;
	push_leave(ob);
	if (ob->list && ob->list->queued)
		TAILQ_REMOVE(&p->lists[ob->kept], ob->list, in);
	list_free(&ob->list);
	objects_remove(&p->objects, ob);
}

/* Nothing is under way about it: what is left to do? */
void
push_rest(struct push *p, struct object *ob)
{
	push_leave(ob);
	ob->state = OBJECT_IDLE;
	if (ob->again && !ob->list) {
		ob->again = false;
		push_queue(p, ob);
	} else if (ob->gone_ms && ob->stored && p->config.expire_ms >= 0 && !ob->kept) {
		enter(ob, &p->gone, OBJECT_GONE);
	} else if (ob->gone_ms && !ob->lost) {
		if (ob->stored && ob->size >= 0)
			push_journal(p, ob, false);
		drop(p, ob);
	}
}

void
push_unlink(struct push *p, struct object *ob)
{
	if (ob->linked)
		spool_unlink(p->spool, ob->path);
	ob->linked = false;
}

int
push_open(struct push *p, struct object *ob)
{
	int fd = ob->linked ? spool_file(p->spool, ob->path) : -ENOENT;

	if (fd < 0) {
		fd = openat(p->config.root, ob->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}
