/*
 * web: the small grammars of an HTTP request, for a server of files.  No I/O.
 *
 * Shape:  plain functions over strings that the network wrote; nothing is allocated.
 * Errors: web_path gives -EINVAL for what no honest client sends, -ENAMETOOLONG past cap.
 * Spec:   RFC 3986, sections 2.1 and 3.3 (paths); RFC 9110, sections 5.6.7 (dates), 8.8.3 and
 *         13.1 (tags, conditions), 12.5.3 (encodings), 14.1.2 and 14.2 (ranges).
 */
#ifndef LV_WEB_H
#define LV_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The path of a request target, decoded once, without its leading slash and its query: "live/a/b".
 * Refused: a target that does not begin with a slash, a broken escape, a control character, a
 * backslash, an encoded slash, an empty segment (but the last) and every segment that begins with
 * a dot, which covers "." and ".." and files that are nobody's business.
 */
int web_path(const char *target, char *path, size_t cap);

enum web_range {
	WEB_RANGE_NONE, /* no range, one we do not know, or several: the whole is the answer */
	WEB_RANGE_PART, /* first to last, both included */
	WEB_RANGE_BEYOND, /* 416 */
};
enum web_range web_range(const char *value, uint64_t size, uint64_t *first, uint64_t *last);

/* An IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT"; the two obsolete forms are read as well. */
#define WEB_DATE 32
const char *web_date_text(char text[WEB_DATE], int64_t unix_s);
int web_date(const char *text, int64_t *unix_s); /* 0 or -EINVAL */

bool web_tag_in(const char *list, const char *tag); /* If-None-Match: weakly compared, * is all */
bool web_takes_gzip(const char *accept_encoding);   /* NULL is fine: no */

/* A stream's name: [A-Za-z0-9_-]{1,64}. */
bool web_stream_name(const char *name, size_t n);

#endif
