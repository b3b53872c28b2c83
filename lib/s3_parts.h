/* The parts of s3: s3.c the client and its requests, s3_object.c whole objects, s3_upload.c uploads. */
#ifndef LV_S3_PARTS_H
#define LV_S3_PARTS_H

#include "buf.h"
#include "s3.h"
#include "sigv4.h"

#define S3_NO_BYTES "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* their SHA-256 */

struct s3_call {
	struct s3 *s3;
	s3_done *done;
	void *ctx;
	/* A good answer: adds to the result, and calls done; NULL: done is called as it is. */
	void (*answered)(struct s3_call *, struct s3_result *, const struct http_response *);
	int (*take)(void *ctx, const void *, size_t);
	bool part, refused; /* asked for a part of an object; take has ended it */
	bool keys;          /* asked for a list in which each entry has its key */
	struct buf body;    /* of the request, where it is made here */
};

struct s3_request {
	const char *method, *key; /* key: NULL for the bucket itself */
	const struct sigv4_pair *query;
	size_t nquery;
	const char *type, *cache, *md5, *range, *match;
	const char *hash; /* of the body; NULL: it has none */
	const void *body;
	int fd;
	uint64_t offset, size;
};

struct s3_call *s3_call_new(struct s3 *, s3_done *, void *ctx);
int s3_call_send(struct s3_call *, const struct s3_request *); /* takes the call */
int s3_call_post(struct s3_call *, struct s3_request *);       /* its own body, as XML */
int s3_call_object(struct s3_call *, struct s3_request *, const struct s3_object *);
void s3_call_judge(struct s3_call *, struct s3_result *, const struct http_response *, int status);
void s3_answered_page(struct s3_call *, struct s3_result *, const struct http_response *);
void s3_answered_put(struct s3_call *, struct s3_result *, const struct http_response *);
void s3_xml_escape(struct buf *, const char *);

#endif
