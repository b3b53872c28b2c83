/*
 * store: objects in buckets of S3, reached through a process of our own.  That process has the
 * access key and the network and sees no media; who takes the media apart has neither.
 *
 * Shape:  store_setup; then what is needed, each call waits for its answer; store_stop.  The process
 *         is started when it is needed first, or by store_start, before the sandbox.  Addresses are
 *         s3://BUCKET/KEY.
 * Errors: -ENOENT; -EHOSTUNREACH: the service is away, and stayed away for STORE_PATIENCE_MS;
 *         -EKEYREJECTED: key, bucket, region or rights: a person has to act; store_why says it in
 *         words; -ECANCELED after a signal; -EMSGSIZE, -EIO.
 */
#ifndef LV_VOD_STORE_H
#define LV_VOD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

#define STORE_PATIENCE_MS 60000

struct store_config { /* NULL: as the environment says, else what is usual */
	const char *endpoint, *region, *addressing, *credentials;
};
void store_setup(const struct store_config *); /* borrowed */
int store_start(void); /* nothing, when it runs */
bool store_is(const char *url);
bool store_failed(int error); /* one of the errors that end all work */
const char *store_why(void);

int store_get(const char *url, size_t max, struct buf *); /* a whole object */
int store_put(const char *url, const void *, size_t);
int store_list(const char *folder, struct buf *names); /* NAME NUL NAME NUL; those of folders end in a slash */

/* A part of an object: step bytes are fetched at a time, and kept.  ahead asks for the first ones
   of an object that will be wanted, and does not wait. */
int store_size(const char *url, size_t step, uint64_t *size);
ssize_t store_read(const char *url, size_t step, void *, size_t, uint64_t at);
void store_ahead(const char *url, size_t step);

/* A new object, from front to back; it appears when it is ended.  What a process that was killed
   had stored of it already is compared, and not sent again.  size 0: nobody knows, and it begins anew. */
int store_begin(const char *url, uint64_t size);
int store_write(const void *, size_t);
int store_end(uint64_t *kept); /* bytes that had been stored by such a process */
void store_abort(void);

void store_stop(void);

#endif
