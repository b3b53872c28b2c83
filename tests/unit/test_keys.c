/* keys: every way a line can be right or wrong, and edits that leave the rest alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keys.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "BBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static struct keys *
parsed(const char *text)
{
	struct keys *keys;

	assert_int_equal(keys_parse(&keys, text, strlen(text)), 0);
	return keys;
}

static void
lines(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		const char *why;
	} rows[] = {
		{ "", 0, NULL },
		{ "\n\n  # nothing\n\t\n", 0, NULL },
		{ "alice sha256:" A, 1, NULL },
		{ "alice sha256:" B "\r\n", 1, NULL },
		{ "  alice\tsha256:" A "  user=42 app=live max_kbps=8000 until=2030-01-01T00:00:00Z off # x",
			1, NULL },
		{ "alice sha256:" A "\nalice sha256:" C, 2, NULL },
		{ "al/ice sha256:" A, 0, "the stream is not 1 to 64 of A-Z a-z 0-9 _ -" },
		{ "alice", 0, "no key after the stream" },
		{ "alice # sha256:" A, 0, "no key after the stream" },
		{ "alice sha1:" A, 0, "the second word is not sha256: and 64 hexadecimal digits" },
		{ "alice sha256:" A "a", 0, "the second word is not sha256: and 64 hexadecimal digits" },
		{ "alice sha256:g", 0, "the second word is not sha256: and 64 hexadecimal digits" },
		{ "alice sha256:" A " of", 0, "unknown word" },
		{ "alice sha256:" A " user=", 0, "the user is empty or too long" },
		{ "alice sha256:" A " max_kbps=-1", 0, "max_kbps is not a number" },
		{ "alice sha256:" A " max_kbps=99999999999999999999", 0, "max_kbps is not a number" },
		{ "alice sha256:" A " until=tomorrow", 0, "until is not an RFC 3339 date" },
		{ "alice sha256:" A "\nbob sha256:" A, 2, "the key of another line again" },
	};
	struct keys *keys;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		keys = parsed(rows[i].text);
		assert_int_equal(keys->count, rows[i].count);
		assert_int_equal(keys->bad_count, rows[i].why ? 1 : 0);
		if (rows[i].why)
			assert_string_equal(keys->bad_why, rows[i].why);
		keys_free(&keys);
	}
}

static void
finding(void **state)
{
	uint8_t a[KEYS_DIGEST], b[KEYS_DIGEST], c[KEYS_DIGEST];
	const struct key *k;
	struct keys *keys = parsed("bob sha256:" B " off\nalice sha256:" A " app=live "
		"until=2001-09-09T01:46:40Z user=7 max_kbps=9\n");

	(void)state;
	memset(a, 0xaa, sizeof(a));
	memset(b, 0xbb, sizeof(b));
	memset(c, 0xcc, sizeof(c));
	assert_non_null(k = keys_find(keys, a));
	assert_string_equal(k->stream, "alice");
	assert_string_equal(k->user, "7");
	assert_int_equal(k->max_kbps, 9);
	assert_int_equal(k->line, 2);
	assert_null(keys_refusal(k, "live", INT64_C(999999999999)));
	assert_string_equal(keys_refusal(k, "live", INT64_C(1000000000000)), "the key has expired");
	assert_string_equal(keys_refusal(k, "other", 1), "the key is for another app");
	assert_string_equal(keys_refusal(keys_find(keys, b), "live", 1), "the key is off");
	assert_null(keys_find(keys, c));
	a[31] ^= 1; /* the same beginning is not the same key */
	assert_null(keys_find(keys, a));
	assert_true(keys_stream_on(keys, "alice"));
	assert_false(keys_stream_on(keys, "bob"));
	keys_free(&keys);
	keys_free(&keys);
}

/* The text ends where it is said to end: what comes after it was read as its comment. */
static void
long_blanks_at_the_end(void **state)
{
	char text[KEYS_LINE_MAX + 2];
	struct keys *keys;

	(void)state;
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '#';
	assert_int_equal(keys_parse(&keys, text, sizeof(text) - 1), 0);
	assert_int_equal(keys->bad_count, 1);
	assert_string_equal(keys->bad_why, "the line is too long");
	keys_free(&keys);
}

