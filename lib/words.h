/*
 * words: what nobody may write, a line each, and whether a text has any of it.  No I/O.
 *
 *   word           in every room, as a whole word or several
 *   word*          and whatever it goes on with
 *   *word*         anywhere within others
 *   @alice word    in the room alice only
 *   # a remark
 *
 * Case does not count, nor do accents that are characters of their own and what cannot be seen.
 * Limits: WORDS_MAX lines of WORDS_LINE_MAX bytes.
 */
#ifndef LV_WORDS_H
#define LV_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 10000
#define WORDS_LINE_MAX 256

struct words;

/* -EBADMSG: *line is too long, not UTF-8, or has no word; -E2BIG: too many lines. */
int words_new(struct words **, const char *text, size_t n, int *line);
void words_free(struct words **);
bool words_in(const struct words *, const char *room, const char *text); /* text is UTF-8 */

#endif
