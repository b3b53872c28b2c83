/*
 * push: what is to be put, in which order, how often it is tried, and what is deleted.
 *
 * Order:  playlists that are ready; what the newest version of a live playlist waits for; other live
 *         files as they came; archives, which never take the last connection.
 * Trying: an answer that says "later", or none at all, holds everything for a while that grows to
 *         5 seconds, with jitter, and is then tried by one request.  A wrong key, bucket or region is
 *         said in words and tried again every 30 seconds; nothing of the backlog is lost by it.
 */
#ifndef LV_S3PUSH_PUSH_H
#define LV_S3PUSH_PUSH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "metrics.h"
#include "s3.h"
#include "spool.h"

struct push_config {
	struct s3 *s3;
	struct ev_loop *loop;
	int root;
	const char *dest;   /* s3://BUCKET/PREFIX, for people and events */
	const char *who;    /* "", or the same before what people are told, when there are several */
	const char *prefix; /* "" or without slashes at its ends */
	int jobs;
	int64_t expire_ms; /* after a file left the tree; -1: it stays in the bucket */
	bool once;         /* mirror: newer than what the bucket holds, not newer than the journal */
	bool dry_run;      /* say on standard output what would be put */
	void (*refused)(void *ctx); /* the access key may be wrong: get it again */
	void *ctx;
};

/* What waits, and what was done since the start. */
struct push_figures {
	int64_t backlog_files, backlog_bytes, backlog_age_ms;
	int64_t pushed_files, pushed_bytes, failed_files, lost_files, expired_files, known_files;
	bool away; /* nothing can be put now */
};

/* The puts since the start, for --metrics. */
#define PUSH_STREAMS 4096 /* whose lag is told */
#define PUSH_STREAM_MS 60000 /* and how long after its last file */
struct push_puts {
	struct metrics_counts outcomes, codes; /* codes: of those that failed, as S3 names them */
	struct metrics_histogram put, lag;     /* how long one takes; from whole here to stored there */
	struct push_stream { /* live/NAME/... */
		char name[65];
		int64_t at_ms, lag_ms; /* when a file of it was stored last (clock_mono_ms), and how late */
	} *streams;
	size_t nstreams;
};

struct push;
int push_new(struct push **, const struct push_config *);
void push_use_spool(struct push *, struct spool *); /* without, nothing is remembered */
void push_stored(struct push *, const char *path, int64_t size, int64_t mtime_ns); /* size -1: not any more */
void push_scanning(struct push *, bool); /* files told of are old ones */
void push_file(struct push *, const char *path, const struct stat *);
void push_gone(struct push *, const char *path);
void push_folder_gone(struct push *, const char *path);
void push_scanned(struct push *, bool again);
void push_go(struct push *);   /* send what may be sent */
void push_tick(struct push *); /* four times a second */
bool push_idle(const struct push *);
void push_measure(struct push *, struct push_figures *);
void push_say(struct push *, const char *event); /* the figures, as an event */
const struct push_puts *push_puts(const struct push *);
/* What went wrong: the last fault of the whole, or NULL; and files that can never be stored. */
const struct s3_fault *push_fault(const struct push *);
int64_t push_failing_ms(const struct push *); /* 0 while all is well */
size_t push_failed(const struct push *);
void push_free(struct push **);

#endif
