#include "lists.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "m3u8.h"
#include "m3u8refs.h"

struct taking {
	struct snapshot *snapshot;
	const char *base;
	lists_need *need;
	void *ctx;
};

int
list_new(struct list **out, struct object *ob)
{
	if (!(*out = calloc(1, sizeof(**out))))
		return -ENOMEM;
	(*out)->object = ob;
	return 0;
}

void
list_release(struct snapshot *s)
{
	for (; s->first < s->ndeps; s->first++)
		s->deps[s->first].object->refs--;
	buf_free(&s->text);
	free(s->deps);
	free(s);
}

static int
add_dep(struct snapshot *s, struct object *ob, enum need need)
{
	struct dep *more;

	if (s->ndeps == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		if (!(more = realloc(s->deps, s->cap * sizeof(*more))))
			return -ENOMEM;
		s->deps = more;
	}
	s->deps[s->ndeps++] = (struct dep){ ob, need };
	ob->refs++;
	return 0;
}

static int
on_ref(void *ctx, const struct m3u8_ref *ref)
{
	struct taking *t = ctx;
	char path[PATH_MAX];
	struct object *ob;

	/* Only a multivariant playlist waits for playlists, so none can wait for itself. */
	if (m3u8_resolve(path, sizeof(path), t->base, ref->uri, ref->len) <= 0 ||
		!(ob = t->need(t->ctx, path)))
		return 0;
	if (ob->kind->role != KIND_MEDIA && !ref->playlist)
		return 0;
	return add_dep(t->snapshot, ob,
		ref->playlist ? NEED_PLAYLIST : ref->segment ? NEED_SEGMENT : NEED_OTHER);
}

int
list_take(struct list *l, struct buf *text, int64_t size, int64_t mtime_ns, int64_t seen_ms,
	lists_need *need, void *ctx)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct taking t = { s, l->object->path, need, ctx };
	int r;

	if (!s)
		return -ENOMEM;
	s->text = *text;
	memset(text, 0, sizeof(*text));
	s->size = size;
	s->mtime_ns = mtime_ns;
	s->seen_ms = seen_ms;
	r = m3u8_refs((const char *)buf_data(&s->text), buf_len(&s->text), on_ref, &t);
	if (r < 0 && r != -EBADMSG) { /* what is no playlist names nothing */
		list_release(s);
		return r;
	}
	if (l->n == LIST_SNAPSHOTS) /* the oldest is ready first, the newest is wanted most */
		list_release(l->waiting[--l->n]);
	l->waiting[l->n++] = s;
	return 0;
}

int
list_wait_for(struct list *l, struct object *ob)
{
	return add_dep(l->waiting[l->n - 1], ob, NEED_PLAYLIST);
}

static bool
settled(struct snapshot *s, const struct dep *d)
{
	if (d->object->stored)
		return true;
	if (!d->object->lost)
		return false;
	s->gaps |= d->need == NEED_SEGMENT;
	s->dead |= d->need == NEED_OTHER;
	return true;
}

static bool
ready(struct snapshot *s)
{
	while (s->first < s->ndeps && settled(s, &s->deps[s->first])) {
		s->deps[s->first].object->refs--;
		s->first++;
	}
	return s->first == s->ndeps;
}

struct snapshot *
list_ready(struct list *l)
{
	struct snapshot *s;
	size_t i, at;

	for (at = l->n; at-- > 0;)
		if (ready(l->waiting[at]))
			break;
	if (at == SIZE_MAX)
		return NULL;
	s = l->waiting[at];
	for (i = 0; i < at; i++)
		list_release(l->waiting[i]);
	l->n -= at + 1;
	memmove(l->waiting, l->waiting + at + 1, l->n * sizeof(*l->waiting));
	return s;
}

struct object *
list_wants(struct list *l)
{
	struct snapshot *s = l->n ? l->waiting[l->n - 1] : NULL;
	size_t i;

	for (i = s ? s->first : 0; s && i < s->ndeps; i++)
		if (s->deps[i].object->state == OBJECT_WAITING && !s->deps[i].object->stored &&
			!s->deps[i].object->due_ms)
			return s->deps[i].object;
	return NULL;
}

void
list_return(struct list *l, struct snapshot *s)
{
	if (l->n == LIST_SNAPSHOTS) { /* newer ones are as good */
		list_release(s);
		return;
	}
	memmove(l->waiting + 1, l->waiting, l->n * sizeof(*l->waiting));
	l->waiting[0] = s;
	l->n++;
}

uint64_t
list_hash(const struct buf *b)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	size_t i;

	for (i = 0; i < buf_len(b); i++)
		h = (h ^ buf_data(b)[i]) * 1099511628211u;
	return h;
}

struct marking {
	struct buf *out;
	const char *text, *path;
	size_t at;
	const struct objects *objects;
};

/* What is before the first gap, in the version that has gaps. */
static void
raise_version(struct marking *m, size_t before)
{
	static const char tag[] = "\n#EXT-X-VERSION:";
	const char *at = memmem(m->text, before, tag, sizeof(tag) - 1), *digit = at ? at + sizeof(tag) - 1 : NULL;

	if (!digit || digit[0] < '1' || digit[0] >= '0' + M3U8_GAPS || (digit[1] != '\n' && digit[1] != '\r'))
		return;
	buf_append(m->out, m->text, (size_t)(digit - m->text));
	buf_u8(m->out, '0' + M3U8_GAPS);
	m->at = (size_t)(digit + 1 - m->text);
}

static int
on_mark(void *ctx, const struct m3u8_ref *ref)
{
	struct marking *m = ctx;
	char path[PATH_MAX];
	struct object *ob;

	if (!ref->segment || m3u8_resolve(path, sizeof(path), m->path, ref->uri, ref->len) <= 0 ||
		!(ob = objects_find(m->objects, path)) || !ob->lost || ob->stored)
		return 0;
	if (!m->at)
		raise_version(m, ref->line);
	buf_append(m->out, m->text + m->at, ref->line - m->at);
	m->at = ref->line;
	return buf_printf(m->out, "#EXT-X-GAP\n");
}

int
list_mark_gaps(struct buf *out, const struct snapshot *s, const char *path, const struct objects *objects)
{
	struct marking m = { out, (const char *)buf_data(&s->text), path, 0, objects };
	int r = m3u8_refs(m.text, buf_len(&s->text), on_mark, &m);

	if (r < 0)
		return r;
	return buf_append(out, m.text + m.at, buf_len(&s->text) - m.at);
}

void
list_free(struct list **lp)
{
	struct list *l = *lp;

	while (l && l->n)
		list_release(l->waiting[--l->n]);
	free(l);
	*lp = NULL;
}
