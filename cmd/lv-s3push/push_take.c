#include "push_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"

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
	int r = spool_link(p->spool, ob->path);

	ob->linked = r >= 0;
	if (r < 0 && r != -ENOENT && !p->link_warned) {
		warning(r, "%scannot link %s into the spool: what is deleted before it was pushed is lost",
			p->config.who, ob->path);
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
	if (p->spool)
		keep_link(p, ob);
	take(p, ob, st);
}

void
push_spooled(void *ctx, const char *path, const struct stat *st)
{
	struct push *p = ctx;
	struct object *ob = kind_of(path) ? objects_get(&p->objects, path) : NULL;

	if (!ob) {
		spool_unlink(p->spool, path);
		return;
	}
	ob->linked = true;
	if (!known(p, ob, st))
		take(p, ob, st);
	else if (ob->stored && ob->state == OBJECT_IDLE) /* it was pushed, and the journal said so */
		push_unlink(p, ob);
}
