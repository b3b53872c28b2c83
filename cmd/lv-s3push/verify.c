#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event.h"
#include "hash.h"
#include "mirror.h"
#include "tree.h"

#define AGAIN_S 1.0

struct verify {
	struct verify_config config;
	struct verify_figures figures;
	struct objects objects;
	struct objects_queue todo;
	struct mirror mirror;
	struct s3_fault fault;
	ev_timer again;
	int flying, tries;
	bool failed, done;
};

/* One file that is looked at. */
struct check {
	struct verify *verify;
	struct object *object;
	char *key;
	int fd;
	uint64_t got; /* bytes that were read and are the same */
	char etag[S3_ETAG];
	const char *label; /* the one that differs */
	bool differs;
};

static void go(struct verify *);

static void
begin(const struct verify *v, struct event *e, const char *name)
{
	event_begin(e, name);
	event_str(e, "dest", v->config.dest);
}

static void
say_differs(struct verify *v, const struct object *ob, const char *reason)
{
	struct event e;

	v->figures.differing++;
	begin(v, &e, "object.differs");
	event_str(&e, "path", ob->path);
	event_str(&e, "reason", reason);
	event_send(&e);
}

static void
check_free(struct check *c)
{
	c->verify->flying--;
	if (c->fd >= 0)
		close(c->fd);
	free(c->key);
	free(c);
}

/* Looked at: what, if anything, is not as it should be. */
static void
settle(struct check *c, const char *reason)
{
	struct verify *v = c->verify;
	struct object *ob = c->object;

	v->tries = 0;
	reason = reason ? reason : c->label;
	if (reason) {
		say_differs(v, ob, reason);
	} else {
		v->figures.same++;
		v->config.same(v->config.ctx, ob->path, ob->size);
	}
	check_free(c);
	go(v);
}

static void
on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	go(w->data);
}

/* No answer to be had now: it waits, or all ends. */
static void
postpone(struct check *c, const struct s3_fault *fault)
{
	struct verify *v = c->verify;

	TAILQ_INSERT_HEAD(&v->todo, c->object, in);
	if ((fault->verdict != S3_AWAY && fault->verdict != S3_AGAIN) || ++v->tries > VERIFY_TRIES) {
		v->failed = true;
		v->fault = *fault;
	}
	check_free(c);
	if (v->failed)
		go(v);
	else if (!ev_is_active(&v->again))
		ev_timer_start(v->config.loop, &v->again);
}

static int
on_bytes(void *ctx, const void *data, size_t n)
{
	static char ours[16 << 10];
	struct check *c = ctx;
	size_t at, step;

	for (at = 0; at < n; at += step) {
		step = n - at < sizeof(ours) ? n - at : sizeof(ours);
		if (pread(c->fd, ours, step, (off_t)c->got) != (ssize_t)step ||
			memcmp(ours, (const char *)data + at, step)) {
			c->differs = true;
			return -ECANCELED;
		}
		c->got += step;
	}
	return 0;
}

static void read_on(struct check *);

static void
on_read(void *ctx, const struct s3_result *r)
{
	struct check *c = ctx;
	uint64_t got = c->got;

	if (c->differs || r->fault.status == 412)
		settle(c, "content");
	else if (r->fault.verdict == S3_OK)
		settle(c, got == (uint64_t)c->object->size ? NULL : "content");
	else if (r->fault.verdict == S3_MISSING)
		settle(c, "missing");
	else if (r->fault.verdict == S3_AWAY && ++c->verify->tries < VERIFY_TRIES)
		read_on(c);
	else
		postpone(c, &r->fault);
}

static void
read_on(struct check *c)
{
	struct s3_read rd = { .key = c->key, .first = c->got, .etag = c->etag, .take = on_bytes };
	struct s3_fault fault = { .verdict = S3_AWAY, .why = "out of memory" };

	if (s3_get(c->verify->config.s3, &rd, on_read, c) < 0)
		postpone(c, &fault);
}

static void
compare(struct check *c, const struct s3_result *r)
{
	const struct kind *kind = c->object->kind;
	char md5[HASH_MD5_HEX];
	struct stat st;

	c->fd = openat(c->verify->config.root, c->object->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 || fstat(c->fd, &st) < 0) { /* it went meanwhile */
		c->verify->figures.files--;
		check_free(c);
		return;
	}
	c->object->size = st.st_size;
	c->label = strcmp(r->type, kind->type) ? "type" : strcmp(r->cache, kind->cache) ? "cache" : NULL;
	snprintf(c->etag, sizeof(c->etag), "%s", r->entries[0].etag);
	if (r->entries[0].size != (uint64_t)st.st_size)
		settle(c, "size");
	else if (!hash_md5_file(md5, c->fd, 0, (uint64_t)st.st_size) && !strcmp(md5, c->etag))
		settle(c, NULL);
	else
		read_on(c);
}

