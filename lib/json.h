/*
 * json builds one flat JSON object in a fixed buffer: events, marks and coprocess lines.
 *
 * Shape:  begin, then str/int/num/bool in order, then end.  Parsing is jansson's job.
 * Owner:  the caller owns the buffer; strings are borrowed for the call.
 * Errors: the first overflow stays; json_end gives the length, or -EMSGSIZE.
 * Text:   bytes that are not UTF-8 become U+FFFD, control characters are escaped.
 */
#ifndef LV_JSON_H
#define LV_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t cap, len;
	size_t long_at, long_len; /* the longest string's characters, for whoever has to cut one */
	bool full;
};

void json_begin(struct json *, char *text, size_t cap);
void json_str(struct json *, const char *key, const char *value); /* NULL: the field is absent */
void json_strn(struct json *, const char *key, const char *value, size_t n);
void json_int(struct json *, const char *key, int64_t value);
void json_num(struct json *, const char *key, double value, int decimals);
void json_bool(struct json *, const char *key, bool value);
void json_raw(struct json *, const char *key, const char *text); /* text is JSON already */
int json_end(struct json *);                                     /* the length without the NUL */

#endif
