/* Store: the object that is being made, in parts, several on their way at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "store_parts.h"

#define PART_LEAST (8u << 20)
#define PARTS_WISH 9000 /* of a large object; S3 takes 10,000 */
#define FLYING 3

struct flight { /* a part on its way */
	bool used;
	int number;
	struct buf bytes;
	struct again again;
};

static struct {
	bool open, failed, ending;
	uint32_t id; /* of the ask that waits: to begin, to end, to abort */
	struct s3 *s3;
	char *key, *upload, *from;
	size_t part; /* bytes */
	uint64_t size, kept; /* kept: bytes that were stored before */
	struct buf filling;
	struct flight flight[FLYING];
	struct s3_entry *parts, *stored; /* by number less 1; stored: by a process before us */
	int count, nstored;
	char **orphan; /* ids of older uploads of the same key, which are ended */
	size_t norphan;
	int64_t newest_ms;
	struct again again;
} up;

static void find_uploads(void *);
static void find_parts(void *);
static void begin(void *);
static void end_orphan(void *);
static void finish(void *);
static void look(void *);
static void drop(void *);

static void
forget(void)
{
	size_t i;

	for (i = 0; i < FLYING; i++)
		buf_free(&up.flight[i].bytes);
	for (i = 0; i < up.norphan; i++)
		free(up.orphan[i]);
	buf_free(&up.filling);
	free(up.orphan);
	free(up.parts);
	free(up.stored);
	free(up.key);
	free(up.upload);
	free(up.from);
	memset(&up, 0, sizeof(up));
}

/* The upload will not do: whoever waits hears it, or it is told unasked. */
static void
fail(const struct s3_fault *f)
{
	if (up.failed)
		return;
	up.failed = true;
	server_refuse(up.id, f);
	up.id = 0;
	server_resume();
}

static void
fail_errno(int error)
{
	struct s3_fault f = { .verdict = error == -ENOMEM ? S3_NEVER : S3_AWAY };

	snprintf(f.why, sizeof(f.why), "%s", strerror(-error));
	fail(&f);
}

static void
ready(void)
{
	server_answer(up.id, 0, up.kept, "", 0);
	up.id = 0;
}

/* Goes on with the next request, which gets its tries anew. */
static void
next(void (*run)(void *))
{
	memset(&up.again, 0, sizeof(up.again));
	run(NULL);
}

static void
on_begun(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&up.again, r, begin, NULL))
		return;
	if (r->fault.verdict != S3_OK)
		fail(&r->fault);
	else if (!(up.upload = strdup(r->upload)))
		fail_errno(-ENOMEM);
	else
		ready();
}

static void
begin(void *ctx)
{
	struct s3_object o = { .key = up.key, .fd = -1, .type = server_type(up.key), .cache = server_cache(up.key) };
	int r = s3_upload_begin(up.s3, &o, on_begun, NULL);

	(void)ctx;
	if (r < 0)
		fail_errno(r);
}

static int
is_orphan(char *id)
{
	char **more = realloc(up.orphan, (up.norphan + 1) * sizeof(*more));

	if (!more) {
		free(id);
		return -ENOMEM;
	}
	up.orphan = more;
	up.orphan[up.norphan++] = id;
	return 0;
}

/* Some servers end no upload that holds more parts than are named. */
static bool
holds_too_much(void)
{
	size_t n = (size_t)((up.size + up.part - 1) / up.part);

	for (; up.size && n < S3_PARTS; n++)
		if (up.stored[n].size)
			return true;
	return false;
}

static void
not_this_one(void)
{
	char *id = up.upload;

	up.upload = NULL;
	memset(up.stored, 0, S3_PARTS * sizeof(*up.stored));
	if (is_orphan(id) < 0)
		fail_errno(-ENOMEM);
	else
		next(end_orphan);
}

