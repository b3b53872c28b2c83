/* Store: what a process that was killed left of an object, which is gone on with. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store_parts.h"

static struct {
	struct s3 *s3;
	const char *key;
	size_t parts; /* that the object will have; 0: nobody knows, and an upload that has any is no beginning of it */
	void (*done)(char *id, const struct s3_fault *);
	char *upload, *from; /* from: where the next page of a list begins */
	int64_t newest_ms;
	struct s3_entry *stored; /* of that upload, by number less 1 */
	char **orphan; /* ids of older uploads of the same key, which are ended */
	size_t norphan;
	struct again again;
} earlier;

static void find_uploads(void *);
static void find_parts(void *);
static void end_orphan(void *);

static void
end(const struct s3_fault *f)
{
	char *id = f ? NULL : earlier.upload;

	if (id)
		earlier.upload = NULL;
	earlier.done(id, f);
}

static void
broke(int error)
{
	struct s3_fault f;

	server_fault(&f, error);
	end(&f);
}

/* Goes on with the next request, which gets its tries anew. */
static void
next(void (*run)(void *))
{
	memset(&earlier.again, 0, sizeof(earlier.again));
	run(NULL);
}

/* The upload that was chosen is none. */
static void
drop_it(void)
{
	free(earlier.upload);
	earlier.upload = NULL;
	memset(earlier.stored, 0, S3_PARTS * sizeof(*earlier.stored));
}

/* An answer with which the search is over: nothing is there, or a fault. */
static bool
is_over(const struct s3_result *r, bool nothing)
{
	if (!nothing && r->fault.verdict == S3_OK)
		return false;
	if (nothing)
		drop_it();
	end(nothing ? NULL : &r->fault);
	return true;
}

static int
is_orphan(char *id)
{
	char **more = realloc(earlier.orphan, (earlier.norphan + 1) * sizeof(*more));

	if (!more) {
		free(id);
		return -ENOMEM;
	}
	earlier.orphan = more;
	earlier.orphan[earlier.norphan++] = id;
	return 0;
}

/* Some servers end no upload that holds more parts than are named. */
static bool
holds_too_much(void)
{
	size_t n;

	for (n = earlier.parts; n < S3_PARTS; n++)
		if (earlier.stored[n].size)
			return true;
	return false;
}

static void
not_this_one(void)
{
	char *id = earlier.upload;

	earlier.upload = NULL;
	drop_it();
	if (is_orphan(id) < 0)
		broke(-ENOMEM);
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
	if (server_again(&earlier.again, r, find_parts, NULL))
		return;
	if (is_over(r, r->fault.verdict == S3_MISSING)) /* it ended meanwhile */
		return;
	for (i = 0; i < r->nentries; i++)
		if ((n = r->entries[i].part) > 0 && n <= S3_PARTS) {
			earlier.stored[n - 1].size = r->entries[i].size;
			memcpy(earlier.stored[n - 1].etag, r->entries[i].etag, S3_ETAG);
		}
	free(earlier.from);
	earlier.from = r->next ? strdup(r->next) : NULL;
	if (earlier.from)
		next(find_parts);
	else if (holds_too_much())
		not_this_one();
	else
		end(NULL);
}

static void
find_parts(void *ctx)
{
	int r = s3_upload_parts(earlier.s3, earlier.key, earlier.upload, earlier.from, on_parts, NULL);

	(void)ctx;
	if (r < 0)
		broke(r);
}

static void
on_orphan(void *ctx, const struct s3_result *r)
{
	(void)ctx;
	if (server_again(&earlier.again, r, end_orphan, NULL))
		return;
	free(earlier.orphan[--earlier.norphan]); /* who may not abort leaves it: the object is what counts */
	next(end_orphan);
}

static void
end_orphan(void *ctx)
{
	int r;

	(void)ctx;
	if (!earlier.norphan) {
		if (earlier.upload)
			next(find_parts);
		else
			end(NULL);
		return;
	}
	if ((r = s3_upload_abort(earlier.s3, earlier.key, earlier.orphan[earlier.norphan - 1], on_orphan, NULL)) < 0)
		broke(r);
}

/* The newest unfinished upload of this key is gone on with; older ones are ended. */
static int
choose(const struct s3_entry *e)
{
	char *id = strdup(e->upload), *old = earlier.upload;

	if (!id)
		return -ENOMEM;
	if (old && e->changed_ms < earlier.newest_ms)
		return is_orphan(id);
	earlier.upload = id;
	earlier.newest_ms = e->changed_ms;
	return old ? is_orphan(old) : 0;
}

static void
on_uploads(void *ctx, const struct s3_result *r)
{
	size_t i;
	int e = 0;

	(void)ctx;
	if (server_again(&earlier.again, r, find_uploads, NULL))
		return;
	if (is_over(r, r->fault.verdict == S3_CONFIG && r->fault.status == 403)) /* who may not list may still put */
		return;
	for (i = 0; !e && i < r->nentries; i++)
		if (r->entries[i].upload && !strcmp(r->entries[i].key, earlier.key))
			e = choose(&r->entries[i]);
	free(earlier.from);
	earlier.from = r->next ? strdup(r->next) : NULL;
	if (e < 0)
		broke(e);
	else if (earlier.from)
		next(find_uploads);
	else
		next(end_orphan);
}

static void
find_uploads(void *ctx)
{
	int r = s3_uploads(earlier.s3, earlier.key, earlier.from, on_uploads, NULL);

	(void)ctx;
	if (r < 0)
		broke(r);
}

void
earlier_find(struct s3 *s3, const char *key, size_t parts, void (*done)(char *id, const struct s3_fault *))
{
	earlier.s3 = s3;
	earlier.key = key;
	earlier.parts = parts;
	earlier.done = done;
	if (!(earlier.stored = calloc(S3_PARTS, sizeof(*earlier.stored))))
		broke(-ENOMEM);
	else
		next(find_uploads);
}

const struct s3_entry *
earlier_part(int number)
{
	return &earlier.stored[number - 1];
}

void
earlier_forget(void)
{
	size_t i;

	for (i = 0; i < earlier.norphan; i++)
		free(earlier.orphan[i]);
	free(earlier.orphan);
	free(earlier.stored);
	free(earlier.upload);
	free(earlier.from);
	memset(&earlier, 0, sizeof(earlier));
}
