/*
 * s3: objects in a bucket, over lib/http, signed by lib/sigv4.
 *
 * Shape:  s3_new, then requests; each ends in one call of its done, from the loop.  One request to
 *         one key at a time is the caller's business, as is trying again.
 * Owner:  strings of the configuration are copied; an object's bytes or descriptor are borrowed
 *         until done; a result is good during done.
 * Errors: functions give -ENOMEM, -ESTALE (the file is shorter than it was said to be) or -errno
 *         of reading it; all else is the result's fault.  A skewed clock is set right by the
 *         server's Date, and the request may be made again at once (S3_AGAIN, fault.skewed).
 * Limits: an object of 5 GiB (one PUT), 1,000 keys a deletion or a page of a listing.
 */
#ifndef LV_S3_H
#define LV_S3_H

#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "s3cred.h"
#include "s3fault.h"

#define S3_KEYS 1000
#define S3_OBJECT_MAX (5ull << 30)

enum s3_style { S3_AUTO, S3_PATH, S3_VIRTUAL }; /* AUTO: virtual at Amazon, else by path */

struct s3_config {
	const char *bucket, *region;
	const char *endpoint; /* http(s)://HOST[:PORT]; NULL: Amazon's of the region */
	enum s3_style style;
};

struct s3_entry {
	char *key;
	uint64_t size;
	int64_t changed_ms; /* Unix time */
	char etag[64];      /* without its quotes; the MD5 of what was put in one piece */
};

struct s3_result {
	struct s3_fault fault;
	int error;          /* the request got no answer: as http_response */
	int retry_after_ms; /* 0: not said */
	int64_t skew_s;     /* the server's clock less ours */
	const void *body;   /* s3_get */
	size_t size;
	const struct s3_entry *entries; /* s3_list; s3_head fills one without a key */
	size_t nentries;
	const char *next; /* s3_list: what to go on with, or NULL */
	size_t undeleted; /* s3_delete: keys that are still there; fault tells the first's reason */
};
typedef void s3_done(void *ctx, const struct s3_result *);

struct s3_object {
	const char *key;
	const void *data; /* NULL: size bytes of fd */
	int fd;
	uint64_t size;
	const char *type, *cache; /* Content-Type, Cache-Control; NULL: none */
};

struct s3;
int s3_new(struct s3 **, struct http *, const struct s3_config *);
void s3_use(struct s3 *, const struct s3cred *); /* the access key, from now on */
const char *s3_endpoint(const struct s3 *);
int s3_put(struct s3 *, const struct s3_object *, s3_done *, void *ctx);
int s3_get(struct s3 *, const char *key, s3_done *, void *ctx);
int s3_head(struct s3 *, const char *key, s3_done *, void *ctx);
int s3_list(struct s3 *, const char *prefix, const char *from, s3_done *, void *ctx);
int s3_delete(struct s3 *, const char *const *keys, size_t n, s3_done *, void *ctx);
void s3_free(struct s3 **); /* after http_free, or when nothing is in flight */

/* "s3://BUCKET/PREFIX" taken apart: prefix without slashes at its ends; -EINVAL. */
int s3_url(const char *url, char *bucket, size_t cap, char *prefix, size_t pcap);

#endif
