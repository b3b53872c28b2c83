/*
 * s3page reads the lists that S3 answers with: objects, unfinished uploads, parts of one.  No I/O.
 *
 * Shape:  s3_page_read, use, s3_page_free; the page may be freed after an error as well.
 * Errors: -EBADMSG for what is no such list, -EMSGSIZE, -ENOMEM.
 * Limits: S3_KEYS entries; more are passed over, and said to be by error -EMSGSIZE.
 * Spec:   ListObjectsV2, ListMultipartUploads, ListParts of the Amazon S3 API Reference, names in
 *         encoding-type=url or as they are.
 */
#ifndef LV_S3PAGE_H
#define LV_S3PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_KEYS 1000
#define S3_ETAG 64

struct s3_entry {
	char *key;          /* of an object or an upload */
	char *upload;       /* its id, of an upload */
	int part;           /* its number, of a part */
	uint64_t size;      /* of an object or a part */
	int64_t changed_ms; /* Unix time; when an upload was begun */
	char etag[S3_ETAG]; /* without its quotes; the MD5 of what was put in one piece */
};

struct s3_page {
	struct s3_entry *entries;
	size_t n;
	char *next; /* what to go on with, or NULL */
};

int s3_page_read(struct s3_page *, const void *xml, size_t n);
void s3_page_free(struct s3_page *);
void s3_etag_set(char to[S3_ETAG], const char *etag); /* its quotes taken off */

#endif
