/*
 * version: one state of one file, ready to be sent: what is said of it, its text compressed once.
 *
 * Rule:   a file is reached below its folder only, through no symbolic link, when it is regular.
 *         What was opened is kept open for a while; a version is told by inode, size and time, asked
 *         for again after VERSION_FRESH_MS.
 * Owner:  the versions own what they give out, until the next versions_find or versions_sweep.
 */
#ifndef LV_VERSION_H
#define LV_VERSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "httpd.h"
#include "web.h"

#define VERSION_FRESH_MS 50
#define VERSION_KEEP_MS 15000
#define VERSION_TEXT_MAX (8 << 20) /* a playlist larger than this is sent as it lies, uncompressed */
#define VERSION_PATH_MAX 256

enum role { PLAYLIST, MEDIA, PICTURE, FACTS, PAGE };

struct kind {
	const char *ext, *type;
	enum role role;
	bool text; /* compressed for those who take it */
};

struct version {
	char path[VERSION_PATH_MAX];
	const struct kind *kind;
	int fd;
	struct stat st;
	int64_t checked_ms, used_ms;
	char tag[80], tag_gzip[80], date[WEB_DATE];
	const char *cache;
	char cache_text[40];
	struct httpd_body *plain, *gzip, *unchanged, *unchanged_gzip;
};

struct versions;

/*
 * csp:    the pages' Content-Security-Policy, borrowed.
 * judged: viewers are let in one by one: no cache in front may hand on what one of them has.
 */
int versions_new(struct versions **, const char *csp, bool judged);
void versions_free(struct versions **);

/* The present version of a file: out of what is open, or opened now. 0 or -errno. */
int versions_find(struct versions *, struct version **, int folder, const char *path, const char *key,
	const struct kind *);
void versions_sweep(struct versions *, int64_t now_ms); /* those that nobody asked for of late */

/* Everything that is said of a version, whatever part of it is sent. */
void version_label(const struct versions *, struct httpd_body *, const struct version *, const char *tag);

/* By what its name ends in; NULL: it is nothing that we serve. */
const struct kind *kind_of(const char *path);

/* Open a regular file below a folder, through no link: a descriptor or -errno. */
int version_open(int folder, const char *path);

#endif
