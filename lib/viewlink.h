/*
 * viewlink: who may watch a private stream has a signed prefix in the path, /p/EXP/HMAC, so that every
 * segment inherits it and a cache in front can strip it once it has had it checked.
 *
 * EXP:  Unix seconds, decimal: until then it is good; with @ADDRESS behind it, for that address only.
 * HMAC: 64 lower-case hexadecimal digits: HMAC-SHA256 of "EXP/STREAM" with the site's secret.
 */
#ifndef LV_VIEWLINK_H
#define LV_VIEWLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEWLINK_SECRET_MIN 16 /* bytes */
#define VIEWLINK_SECRET_MAX 1024
#define VIEWLINK_ADDRESS 46    /* an address as text, with its NUL */
#define VIEWLINK_TEXT 160      /* a prefix, with its NUL */

struct viewlink_key {
	const char *secret;
	size_t size;
};

/* The prefix, "/p/EXP/HMAC"; address as viewlink_address writes it, or NULL for any.  0, -EIO. */
int viewlink_make(char text[VIEWLINK_TEXT], const struct viewlink_key *, const char *stream, int64_t exp_s,
	const char *address);

/*
 * path: decoded, as "p/EXP/HMAC/live/alice/..." or with watch, archive or check in place of live; remote: who
 * asks, numeric.  What follows the prefix, or NULL and why.
 */
const char *viewlink_strip(const struct viewlink_key *, const char *path, const char *remote, int64_t now_s,
	const char **why);

/* An address in its one form: IPv4 also out of ::ffff:1.2.3.4.  False: it is none. */
bool viewlink_address(char text[VIEWLINK_ADDRESS], const char *address);

#endif