static void
dates(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2001-09-09T01:46:40Z", INT64_C(1000000000000) },
		{ "2001-09-09t03:46:40.125+02:00", INT64_C(1000000000125) },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2023-04-31T00:00:00Z", -1 },
		{ "2023-13-01T00:00:00Z", -1 },
		{ "2023-01-01T24:00:00Z", -1 },
		{ "2023-01-01T00:00:00", -1 },
		{ "2023-01-01T00:00:00Zz", -1 },
		{ "2023-01-01T00:00:00.Z", -1 },
		{ "2023-01-01", -1 },
		{ "", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(keys_date(rows[i].text), rows[i].ms);
}

static void
edits(void **state)
{
	struct buf out = { 0 };
	uint8_t digest[KEYS_DIGEST];
	struct key k = { .stream = "eve", .user = "9", .max_kbps = 5, .until_ms = 1000 };
	const char *text = "# ours\nbroken line\nbob sha256:" C "\nalice sha256:" A " user=7 # main";

	(void)state;
	memset(digest, 0xdd, sizeof(digest));
	memcpy(k.digest, digest, sizeof(digest));
	assert_int_equal(keys_edit_revoke(&out, text, strlen(text), "alice"), 1);
	buf_u8(&out, 0);
	assert_string_equal((char *)buf_data(&out), "# ours\nbroken line\nbob sha256:" C
		"\nalice sha256:" A " user=7 off # main\n");
	buf_clear(&out);
	assert_int_equal(keys_edit_rotate(&out, text, strlen(text), "alice", digest, "c2FsdGVkIGFuZCBoYXNoZWQ="), 1);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)buf_data(&out), "alice sha256:dddd"));
	assert_non_null(strstr((char *)buf_data(&out), "dd user=7 # main\n"));
	assert_null(strstr((char *)buf_data(&out), A));
	buf_clear(&out);
	text = "alice sha256:" A " adobe=b2xkIG9sZCBvbGQgb2xkISE= user=7\n";
	assert_int_equal(keys_edit_rotate(&out, text, strlen(text), "alice", digest, "c2FsdGVkIGFuZCBoYXNoZWQ="), 1);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)buf_data(&out), "dd user=7 adobe=c2FsdGVkIGFuZCBoYXNoZWQ=\n"));
	text = "# ours\nbroken line\nbob sha256:" C "\nalice sha256:" A " user=7 # main";
	buf_clear(&out);
	assert_int_equal(keys_edit_revoke(&out, text, strlen(text), "nobody"), 0);
	assert_int_equal(buf_len(&out), strlen(text));
	buf_clear(&out);
	assert_int_equal(keys_edit_add(&out, text, strlen(text), &k), 1);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)buf_data(&out), " # main\neve sha256:dddd"));
	assert_non_null(strstr((char *)buf_data(&out),
		" user=9 max_kbps=5 until=1970-01-01T00:00:01Z\n"));
	buf_free(&out);
}

/* 160 bits in 32 characters, none of them lost. */
static void
texts(void **state)
{
	uint8_t bits[20] = { 0 };
	char text[KEYS_KEY_TEXT], want[KEYS_KEY_TEXT];
	int i;

	(void)state;
	keys_text(text, bits);
	assert_string_equal(text, "00000000000000000000000000000000");
	for (i = 0; i < 160; i++) {
		memset(bits, 0, sizeof(bits));
		bits[i / 8] = (uint8_t)(0x80 >> i % 8);
		keys_text(text, bits);
		memset(want, '0', 32);
		want[32] = '\0';
		want[i / 5] = "g8421"[i % 5];
		assert_string_equal(text, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(finding),
		cmocka_unit_test(long_blanks_at_the_end),
		cmocka_unit_test(dates),
		cmocka_unit_test(edits),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
