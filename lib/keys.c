#include "keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"

#define BLANKS " \t\r"

/* In constant time: where two digests begin to differ is nobody's business. */
static bool
same_digest(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t differ = 0;
	int i;

	for (i = 0; i < KEYS_DIGEST; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static bool
take_word(const char *s, char *to)
{
	if (!keys_word_good(s))
		return false;
	memcpy(to, s, strlen(s) + 1);
	return true;
}

/* One of the words after the digest; NULL, or what is wrong with it. */
static const char *
take_option(struct key *k, const char *word)
{
	char *end;

	if (!strcmp(word, "off")) {
		k->off = true;
		return NULL;
	}
	if (!strncmp(word, "user=", 5))
		return take_word(word + 5, k->user) ? NULL : "the user is empty or too long";
	if (!strncmp(word, "app=", 4))
		return take_word(word + 4, k->app) ? NULL : "the app is empty or too long";
	if (!strncmp(word, "max_kbps=", 9)) {
		errno = 0;
		k->max_kbps = isdigit((unsigned char)word[9]) ? strtoll(word + 9, &end, 10) : 0;
		return k->max_kbps > 0 && !*end && !errno && k->max_kbps <= INT32_MAX ? NULL :
			"max_kbps is not a number";
	}
	if (!strncmp(word, "until=", 6))
		return (k->until_ms = keys_date(word + 6)) >= 0 ? NULL : "until is not an RFC 3339 date";
	if (!strncmp(word, "adobe=", 6) && strlen(word) == 6 + KEYS_ADOBE - 1) {
		memcpy(k->adobe, word + 6, KEYS_ADOBE);
		return NULL;
	}
	return "unknown word";
}

/* 1 for an entry, 0 for a comment, -1 with the reason. */
static int
parse_line(struct key *k, const char *text, size_t n, const char **why)
{
	char line[KEYS_LINE_MAX + 1], *rest = line, *word;
	size_t i = 0;
	int words = 0;

	memset(k, 0, sizeof(*k));
	*why = "the line is too long";
	if (n > KEYS_LINE_MAX) {
		while (i < n && memchr(BLANKS, text[i], sizeof(BLANKS) - 1))
			i++;
		return i < n && text[i] == '#' ? 0 : -1;
	}
	*why = "a byte of value 0";
	if (memchr(text, '\0', n))
		return -1;
	memcpy(line, text, n);
	line[n] = '\0';
	while ((word = strsep(&rest, BLANKS))) {
		if (!*word)
			continue;
		if (*word == '#')
			break;
		*why = NULL;
		if (words == 0) {
			if (!keys_stream_good(word))
				*why = "the stream is not 1 to 64 of A-Z a-z 0-9 _ -";
			else
				memcpy(k->stream, word, strlen(word) + 1);
		} else if (words == 1) {
			if (!keys_digest(word, k->digest))
				*why = "the second word is not sha256: and 64 hexadecimal digits";
		} else {
			*why = take_option(k, word);
		}
		if (*why)
			return -1;
		words++;
	}
	*why = "no key after the stream";
	return words == 1 ? -1 : words > 1;
}

/* The line at text, n bytes at most, without its end; next is where the one after it begins. */
static size_t
line_len(const char *text, size_t n, size_t *next)
{
	const char *end = memchr(text, '\n', n);
	size_t len = end ? (size_t)(end - text) : n;

	*next = end ? len + 1 : len;
	return len;
}

static int
by_digest(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int r = memcmp(x->digest, y->digest, KEYS_DIGEST);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

static void
note_bad(struct keys *keys, int line, const char *why)
{
	if (!keys->bad_count++ || line < keys->bad_line) {
		keys->bad_line = line;
		keys->bad_why = why;
	}
}

/* One key in two lines is a mistake; neither line may admit anybody then. */
static void
refuse_twins(struct keys *keys)
{
	size_t i;

	for (i = 1; i < keys->count; i++)
		if (same_digest(keys->all[i].digest, keys->all[i - 1].digest)) {
			keys->all[i - 1].off = keys->all[i].off = true;
			note_bad(keys, keys->all[i].line, "the key of another line again");
		}
}

int
keys_parse(struct keys **out, const char *text, size_t n)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	size_t cap = 0, len, next, i;
	const char *why;
	int line = 1, r;

	if (!keys)
		return -ENOMEM;
	for (i = 0; i < n; i += next, line++) {
		struct key *k;

		len = line_len(text + i, n - i, &next);
		if (keys->count == cap) {
			cap = cap ? 2 * cap : 16;
			if (!(k = reallocarray(keys->all, cap, sizeof(*k)))) {
				keys_free(&keys);
				return -ENOMEM;
			}
			keys->all = k;
		}
		k = &keys->all[keys->count];
		if ((r = parse_line(k, text + i, len, &why)) < 0)
			note_bad(keys, line, why);
		k->line = line;
		keys->count += r > 0;
	}
	if (keys->count)
		qsort(keys->all, keys->count, sizeof(*keys->all), by_digest);
	refuse_twins(keys);
	*out = keys;
	return 0;
}

void
keys_free(struct keys **keys)
{
	if (*keys) {
		free((*keys)->all);
		free(*keys);
	}
	*keys = NULL;
}

/*
 * The search looks at the first 32 bits of the digest only, which tell nothing about the key;
 * the rest is compared in constant time.
 */
const struct key *
keys_find(const struct keys *keys, const uint8_t digest[KEYS_DIGEST])
{
	uint32_t want = get_be32(digest);
	size_t lo = 0, hi = keys->count, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (get_be32(keys->all[mid].digest) < want)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < keys->count && get_be32(keys->all[lo].digest) == want; lo++)
		if (same_digest(keys->all[lo].digest, digest))
			return &keys->all[lo];
	return NULL;
}

const struct key *
keys_of_user(const struct keys *keys, const struct key *k, const char *user)
{
	for (k = k ? k + 1 : keys->all; k && k < keys->all + keys->count; k++)
		if (*k->adobe && !strcmp(k->stream, user))
			return k;
	return NULL;
}

const char *
keys_refusal(const struct key *k, const char *app, int64_t now_ms)
{
	if (!k)
		return "no line has this key";
	if (k->off)
		return "the key is off";
	if (k->until_ms && now_ms >= k->until_ms)
		return "the key has expired";
	if (*k->app && app && strcmp(k->app, app))
		return "the key is for another app";
	return NULL;
}

static int
by_line(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

void
keys_by_line(struct keys *keys)
{
	if (keys->count)
		qsort(keys->all, keys->count, sizeof(*keys->all), by_line);
}

bool
keys_stream_on(const struct keys *keys, const char *stream)
{
	size_t i;

	for (i = 0; i < keys->count; i++)
		if (!keys->all[i].off && !strcmp(keys->all[i].stream, stream))
			return true;
	return false;
}

/* Where the comment at the end of a line begins: a # at the start of a word; len without one. */
static size_t
comment_at(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (line[i] == '#' && (!i || strchr(BLANKS, line[i - 1])))
			break;
	return i;
}

static void
put_line(struct buf *out, const struct key *k, const char *comment, size_t comment_len)
{
	struct tm tm;
	time_t s;
	int i;

	buf_printf(out, "%s sha256:", k->stream);
	for (i = 0; i < KEYS_DIGEST; i++)
		buf_printf(out, "%02x", k->digest[i]);
	if (*k->user)
		buf_printf(out, " user=%s", k->user);
	if (*k->app)
		buf_printf(out, " app=%s", k->app);
	if (k->max_kbps)
		buf_printf(out, " max_kbps=%" PRId64, k->max_kbps);
	if (k->until_ms) {
		char date[32];

		s = (time_t)(k->until_ms / 1000);
		gmtime_r(&s, &tm);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
		buf_printf(out, " until=%s", date);
	}
	if (*k->adobe)
		buf_printf(out, " adobe=%s", k->adobe);
	buf_printf(out, "%s%s", k->off ? " off" : "", comment_len ? " " : "");
	buf_append(out, comment, comment_len);
	buf_append(out, "\n", 1);
}

int
keys_edit_add(struct buf *out, const char *text, size_t n, const struct key *k)
{
	buf_append(out, text, n);
	if (n && text[n - 1] != '\n')
		buf_append(out, "\n", 1);
	put_line(out, k, "", 0);
	return out->error ? out->error : 1;
}

/* The lines of a stream that are on: the first gets the digest when there is one, the rest "off". */
static int
edit(struct buf *out, const char *text, size_t n, const char *stream, const uint8_t *digest,
	const char *adobe)
{
	size_t i, len, next, at;
	const char *why;
	struct key k;
	int changed = 0;

	for (i = 0; i < n; i += next) {
		len = line_len(text + i, n - i, &next);
		if (parse_line(&k, text + i, len, &why) <= 0 || k.off || strcmp(k.stream, stream)) {
			buf_append(out, text + i, next);
			continue;
		}
		if (digest && !changed) {
			memcpy(k.digest, digest, KEYS_DIGEST);
			if (*k.adobe)
				memcpy(k.adobe, adobe, KEYS_ADOBE);
		} else {
			k.off = true;
		}
		at = comment_at(text + i, len);
		put_line(out, &k, text + i + at, len - at);
		changed++;
	}
	return out->error ? out->error : changed;
}

int
keys_edit_revoke(struct buf *out, const char *text, size_t n, const char *stream)
{
	return edit(out, text, n, stream, NULL, NULL);
}

int
keys_edit_rotate(struct buf *out, const char *text, size_t n, const char *stream,
	const uint8_t digest[KEYS_DIGEST], const char adobe[KEYS_ADOBE])
{
	return edit(out, text, n, stream, digest, adobe);
}
