#include "push_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"

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
		spool_unlink(p->config.spool, ob->path);
	ob->linked = false;
}

int
push_open(struct push *p, struct object *ob)
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
			ob->due_ms = clock_mono_ms() + PUSH_MISSING_MS;
		push_queue(p, ob);
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
	int fd = push_open(p, ob), r = fd < 0 ? fd : 0;
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
		ob->mtime_ns = push_mtime(&st);
		if (ob->list->hash && !ob->list->n && ob->state == OBJECT_IDLE &&
			list_hash(&text) == ob->list->hash) { /* written again as it was */
			push_unlink(p, ob);
			push_journal(p, ob, true);
		} else if (!(r = list_take(ob->list, &text, ob->size, ob->mtime_ns, ob->seen_ms, need, p)) &&
			ob->kind->role == KIND_MANIFEST) {
			r = wait_for_all(p, ob->list);
		}
	}
	buf_free(&text);
	if (!r)
		push_await(p, ob->list);
	return r;
}

void
push_fail(struct push *p, struct object *ob, const char *why)
{
	struct event e;

	complain(0, "%s is not pushed: %s", ob->path, why);
	p->failed++;
	event_begin(&e, "object.failed");
	event_str(&e, "path", ob->path);
	event_str(&e, "reason", why);
	event_send(&e);
	push_unlink(p, ob);
	ob->lost = !ob->stored;
}

void
push_lose(struct push *p, struct object *ob)
{
	struct event e;

	if (ob->stored) { /* a newer version of it went as it came */
		push_rest(p, ob);
		return;
	}
	warning(0, "%s is lost: it is neither in the tree nor in the bucket", ob->path);
	event_begin(&e, "object.lost");
	event_str(&e, "path", ob->path);
	event_send(&e);
	push_unlink(p, ob);
	ob->lost = true;
	ob->asked = false;
	push_rest(p, ob);
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
		return ob->mtime_ns >= push_mtime(st); /* the bucket's is younger */
	return ob->mtime_ns == push_mtime(st) && (ob->stored || ob->state != OBJECT_IDLE ||
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
	ob->mtime_ns = push_mtime(st);
	ob->seen_ms = p->scanning ? ob->mtime_ns / 1000000 : clock_wall_ms();
	ob->gone_ms = 0;
	ob->lost = false;
	ob->asked = false;
	if (!ob->kind->settle_ms || !ob->stored)
		ob->due_ms = 0;
	if (ob->state == OBJECT_GONE)
		push_rest(p, ob);
	if (ob->kind->role != KIND_MEDIA) {
		if (ob->state == OBJECT_WAITING) { /* it was asked for */
			push_leave(ob);
			ob->state = OBJECT_IDLE;
		}
		if ((r = take_list(p, ob)) < 0 && r != -ENOENT)
			push_fail(p, ob, strerror(-r));
	} else if (ob->state == OBJECT_FLYING) {
		ob->again = true;
	} else if (ob->state == OBJECT_IDLE || ob->queue == &p->asks || ob->queue == &p->later) {
		push_queue(p, ob);
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
			push_rest(p, ob);
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
		push_unlink(p, ob);
}

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

void
push_rewrite(struct push *p)
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
		push_rewrite(p);
	if (again) {
		event_begin(&e, "tree.rescanned");
		event_int(&e, "files", (int64_t)p->objects.n);
		event_send(&e);
	}
}
