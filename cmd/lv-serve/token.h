/*
 * token: who may watch a private stream has a signed prefix in the path, /p/EXP/HMAC, so that every
 * segment inherits it and a cache in front can strip it once it has checked it itself.
 *
 * EXP:  Unix seconds, decimal: until then it is good.
 * HMAC: 64 lower-case hexadecimal digits: HMAC-SHA256 of "EXP/STREAM" with the site's secret.
 */
#ifndef LV_TOKEN_H
#define LV_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#define TOKEN_SECRET_MIN 16 /* bytes */

struct token_key {
	const char *secret;
	size_t size;
};

/* path: decoded, as "p/EXP/HMAC/live/alice/..." or ".../watch/alice".  What follows the prefix, or
 * NULL and why. */
const char *token_strip(const struct token_key *, const char *path, int64_t now_s, const char **why);

#endif
