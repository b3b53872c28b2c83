/*
 * s3: objects in a bucket, over lib/http, signed by lib/sigv4.
 *
 * Shape:  s3_new, then requests; each ends in one call of its done, from the loop, never from
 *         within the function that began it.  A program without a loop of its own makes one and
 *         runs it until its done came: while (!came) ev_run(loop, EVRUN_ONCE).  One request to
 *         one key at a time is the caller's business, as is trying again.
 * Owner:  strings, also keys, are copied; an object's bytes or descriptor are borrowed until done;
 *         a result is good during done, what it points to as well.
 * Errors: functions give -ENOMEM, -ESTALE (the file is shorter than it was said to be) or -errno
 *         of reading it; all else is the result's fault.  A skewed clock is set right by the
 *         server's Date, and the request may be made again at once (S3_AGAIN, fault.skewed).
 * Limits: an object of 5 GiB in one PUT, 1,000 entries a page of a list, 1,000 keys a deletion.
 *
 * In parts: s3_upload_begin, s3_upload_part in any order and several at a time, s3_upload_end: the
 * object is there, whole, or s3_upload_abort: nothing is.  What is neither ended nor aborted is paid
 * for: s3_uploads finds it after a crash, s3_upload_parts tells what it holds already.
 */
#ifndef LV_S3_H
#define LV_S3_H

#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "s3cred.h"
#include "s3fault.h"
#include "s3page.h"

#define S3_OBJECT_MAX (5ull << 30)
#define S3_PART_MIN (5u << 20) /* of all parts but the last; a smaller one shows at s3_upload_end only */
#define S3_PARTS 10000         /* numbered from 1 */

enum s3_style { S3_AUTO, S3_PATH, S3_VIRTUAL }; /* AUTO: virtual at Amazon, else by path */

struct s3_config {
	const char *bucket, *region;
	const char *endpoint; /* http(s)://HOST[:PORT]; NULL: Amazon's of the region */
	enum s3_style style;
};

struct s3_result {
	struct s3_fault fault;
	int error;          /* the request got no answer: as http_response */
	int retry_after_ms; /* 0: not said */
	int64_t skew_s;     /* the server's clock less ours */
	const void *body;   /* s3_get without take */
	size_t size;
	const struct s3_entry *entries; /* of a list; s3_head and s3_get give one, without a key */
	size_t nentries;
	const char *type, *cache; /* s3_head, s3_get: "" where there is none */
	const char *next;   /* of a list: what to go on with, or NULL */
	size_t undeleted;   /* s3_delete: keys that are still there; fault tells the first's reason */
	const char *upload; /* s3_upload_begin: its id */
	const char *etag;   /* s3_put, s3_upload_part, s3_upload_end; "" where none is told */
};
typedef void s3_done(void *ctx, const struct s3_result *);

struct s3_object {
	const char *key;
	const void *data; /* NULL: size bytes of fd, from offset on */
	int fd;
	uint64_t offset, size;
	const char *type, *cache; /* Content-Type, Cache-Control; NULL: none */
};

/*
 * What is read of an object: size bytes from first on, fewer at its end; size 0: all from there.
 * etag, unless NULL: only while the object is that one (else S3_NEVER, fault.status 412), so that a
 * read that was cut off may go on where it was.  take gets the bytes as they come, no others (what
 * a fault is told by is not among them), and ends the request by a value under 0 (S3_NEVER);
 * without one all is kept for done, up to HTTP_RESPONSE_MAX (more is S3_NEVER, error -EMSGSIZE).
 * Entry 0 of the result tells the size of the whole object.  A first beyond it is status 416.
 */
struct s3_read {
	const char *key;
	uint64_t first, size;
	const char *etag;
	int (*take)(void *ctx, const void *, size_t);
};

struct s3;
bool s3_is_endpoint(const char *); /* a scheme, a host, a port: nothing before, nothing behind */
int s3_new(struct s3 **, struct http *, const struct s3_config *);
void s3_use(struct s3 *, const struct s3cred *); /* the access key, from now on */
const char *s3_endpoint(const struct s3 *);
int s3_put(struct s3 *, const struct s3_object *, s3_done *, void *ctx);
int s3_get(struct s3 *, const struct s3_read *, s3_done *, void *ctx);
int s3_head(struct s3 *, const char *key, s3_done *, void *ctx);
/* Keys in their order of bytes.  from: NULL, or the last page's next. */
int s3_list(struct s3 *, const char *prefix, const char *from, s3_done *, void *ctx);
int s3_delete(struct s3 *, const char *const *keys, size_t n, s3_done *, void *ctx);
void s3_free(struct s3 **); /* after http_free, or when nothing is in flight */

/* Key, type and cache of the object; the rest comes in parts. */
int s3_upload_begin(struct s3 *, const struct s3_object *, s3_done *, void *ctx);
/* The same number again replaces a part. */
int s3_upload_part(struct s3 *, const struct s3_object *, const char *upload, int number, s3_done *, void *ctx);
/*
 * The parts in the order of their numbers, etag and part of each as the results (or the list) told
 * them.  S3_MISSING: the upload is not there; when an earlier answer to this got lost, the object is.
 */
int s3_upload_end(struct s3 *, const char *key, const char *upload, const struct s3_entry *parts, size_t n,
	s3_done *, void *ctx);
int s3_upload_abort(struct s3 *, const char *key, const char *upload, s3_done *, void *ctx);
/* Entries with part, size and etag. */
int s3_upload_parts(struct s3 *, const char *key, const char *upload, const char *from, s3_done *, void *ctx);
/* What was begun and not ended, of keys with this prefix: entries with key, upload and changed_ms. */
int s3_uploads(struct s3 *, const char *prefix, const char *from, s3_done *, void *ctx);

/* "s3://BUCKET/PREFIX" taken apart: prefix without slashes at its ends; -EINVAL. */
int s3_url(const char *url, char *bucket, size_t cap, char *prefix, size_t pcap);

#endif
