#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
put(struct json *j, const char *s, size_t n)
{
	if (j->full || n >= j->cap - j->len) {
		j->full = true;
		return;
	}
	memcpy(j->text + j->len, s, n);
	j->len += n;
	j->text[j->len] = '\0';
}

static void
put_text(struct json *j, const char *s)
{
	put(j, s, strlen(s));
}

/* The length of the UTF-8 sequence at s, 0 when it is not one (RFC 3629, section 4). */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	size_t len, i;

	if (s[0] < 0x80)
		return 1;
	len = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	if (!len || len > n)
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static void
put_string(struct json *j, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t start, len;
	char esc[8];

	put(j, "\"", 1);
	start = j->len;
	while (n && !j->full) {
		if (*p < 0x20 || *p == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", *p);
			put(j, esc, 6);
			len = 1;
		} else if (*p == '"' || *p == '\\') {
			esc[0] = '\\';
			esc[1] = (char)*p;
			put(j, esc, 2);
			len = 1;
		} else if ((len = utf8_len(p, n))) {
			put(j, (const char *)p, len);
		} else {
			put(j, "\xef\xbf\xbd", 3);
			len = 1;
		}
		p += len;
		n -= len;
	}
	if (j->len - start > j->long_len) {
		j->long_at = start;
		j->long_len = j->len - start;
	}
	put(j, "\"", 1);
}

static void
put_key(struct json *j, const char *key)
{
	if (j->len > 1)
		put(j, ",", 1);
	put(j, "\"", 1);
	put_text(j, key); /* keys are ours: letters and underscores */
	put(j, "\":", 2);
}

void
json_begin(struct json *j, char *text, size_t cap)
{
	memset(j, 0, sizeof(*j));
	j->text = text;
	j->cap = cap;
	put(j, "{", 1);
}

void
json_strn(struct json *j, const char *key, const char *value, size_t n)
{
	if (!value)
		return;
	put_key(j, key);
	put_string(j, value, n);
}

void
json_str(struct json *j, const char *key, const char *value)
{
	if (value)
		json_strn(j, key, value, strlen(value));
}

void
json_int(struct json *j, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	json_raw(j, key, text);
}

void
json_num(struct json *j, const char *key, double value, int decimals)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", decimals, value);
	json_raw(j, key, text);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	json_raw(j, key, value ? "true" : "false");
}

void
json_raw(struct json *j, const char *key, const char *text)
{
	put_key(j, key);
	put_text(j, text);
}

int
json_end(struct json *j)
{
	put(j, "}", 1);
	return j->full ? -EMSGSIZE : (int)j->len;
}
