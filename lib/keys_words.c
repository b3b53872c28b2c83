/* The words of a line of the keys file, each by itself. */
#include "keys.h"

#include <string.h>
#include <time.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
keys_stream_good(const char *s)
{
	size_t n = strlen(s);

	return n && n <= KEYS_STREAM_MAX &&
		strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

bool
keys_word_good(const char *s)
{
	size_t n = strlen(s), i;

	for (i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '#')
			return false;
	return n && n <= KEYS_WORD_MAX;
}

/* A number of exactly n digits at *s, which moves on; -1 when there is none. */
static int
take_digits(const char **s, int n)
{
	int v = 0;

	while (n--) {
		if (!is_digit(**s))
			return -1;
		v = v * 10 + (*(*s)++ - '0');
	}
	return v;
}

int64_t
keys_date(const char *s)
{
	struct tm tm = { 0 };
	int year, zone = 0, hours, minutes, ms = 0, unit = 100;
	int month_days;

	year = take_digits(&s, 4);
	if (year < 1970 || *s++ != '-' || (tm.tm_mon = take_digits(&s, 2) - 1) < 0 || tm.tm_mon > 11)
		return -1;
	month_days = tm.tm_mon == 1 ? 28 + (year % 4 == 0 && (year % 100 || year % 400 == 0)) :
		30 + ((tm.tm_mon + (tm.tm_mon > 6)) % 2 == 0);
	if (*s++ != '-' || (tm.tm_mday = take_digits(&s, 2)) < 1 || tm.tm_mday > month_days)
		return -1;
	if ((*s != 'T' && *s != 't') || (s++, tm.tm_hour = take_digits(&s, 2)) < 0 || tm.tm_hour > 23)
		return -1;
	if (*s++ != ':' || (tm.tm_min = take_digits(&s, 2)) < 0 || tm.tm_min > 59)
		return -1;
	if (*s++ != ':' || (tm.tm_sec = take_digits(&s, 2)) < 0 || tm.tm_sec > 60)
		return -1;
	if (*s == '.') {
		if (!is_digit(*++s))
			return -1;
		for (; is_digit(*s); s++, unit /= 10)
			ms += (*s - '0') * unit;
	}
	if (*s == '+' || *s == '-') {
		int sign = *s++ == '-' ? -1 : 1;

		if ((hours = take_digits(&s, 2)) < 0 || hours > 23 || *s++ != ':' ||
			(minutes = take_digits(&s, 2)) < 0 || minutes > 59)
			return -1;
		zone = sign * (hours * 60 + minutes) * 60;
	} else if (*s == 'Z' || *s == 'z') {
		s++;
	} else {
		return -1;
	}
	if (*s)
		return -1;
	tm.tm_year = year - 1900;
	return ((int64_t)timegm(&tm) - zone) * 1000 + ms;
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
keys_digest(const char *s, uint8_t digest[KEYS_DIGEST])
{
	size_t i;

	if (strncmp(s, "sha256:", 7) || strlen(s += 7) != 2 * KEYS_DIGEST)
		return false;
	for (i = 0; i < KEYS_DIGEST; i++) {
		int hi = hex_value(s[2 * i]), lo = hex_value(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		digest[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* Base 32 of Crockford, in small letters: no i, l, o, u, so that a key survives a telephone. */
void
keys_text(char text[KEYS_KEY_TEXT], const uint8_t random[20])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	int i, bit;

	for (i = 0; i < KEYS_KEY_TEXT - 1; i++) {
		bit = 5 * i;
		text[i] = digits[(random[bit / 8] << 8 | (bit / 8 < 19 ? random[bit / 8 + 1] : 0)) >>
				(11 - bit % 8) & 31];
	}
	text[i] = '\0';
}
