/*
 * sigv4: the signature that S3 wants on every request (AWS Signature Version 4).  No I/O.
 *
 * Shape:  escape paths and queries by sigv4_target, sign by sigv4_sign, send both unchanged.
 * Units:  paths, names and values are given raw and are escaped here, once, as S3 wants it: a key
 *         may hold any byte, "." and ".." and empty segments too, and nothing is normalised.
 * Errors: stay in buf.error; sigv4_sign also gives -EINVAL without an x-amz-date header, -E2BIG
 *         for more than SIGV4_PAIRS headers or parameters, -EIO where the hash fails.
 * Spec:   "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
 */
#ifndef LV_SIGV4_H
#define LV_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define SIGV4_PAIRS 32
#define SIGV4_TIME 17 /* 20130524T000000Z and a NUL */
#define SIGV4_HEX 65

struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_key {
	const char *id, *secret, *region, *service; /* service: "s3" */
};

/* Every header given is signed: host, x-amz-date, x-amz-content-sha256 and what else matters. */
struct sigv4_request {
	const char *method, *path;
	const struct sigv4_pair *query, *headers; /* names of headers in lower case, each once */
	size_t nquery, nheaders;
	const char *payload; /* its SHA-256 in hexadecimal, or UNSIGNED-PAYLOAD */
};

/* RFC 3986: all but the unreserved characters becomes %XX; a slash stays when it is to. */
void sigv4_escape(struct buf *, const char *text, bool keep_slash);
void sigv4_target(struct buf *, const struct sigv4_request *); /* PATH[?QUERY], as it is sent */
const char *sigv4_time(char text[SIGV4_TIME], int64_t unix_s);
void sigv4_hex(char hex[SIGV4_HEX], const uint8_t digest[32]);
int sigv4_hash(char hex[SIGV4_HEX], const void *, size_t); /* of a payload */
int sigv4_sign(struct buf *, const struct sigv4_key *, const struct sigv4_request *);

#endif