/* What was stored before; then who waits may go on. */
static void
on_parts(void *ctx, const struct s3_result *r)
{
	size_t i;
	int n;

	(void)ctx;
	if (server_again(&up.again, r, find_parts, NULL))
		return;
	if (r->fault.verdict == S3_MISSING) { /* it ended meanwhile */
		free(up.upload);
		up.upload = NULL;
		next(begin);
		return;
	}
	if (r->fault.verdict != S3_OK) {
		fail(&r->fault);
		return;
	}
	for (i = 0; i < r->nentries; i++)
		if ((n = r->entries[i].part) > 0 && n <= S3_PARTS) {
			up.stored[n - 1].size = r->entries[i].size;
			memcpy(up.stored[n - 1].etag, r->entries[i].etag, S3_ETAG);
		}
	free(up.from);
	up.from = r->next ? strdup(r->next) : NULL;
	if (up.from)
		next(find_parts);
	else if (holds_too_much())
		not_this_one();
	else
		ready();
}

static void
find_parts(void *ctx)
{
	int r = s3_upload_parts(up.s3, up.key, up.upload, up.from, on_parts, NULL);

	(void)ctx;
	if (r < 0)
		fail_errno(r);
}

static void
on_orphan(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&up.again, r, end_orphan, NULL))
		return;
	free(up.orphan[--up.norphan]); /* who may not abort leaves it: the object is what counts */
	next(end_orphan);
}

static void
end_orphan(void *ctx)
{
	int r;

	(void)ctx;
	if (!up.norphan) {
		next(up.upload ? find_parts : begin);
		return;
	}
	if ((r = s3_upload_abort(up.s3, up.key, up.orphan[up.norphan - 1], on_orphan, NULL)) < 0)
		fail_errno(r);
}

/* The newest unfinished upload of this key is gone on with; older ones are ended. */
static int
choose(const struct s3_entry *e)
{
	char *id = strdup(e->upload), *old = up.upload;

	if (!id)
		return -ENOMEM;
	if (old && e->changed_ms < up.newest_ms)
		return is_orphan(id);
	up.upload = id;
	up.newest_ms = e->changed_ms;
	return old ? is_orphan(old) : 0;
}

static void
on_uploads(void *ctx, const struct s3_result *r)
{
	size_t i;
	int e = 0;

	(void)ctx;
	if (server_again(&up.again, r, find_uploads, NULL))
		return;
	if (r->fault.verdict == S3_CONFIG && r->fault.status == 403) { /* who may not list may still put */
		next(begin);
		return;
	}
	if (r->fault.verdict != S3_OK) {
		fail(&r->fault);
		return;
	}
	for (i = 0; !e && i < r->nentries; i++)
		if (!strcmp(r->entries[i].key, up.key))
			e = choose(&r->entries[i]);
	free(up.from);
	up.from = r->next ? strdup(r->next) : NULL;
	if (e < 0)
		fail_errno(e);
	else if (up.from)
		next(find_uploads);
	else
		next(end_orphan);
}

static void
find_uploads(void *ctx)
{
	int r = s3_uploads(up.s3, up.key, up.from, on_uploads, NULL);

	(void)ctx;
	if (r < 0)
		fail_errno(r);
}

void
upload_begin(uint32_t id, const char *url, uint64_t size)
{
	const char *key;

	forget();
	up.open = true;
	up.id = id;
	up.size = size;
	up.part = PART_LEAST;
	if (size / PARTS_WISH > up.part)
		up.part = (size_t)((size / PARTS_WISH + 0xfffff) & ~(uint64_t)0xfffff);
	up.parts = calloc(S3_PARTS, sizeof(*up.parts));
	up.stored = calloc(S3_PARTS, sizeof(*up.stored));
	if (!(up.s3 = server_bucket(url, &key)) || !*key) {
		server_answer(id, -EINVAL, 0, "", 0);
		up.failed = true;
		return;
	}
	if (!up.parts || !up.stored || !(up.key = strdup(key)))
		fail_errno(-ENOMEM);
	else
		next(find_uploads);
}

bool
upload_full(void)
{
	int i;

	for (i = 0; i < FLYING; i++)
		if (!up.flight[i].used)
			return false;
	return up.open && !up.failed;
}

static void
landed(struct flight *f, const char *etag)
{
	struct s3_entry *e = &up.parts[f->number - 1];

	e->part = f->number;
	e->size = buf_len(&f->bytes);
	snprintf(e->etag, sizeof(e->etag), "%s", etag);
	buf_clear(&f->bytes);
	f->used = false;
}

static bool
is_idle(void)
{
	int i;

	for (i = 0; i < FLYING; i++)
		if (up.flight[i].used)
			return false;
	return true;
}

