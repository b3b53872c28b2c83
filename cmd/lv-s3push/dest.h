/*
 * dest: "s3://BUCKET/PREFIX,region=NAME,endpoint=URL…": where to push to, and by what it differs
 * from the options that hold for all.  No I/O.
 */
#ifndef LV_S3PUSH_DEST_H
#define LV_S3PUSH_DEST_H

#define DEST_BUCKET 256
#define DEST_PREFIX 1024

struct dest {
	char name[DEST_BUCKET + DEST_PREFIX + 8]; /* s3://BUCKET/PREFIX, for people and events */
	char bucket[DEST_BUCKET], prefix[DEST_PREFIX];
	const char *endpoint, *region, *addressing, *credentials; /* NULL: not said */
	int max_kbps;                                             /* 0: no bound */
};

/* Fills in what the text says, which it cuts into strings and keeps.  -EINVAL, and why. */
int dest_parse(struct dest *, char *text, const char **why);
int dest_below(struct dest *, const char *prefix); /* this too, behind its own; -EINVAL */

#endif