static void
on_head(void *ctx, const struct s3_result *r)
{
	struct check *c = ctx;
	struct verify *v = c->verify;

	if (r->fault.verdict == S3_OK) {
		compare(c, r);
		go(v);
	} else if (r->fault.verdict == S3_MISSING) {
		settle(c, "missing");
	} else {
		postpone(c, &r->fault);
	}
}

static void
ask(struct verify *v, struct object *ob)
{
	struct check *c = calloc(1, sizeof(*c));
	struct s3_fault fault = { .verdict = S3_AWAY, .why = "out of memory" };

	TAILQ_REMOVE(&v->todo, ob, in);
	if (!c) {
		v->failed = true;
		v->fault = fault;
		return;
	}
	c->verify = v;
	c->object = ob;
	c->fd = -1;
	v->flying++;
	if (asprintf(&c->key, "%s%s%s", v->config.prefix, *v->config.prefix ? "/" : "", ob->path) < 0)
		c->key = NULL;
	if (!c->key || s3_head(v->config.s3, c->key, on_head, c) < 0)
		postpone(c, &fault);
}

static void
finish(struct verify *v)
{
	struct event e;

	v->done = true;
	if (!v->failed) {
		begin(v, &e, "tree.verified");
		event_int(&e, "files", v->figures.files);
		event_int(&e, "bytes", v->figures.bytes);
		event_int(&e, "same", v->figures.same);
		event_int(&e, "differing", v->figures.differing);
		event_int(&e, "extra", v->figures.extra);
		event_send(&e);
	}
	v->config.done(v->config.ctx, v->failed ? &v->fault : NULL);
}

static void
go(struct verify *v)
{
	while (!v->failed && v->flying < v->config.jobs && !TAILQ_EMPTY(&v->todo) && !ev_is_active(&v->again))
		ask(v, TAILQ_FIRST(&v->todo));
	if (!v->flying && (v->failed || TAILQ_EMPTY(&v->todo)) && !v->done)
		finish(v);
}

/* Of the bucket: what nobody here knows has expired, or is somebody else's. */
static void
on_listed(void *ctx, const char *path, const struct s3_entry *entry)
{
	struct verify *v = ctx;
	struct object *ob = objects_find(&v->objects, path);
	struct event e;

	if (ob) {
		ob->stored = true;
		return;
	}
	v->figures.extra++;
	begin(v, &e, "object.extra");
	event_str(&e, "path", path);
	event_int(&e, "size_bytes", (int64_t)entry->size);
	event_send(&e);
}

static void
sort(void *ctx, struct object *ob)
{
	struct verify *v = ctx;

	if (ob->stored)
		TAILQ_INSERT_TAIL(&v->todo, ob, in);
	else
		say_differs(v, ob, "missing");
}

static void
on_mirrored(void *ctx, const struct s3_fault *fault)
{
	struct verify *v = ctx;

	if (fault) {
		v->failed = true;
		v->fault = *fault;
	} else {
		objects_each(&v->objects, sort, v);
	}
	go(v);
}

static void
on_file(void *ctx, const char *path, const struct stat *st)
{
	struct verify *v = ctx;
	struct object *ob = kind_of(path) && !kind_excluded(path) ? objects_get(&v->objects, path) : NULL;

	if (!ob)
		return;
	ob->size = st->st_size;
	v->figures.files++;
	v->figures.bytes += st->st_size;
}

static void
on_scanned(void *ctx, bool again)
{
	(void)ctx;
	(void)again;
}

int
verify_start(struct verify **out, const struct verify_config *config)
{
	struct verify *v = calloc(1, sizeof(*v));
	struct tree_told told = { .file = on_file, .scanned = on_scanned, .ctx = v };
	struct tree *tree;
	int r;

	if (!v)
		return -ENOMEM;
	*out = v;
	v->config = *config;
	TAILQ_INIT(&v->todo);
	ev_timer_init(&v->again, on_again, AGAIN_S, 0);
	v->again.data = v;
	v->mirror = (struct mirror){ .s3 = config->s3, .loop = config->loop, .prefix = config->prefix,
		.found = on_listed, .done = on_mirrored, .ctx = v };
	if ((r = tree_new(&tree, config->root, false, &told)) >= 0) {
		r = tree_scan(tree);
		tree_free(&tree);
	}
	return r < 0 ? r : mirror_start(&v->mirror);
}

const struct verify_figures *
verify_figures(const struct verify *v)
{
	return &v->figures;
}

void
verify_free(struct verify **vp)
{
	struct verify *v = *vp;

	if (!v)
		return;
	ev_timer_stop(v->config.loop, &v->again);
	objects_free(&v->objects);
	free(v);
	*vp = NULL;
}
