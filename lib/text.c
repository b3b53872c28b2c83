#include "text.h"

#include <string.h>

size_t
text_char(const char *s, size_t n, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len, i;
	uint32_t c;

	if (!n)
		return 0;
	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	len = p[0] < 0xc2 ? 0 : p[0] <= 0xdf ? 2 : p[0] <= 0xef ? 3 : p[0] <= 0xf4 ? 4 : 0;
	if (!len || len > n)
		return 0;
	c = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || (c >= 0xd800 && c <= 0xdfff) ||
		c > 0x10ffff)
		return 0;
	*code = c;
	return len;
}

/* The blocks of combining marks that stack on any letter (Unicode 15, general category Mn, Me). */
bool
text_mark(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) ||
		(c >= 0x591 && c <= 0x5bd) || (c >= 0x610 && c <= 0x61a) || (c >= 0x64b && c <= 0x65f) ||
		c == 0xe31 || (c >= 0xe34 && c <= 0xe3a) || (c >= 0xe47 && c <= 0xe4e) ||
		(c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff) ||
		(c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe20 && c <= 0xfe2f);
}

/* What shows nothing and takes no room: marks go on stacking over it. */
bool
text_hidden(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x2064) ||
		(c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0020 && c <= 0xe0fff);
}

static bool
is_refused(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c >= 0xfdd0 && c <= 0xfdef) ||
		(c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c < 0xe0020);
}

static bool
is_blank(uint32_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xa0 || c == 0xad || c == 0x34f ||
		c == 0x115f || c == 0x1160 || c == 0x1680 || (c >= 0x2000 && c <= 0x200f) ||
		(c >= 0x202f && c <= 0x2064) || c == 0x2800 || c == 0x3000 || c == 0x3164 ||
		(c >= 0xfe00 && c <= 0xfe0f) || c == 0xffa0 || (c >= 0xe0000 && c <= 0xe0fff);
}

bool
text_plain(const char *s, size_t n)
{
	unsigned marks = 0;
	uint32_t c;
	size_t len;

	while (n) {
		if (!(len = text_char(s, n, &c)) || is_refused(c))
			return false;
		if (text_mark(c))
			marks++;
		else if (!text_hidden(c))
			marks = 0;
		if (marks > TEXT_MARKS)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

size_t
text_count(const char *s, size_t n)
{
	size_t count = 0;

	for (; n; n--, s++)
		count += ((unsigned char)*s & 0xc0) != 0x80;
	return count;
}

bool
text_blank(const char *s, size_t n)
{
	uint32_t c;
	size_t len;

	for (; n && (len = text_char(s, n, &c)); s += len, n -= len)
		if (!is_blank(c))
			return false;
	return true;
}

size_t
text_cut(const char *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	while (max && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* Small Latin letters and points; 0 for what cannot be seen. */
static uint32_t
link_char(uint32_t c)
{
	if (text_hidden(c) || c == 0xad)
		return 0;
	if (c >= 0xff01 && c <= 0xff5e) /* full width */
		c -= 0xfee0;
	if (c == 0x3002 || c == 0xff61)
		return '.';
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool
is_name(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c >= 0xa1;
}

/* Endings of names that mean a site wherever they stand; others need a path. */
static bool
is_ending(const char *s)
{
	static const char all[] = " com net org info biz tv gg gl ly me io co dev app xyz site online shop live "
		"link club top vip cc ru de uk fr pl nl eu br ua cn jp kr se es ca ch at be cz ";
	char word[16] = " ";
	size_t n = strlen(s);

	if (!n || n > sizeof(word) - 3)
		return false;
	memcpy(word + 1, s, n);
	memcpy(word + 1 + n, " ", 2);
	return strstr(all, word);
}

bool
text_link(const char *s, size_t n)
{
	char label[16] = ""; /* behind the last point, if it is short and of letters */
	size_t len, size = 0, points = 0;
	bool letters = false, ending = false, before;
	uint32_t c, next;

	for (;; s += len, n -= len) {
		if ((len = text_char(s, n, &next)) && !(c = link_char(next)))
			continue;
		if (!len)
			c = ' ';
		if (is_name(c)) {
			letters = (letters || !size) && c >= 'a' && c <= 'z';
			if (size < sizeof(label) - 1)
				label[size] = (char)c;
			size++;
		} else if (c == '.' && size) {
			if (!points && size == 3 && !memcmp(label, "www", 3))
				return true;
			label[size < sizeof(label) ? size : 0] = '\0';
			ending = points++ && letters && is_ending(label);
			size = 0;
		} else {
			label[size < sizeof(label) ? size : 0] = '\0';
			before = points && letters && size > 1;
			if ((before && (c == '/' || is_ending(label))) || (ending && !size)) /* or a full stop behind */
				return true;
			if (c == ':' && size && n > 2 && s[1] == '/' && s[2] == '/')
				return true;
			size = points = 0;
			ending = false;
		}
		if (!len)
			return false;
	}
}

size_t
text_line(const char **text, size_t *n, const char **line)
{
	const char *end = memchr(*text, '\n', *n);
	size_t len = end ? (size_t)(end - *text) : *n;

	*line = *text;
	*n -= len + (end != NULL);
	*text += len + (end != NULL);
	while (len && ((*line)[len - 1] == ' ' || (*line)[len - 1] == '\r'))
		len--;
	return len;
}
