#include "web.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
web_path(const char *target, char *path, size_t cap)
{
	size_t n = 0;

	if (*target++ != '/')
		return -EINVAL;
	while (*target && *target != '?' && *target != '#') {
		unsigned char c = (unsigned char)*target++;
		bool start = n == 0 || path[n - 1] == '/';

		if (c == '/' && start)
			return -EINVAL;
		if (c == '%') {
			int high = hex(target[0]), low = high < 0 ? -1 : hex(target[1]);

			if (low < 0)
				return -EINVAL;
			c = (unsigned char)(high << 4 | low);
			if (c == '/')
				return -EINVAL;
			target += 2;
		}
		if (c < 0x20 || c == 0x7f || c == '\\' || (c == '.' && start))
			return -EINVAL;
		if (n + 1 >= cap)
			return -ENAMETOOLONG;
		path[n++] = (char)c;
	}
	path[n] = '\0';
	return (int)n;
}

static const char *
skip(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Digits, saturated at the top; their number, 0 when there are none. */
static size_t
digits(const char *s, uint64_t *value)
{
	size_t n = 0;

	for (*value = 0; s[n] >= '0' && s[n] <= '9'; n++)
		*value = *value > (UINT64_MAX - 9) / 10 ? UINT64_MAX : *value * 10 + (uint64_t)(s[n] - '0');
	return n;
}

enum web_range
web_range(const char *value, uint64_t size, uint64_t *first, uint64_t *last)
{
	size_t from, to;

	if (!value || strncasecmp(value, "bytes=", 6))
		return WEB_RANGE_NONE;
	value = skip(value + 6);
	from = digits(value, first);
	value = skip(value + from);
	if (*value++ != '-')
		return WEB_RANGE_NONE;
	value = skip(value);
	to = digits(value, last);
	if (*skip(value + to) || (!from && !to) || (from && to && *last < *first))
		return WEB_RANGE_NONE;
	if (!from) { /* the last so many bytes */
		if (!*last || !size)
			return WEB_RANGE_BEYOND;
		*first = *last < size ? size - *last : 0;
		*last = size - 1;
		return WEB_RANGE_PART;
	}
	if (*first >= size)
		return WEB_RANGE_BEYOND;
	if (!to || *last >= size)
		*last = size - 1;
	return WEB_RANGE_PART;
}

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec" };

const char *
web_date_text(char text[WEB_DATE], int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year > 8099 || tm.tm_year < -1900)
		memset(&tm, 0, sizeof(tm));
	snprintf(text, WEB_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
		(unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
		(unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return text;
}

int
web_date(const char *text, int64_t *unix_s)
{
	static const char *const forms[] = { "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
		"%9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n" };
	char day[10], month[4];
	struct tm tm = { 0 };
	size_t i;
	int n = 0;

	for (i = 0; i < 2 && !n; i++)
		if (sscanf(text, forms[i], day, &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
				&tm.tm_sec, &n) != 7)
			n = 0;
	if (!n && sscanf(text, "%3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", day, month, &tm.tm_mday,
			&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &n) != 7)
		return -EINVAL;
	if (!n || text[n])
		return -EINVAL;
	if (tm.tm_year >= 0 && tm.tm_year < 100 && i == 2)
		tm.tm_year += tm.tm_year < 70 ? 2000 : 1900;
	for (tm.tm_mon = 0; tm.tm_mon < 12 && strcasecmp(month, months[tm.tm_mon]); tm.tm_mon++)
		;
	if (tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
		tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || tm.tm_year < 1900)
		return -EINVAL;
	tm.tm_year -= 1900;
	*unix_s = (int64_t)timegm(&tm);
	return 0;
}

bool
web_tag_in(const char *list, const char *tag)
{
	size_t n = strlen(tag);

	for (list = skip(list); *list; list = skip(list)) {
		if (*list == '*')
			return true;
		if (list[0] == 'W' && list[1] == '/')
			list += 2;
		if (!strncmp(list, tag, n) && (!list[n] || strchr(", \t", list[n])))
			return true;
		if (*list == '"') /* a tag may hold commas */
			for (list++; *list && *list != '"'; list++)
				;
		while (*list && *list != ',')
			list++;
		if (*list)
			list++;
	}
	return false;
}

/* The weight behind a coding: is it more than zero? */
static bool
wanted(const char *s, const char *end)
{
	for (; s < end; s++)
		if ((*s == 'q' || *s == 'Q') && s + 1 < end && s[1] == '=') {
			for (s += 2; s < end && (*s == '0' || *s == '.'); s++)
				;
			return s < end && *s >= '1' && *s <= '9';
		}
	return true;
}

bool
web_takes_gzip(const char *accept)
{
	bool all = false;

	for (accept = accept ? skip(accept) : ""; *accept; accept = skip(accept)) {
		const char *end = accept + strcspn(accept, ",");
		size_t n = strcspn(accept, ",; \t");

		if ((n == 4 && !strncasecmp(accept, "gzip", 4)) || (n == 6 && !strncasecmp(accept, "x-gzip", 6)))
			return wanted(accept + n, end);
		if (n == 1 && *accept == '*')
			all = wanted(accept + n, end);
		accept = *end ? end + 1 : end;
	}
	return all;
}

bool
web_stream_name(const char *name, size_t n)
{
	size_t i;

	if (!n || n > 64)
		return false;
	for (i = 0; i < n; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
			    (name[i] >= '0' && name[i] <= '9') || name[i] == '_' || name[i] == '-'))
			return false;
	return true;
}
