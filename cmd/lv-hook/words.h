/*
 * words: which events a back end hears of, and in which of its words (hook.h).
 *
 * Every event is told as one call: of those that it could be, the first in the table, or the one that was
 * asked for, as SRS and nginx-rtmp have an URL for each.
 */
#ifndef LV_HOOK_WORDS_H
#define LV_HOOK_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "hook.h"

struct words {
	enum hook_format format;
	char **only;     /* names of events, ended by NULL; NULL: all */
	const char *cwd; /* what files are below; NULL: not told */
	bool one;        /* only this call is told */
	enum hook_call call;
	char server[128];
};

bool words_take_call(struct words *, const char *name); /* by the name that the format has for it */

int words_wanted(const struct words *, const char *line, size_t n); /* 1, 0, or -EBADMSG: it is no event */
int words_of(const struct words *, const char *line, size_t n, char body[HOOK_TEXT]); /* length or -errno */

#endif