static void send_part(void *);

static void
on_part(void *ctx, const struct s3_result *r)
{
	struct flight *f = ctx;

	if (!up.failed && server_again(&f->again, r, send_part, f))
		return;
	if (r->fault.verdict != S3_OK) {
		f->used = false;
		fail(&r->fault);
		return;
	}
	landed(f, r->etag);
	if (up.ending && is_idle() && !up.failed)
		next(finish);
	server_resume();
}

static void
send_part(void *ctx)
{
	struct flight *f = ctx;
	struct s3_object o = { .key = up.key, .fd = -1, .data = buf_data(&f->bytes), .size = buf_len(&f->bytes) };
	int r = s3_upload_part(up.s3, &o, up.upload, f->number, on_part, f);

	if (r < 0) {
		f->used = false;
		fail_errno(r);
	}
}

/* The part that is full: sent, unless it is there already. */
static void
depart(void)
{
	struct flight *f = up.flight;
	const struct s3_entry *e;
	char md5[HASH_MD5_HEX];
	struct buf empty;

	while (f->used)
		f++;
	if (up.count == S3_PARTS) {
		fail_errno(-EFBIG);
		return;
	}
	f->used = true;
	f->number = ++up.count;
	empty = f->bytes;
	f->bytes = up.filling;
	up.filling = empty;
	memset(&f->again, 0, sizeof(f->again));
	e = &up.stored[f->number - 1];
	if (e->size == buf_len(&f->bytes) && hash_md5_hex(md5, buf_data(&f->bytes), buf_len(&f->bytes)) == 0 &&
		!strcmp(md5, e->etag)) {
		up.kept += e->size;
		landed(f, e->etag);
		return;
	}
	send_part(f);
}

void
upload_data(const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t some;

	while (n && up.open && !up.failed) {
		some = up.part - buf_len(&up.filling);
		some = some < n ? some : n;
		if (buf_append(&up.filling, p, some) < 0) {
			fail_errno(-ENOMEM);
			return;
		}
		p += some;
		n -= some;
		if (buf_len(&up.filling) == up.part)
			depart();
	}
}

/* Was the answer to the end lost?  Then the object is there, as long as it is to be. */
static void
on_looked(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&up.again, r, look, NULL))
		return;
	if (r->fault.verdict == S3_OK && r->nentries && r->entries[0].size == up.size) {
		ready();
		forget();
	} else {
		fail_errno(-EIO);
	}
}

static void
look(void *ctx)
{
	int r = s3_head(up.s3, up.key, on_looked, NULL);

	(void)ctx;
	if (r < 0)
		fail_errno(r);
}

static void
on_finished(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&up.again, r, finish, NULL))
		return;
	if (r->fault.verdict == S3_MISSING && up.again.attempts) {
		next(look);
	} else if (r->fault.verdict != S3_OK) {
		fail(&r->fault);
	} else {
		ready();
		forget();
	}
}

static void
finish(void *ctx)
{
	int r = s3_upload_end(up.s3, up.key, up.upload, up.parts, (size_t)up.count, on_finished, NULL);

	(void)ctx;
	if (r < 0)
		fail_errno(r);
}

void
upload_end(uint32_t id)
{
	if (!up.open || up.failed) {
		server_answer(id, -EIO, 0, "", 0);
		return;
	}
	up.id = id;
	up.ending = true;
	if (buf_len(&up.filling) || !up.count)
		depart();
	if (is_idle() && !up.failed)
		next(finish);
}

static void
on_dropped(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&up.again, r, drop, NULL))
		return;
	ready();
	forget();
}

/* When no part is on its way any more: one that came after would be kept, and paid for. */
static void
drop(void *ctx)
{
	int r;

	(void)ctx;
	if (!is_idle()) {
		server_later(&up.again, 50, drop, NULL);
		return;
	}
	if ((r = s3_upload_abort(up.s3, up.key, up.upload, on_dropped, NULL)) < 0)
		ready();
}

void
upload_abort(uint32_t id)
{
	up.id = id;
	if (!up.open || !up.upload) {
		server_answer(id, 0, 0, "", 0);
		return;
	}
	up.failed = true;
	next(drop);
}
