#include "upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "hash.h"

#define PART (16u << 20)

struct upload {
	struct s3 *s3;
	struct ev_loop *loop;
	ev_timer next;
	struct s3_object file;
	char *id;
	int64_t begun_ms;
	uint64_t part_size;
	size_t nparts, at;       /* at: the part that is next */
	struct s3_entry *parts;  /* etag: what the bucket holds of it; part: set when that is right */
	s3_done *done;
	void *ctx;
};

static void
upload_free(struct upload *u)
{
	ev_timer_stop(u->loop, &u->next);
	free((char *)u->file.key);
	free((char *)u->file.type);
	free((char *)u->file.cache);
	free(u->id);
	free(u->parts);
	free(u);
}

static void
on_abort(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	(void)r;
}

/* What can never be stored is not left there in parts either. */
static void
end(struct upload *u, const struct s3_result *r)
{
	if (u->id && r->fault.verdict == S3_NEVER)
		s3_upload_abort(u->s3, u->file.key, u->id, on_abort, NULL);
	u->done(u->ctx, r);
	upload_free(u);
}

/* A request could not be made: the result tells it. */
static void
check(struct upload *u, int r)
{
	struct s3_result bad = { .error = r, .fault = { .verdict = r == -ESTALE ? S3_AGAIN : S3_AWAY } };

	if (r >= 0)
		return;
	snprintf(bad.fault.why, sizeof(bad.fault.why), "cannot send %s: %s", u->file.key, strerror(-r));
	end(u, &bad);
}

static void
on_end(void *ctx, const struct s3_result *r)
{
	end(ctx, r);
}

static uint64_t
size_of(const struct upload *u, size_t at)
{
	uint64_t left = u->file.size - at * u->part_size;

	return left < u->part_size ? left : u->part_size;
}

static void
on_part(void *ctx, const struct s3_result *r)
{
	struct upload *u = ctx;

	if (r->fault.verdict != S3_OK) {
		end(u, r);
		return;
	}
	snprintf(u->parts[u->at].etag, sizeof(u->parts[u->at].etag), "%s", r->etag);
	u->parts[u->at].part = (int)u->at + 1;
	u->at++;
	ev_timer_start(u->loop, &u->next);
}

/* One part in each turn of the loop, since a look at what is there already takes its time too. */
static void
on_next(struct ev_loop *loop, ev_timer *w, int events)
{
	struct upload *u = w->data;
	struct s3_object part = u->file;
	char md5[HASH_MD5_HEX];
	struct s3_entry *e;
	int r;

	(void)events;
	if (u->at == u->nparts) {
		check(u, s3_upload_end(u->s3, u->file.key, u->id, u->parts, u->nparts, on_end, u));
		return;
	}
	e = &u->parts[u->at];
	part.offset = u->at * u->part_size;
	part.size = size_of(u, u->at);
	if (e->etag[0] && e->size == part.size) {
		if ((r = hash_md5_file(md5, part.fd, part.offset, part.size)) < 0) {
			check(u, r);
			return;
		}
		if (!strcmp(md5, e->etag)) {
			e->part = (int)++u->at;
			ev_timer_start(loop, &u->next);
			return;
		}
	}
	check(u, s3_upload_part(u->s3, &part, u->id, (int)u->at + 1, on_part, u));
}

static void
on_begun(void *ctx, const struct s3_result *r)
{
	struct upload *u = ctx;

	if (r->fault.verdict != S3_OK)
		end(u, r);
	else if (!(u->id = strdup(r->upload)))
		check(u, -ENOMEM);
	else
		ev_timer_start(u->loop, &u->next);
}

static void
on_parts(void *ctx, const struct s3_result *r)
{
	struct upload *u = ctx;
	size_t i, held = 0;

	if (r->fault.verdict != S3_OK) {
		end(u, r);
		return;
	}
	for (i = 0; i < r->nentries; i++)
		if (r->entries[i].part > 0 && (size_t)r->entries[i].part <= u->nparts) {
			struct s3_entry *e = &u->parts[r->entries[i].part - 1];

			e->size = r->entries[i].size;
			memcpy(e->etag, r->entries[i].etag, sizeof(e->etag));
		}
	if (r->next) {
		check(u, s3_upload_parts(u->s3, u->file.key, u->id, r->next, on_parts, u));
		return;
	}
	for (i = 0; i < u->nparts; i++)
		held += u->parts[i].etag[0] != '\0';
	inform("going on with %s, of which %zu of %zu parts are there", u->file.key, held, u->nparts);
	ev_timer_start(u->loop, &u->next);
}

/* The youngest that was begun of this key; a server that does not let us look is begun anew with. */
static void
on_found(void *ctx, const struct s3_result *r)
{
	struct upload *u = ctx;
	size_t i;

	if (r->fault.verdict != S3_OK && r->fault.verdict != S3_CONFIG && r->fault.verdict != S3_NEVER) {
		end(u, r);
		return;
	}
	for (i = 0; i < r->nentries; i++)
		if (!strcmp(r->entries[i].key, u->file.key) && r->entries[i].upload &&
			(!u->id || r->entries[i].changed_ms > u->begun_ms)) {
			free(u->id);
			u->begun_ms = r->entries[i].changed_ms;
			if (!(u->id = strdup(r->entries[i].upload))) {
				check(u, -ENOMEM);
				return;
			}
		}
	if (u->id)
		check(u, s3_upload_parts(u->s3, u->file.key, u->id, NULL, on_parts, u));
	else
		check(u, s3_upload_begin(u->s3, &u->file, on_begun, u));
}

int
upload_file(struct s3 *s3, struct ev_loop *loop, const struct s3_object *o, s3_done *done, void *ctx)
{
	struct upload *u = calloc(1, sizeof(*u));
	uint64_t least = (o->size + S3_PARTS - 1) / S3_PARTS;
	int r = -ENOMEM;

	if (!u)
		return -ENOMEM;
	u->s3 = s3;
	u->loop = loop;
	u->done = done;
	u->ctx = ctx;
	u->file = *o;
	u->part_size = least > PART ? (least + (1u << 20) - 1) >> 20 << 20 : PART;
	u->nparts = (size_t)((o->size + u->part_size - 1) / u->part_size);
	u->file.key = strdup(o->key);
	u->file.type = o->type ? strdup(o->type) : NULL;
	u->file.cache = o->cache ? strdup(o->cache) : NULL;
	u->parts = calloc(u->nparts, sizeof(*u->parts));
	ev_timer_init(&u->next, on_next, 0, 0);
	u->next.data = u;
	if (u->file.key && u->parts && (u->file.type || !o->type) && (u->file.cache || !o->cache))
		r = s3_uploads(s3, u->file.key, NULL, on_found, u);
	if (r < 0)
		upload_free(u);
	return r;
}
