/*
 * The parts of store, and how they speak over a socket; nobody else includes this.
 *
 *   store.c         who asks, and keeps what came ahead of its time
 *   store_server.c  the process that answers: requests, each tried again for a while
 *   store_upload.c  the object that is being made, in parts
 *   store_earlier.c what a process that was killed left of it
 *
 * An ask is its head, the address without a NUL, then for STORE_PUT and STORE_DATA size bytes.  An
 * answer is its head and size bytes: what was asked for, or the words of an error.
 */
#ifndef LV_VOD_STORE_PARTS_H
#define LV_VOD_STORE_PARTS_H

#include <ev.h>

#include "s3.h"
#include "store.h"

#define STORE_URL_MAX 4096
#define STORE_BUCKETS 4

enum store_op { STORE_READ, STORE_PUT, STORE_LIST, STORE_BEGIN, STORE_DATA, STORE_END, STORE_ABORT };

struct store_ask {
	uint32_t op, id, url; /* url: its length */
	uint64_t offset, size; /* STORE_READ: size 0 is all; STORE_BEGIN: size of the object */
};

struct store_answer {
	uint32_t id;
	int32_t error;
	uint64_t total, size; /* total: bytes of the whole object */
};

/* store_server.c */
struct s3 *server_bucket(const char *url, const char **key); /* NULL: no such address, or too many buckets */
void server_answer(uint32_t id, int error, uint64_t total, const void *, size_t);
void server_refuse(uint32_t id, const struct s3_fault *); /* its words are the answer */

void server_fault(struct s3_fault *, int error); /* a fault of this machine, in words */

/* What is tried again: made anew, or done. */
struct again {
	int64_t since_ms; /* 0: it has not failed yet */
	int attempts;
	ev_timer timer;
	void (*run)(void *ctx);
	void *ctx;
};
/* True: the fault may go away; run is called again, later.  False: it will not. */
bool server_again(struct again *, const struct s3_result *, void (*run)(void *ctx), void *ctx);
void server_later(struct again *, int64_t pause_ms, void (*run)(void *ctx), void *ctx);
void server_resume(void); /* asks are read again */
_Noreturn void server_run(int fd, const struct store_config *);
const char *server_type(const char *key);
const char *server_cache(const char *key);

/* store_upload.c */
void upload_begin(uint32_t id, const char *url, uint64_t size);
bool upload_full(void);
void upload_data(const void *, size_t);
void upload_end(uint32_t id);
void upload_abort(uint32_t id);

/*
 * store_earlier.c: what processes before us left of an object, one object at a time.  The newest of its
 * unfinished uploads is found, with its parts; older ones are ended.  done is called once: with the id of
 * that upload, given, NULL where there is none; or with a fault.  key is borrowed until earlier_forget.
 */
void earlier_find(struct s3 *, const char *key, size_t parts, /* that the object will have; 0: not known */
	void (*done)(char *id, const struct s3_fault *));
const struct s3_entry *earlier_part(int number); /* from 1; the reader's until earlier_forget; size 0: none */
void earlier_forget(void);

#endif
