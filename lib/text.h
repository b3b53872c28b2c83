/*
 * text: what people write to each other, looked at as Unicode.  No I/O.
 *
 * Spec: RFC 3629 (UTF-8); what is refused is what hides, reorders or stacks up: controls, the
 *       directional overrides, noncharacters, and more than TEXT_MARKS combining marks in a row.
 */
#ifndef LV_TEXT_H
#define LV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MARKS 4 /* no living script stacks more on a letter */

/* The bytes of the character at s, which has n; 0 when it is not UTF-8. */
size_t text_char(const char *s, size_t n, uint32_t *code);

bool text_plain(const char *s, size_t n); /* UTF-8 with none of the refused */

bool text_mark(uint32_t code);   /* stacks on the letter before it */
bool text_hidden(uint32_t code); /* shows nothing and takes no room */

/* Characters of valid UTF-8. */
size_t text_count(const char *s, size_t n);
bool text_blank(const char *s, size_t n); /* nothing that is seen */

/*
 * Has it a link, or what a reader would take for one: a scheme and ://, www., a name that ends like
 * many sites' or has a path behind it.  Who breaks it up ("example . com") is not found out.
 */
bool text_link(const char *s, size_t n);

/* The next line without its end and the blanks before that; its length.  *n has to be above 0. */
size_t text_line(const char **text, size_t *n, const char **line);

/* The longest length of at most max bytes that ends with a whole character. */
size_t text_cut(const char *s, size_t n, size_t max);

#endif
