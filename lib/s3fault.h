/*
 * s3fault: what an answer of S3 means, in words, and what is to be done.  No I/O.
 *
 * S3 names its errors by <Code>; servers often leave <Message> empty, so the words are ours.
 */
#ifndef LV_S3FAULT_H
#define LV_S3FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum s3_verdict {
	S3_OK,
	S3_MISSING, /* there is no such object */
	S3_AGAIN,   /* once more, at once */
	S3_AWAY,    /* the service is away or busy: later */
	S3_CONFIG,  /* key, bucket, region, rights or clock: nothing will do until somebody acts */
	S3_NEVER,   /* this object can never be stored so */
};

struct s3_fault {
	enum s3_verdict verdict;
	int status;     /* of HTTP; 0: no answer */
	bool skewed;    /* the clock: the server's own Date helps */
	char code[64];  /* "" where there is none */
	char why[512];  /* in words, for people */
};

struct s3_about { /* whom the words are about */
	const char *bucket, *key_id, *region, *endpoint;
	const char *bucket_region; /* x-amz-bucket-region, or NULL */
};

void s3_judge(struct s3_fault *, const struct s3_about *, int status, const void *body, size_t);

#endif
