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
	char *key, *upload;
	size_t part; /* bytes */
	uint64_t size, kept; /* so far; bytes that were stored before */
	struct buf filling;
	struct flight flight[FLYING];
	struct s3_entry *parts; /* by number less 1 */
	int count;
	struct again again;
} up;

static void begin(void *);
static void finish(void *);
static void look(void *);
static void drop(void *);

static void
forget(void)
{
	size_t i;

	for (i = 0; i < FLYING; i++)
		buf_free(&up.flight[i].bytes);
	buf_free(&up.filling);
	free(up.parts);
	free(up.key);
	free(up.upload);
	earlier_forget();
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
	struct s3_fault f;

	server_fault(&f, error);
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

static void
on_earlier(char *id, const struct s3_fault *f)
{
	up.upload = id;
	if (f)
		fail(f);
	else if (id)
		ready();
	else
		next(begin);
}

void
upload_begin(uint32_t id, const char *url, uint64_t size)
{
	const char *key;

	forget();
	up.open = true;
	up.id = id;
	up.part = PART_LEAST;
	if (size / PARTS_WISH > up.part)
		up.part = (size_t)((size / PARTS_WISH + 0xfffff) & ~(uint64_t)0xfffff);
	up.parts = calloc(S3_PARTS, sizeof(*up.parts));
	if (!(up.s3 = server_bucket(url, &key)) || !*key) {
		server_answer(id, -EINVAL, 0, "", 0);
		up.failed = true;
		return;
	}
	if (!up.parts || !(up.key = strdup(key)))
		fail_errno(-ENOMEM);
	else
		earlier_find(up.s3, up.key, (size_t)((size + up.part - 1) / up.part), on_earlier);
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
	e = earlier_part(f->number);
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
		up.size += some;
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
