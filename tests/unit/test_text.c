/* text: what UTF-8 is, what is refused of it, and where it may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "text.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void
characters(void **state)
{
	static const struct {
		const char *s;
		size_t len;
		uint32_t code;
	} table[] = {
		{ "a", 1, 'a' },
		{ "\xc3\xa9", 2, 0xe9 },
		{ "\xe2\x82\xac", 3, 0x20ac },
		{ "\xf0\x9f\x98\x80", 4, 0x1f600 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "", 0, 0 },
		{ "\x80", 0, 0 },             /* begins in the middle */
		{ "\xc3", 0, 0 },             /* cut off */
		{ "\xc0\xaf", 0, 0 },         /* overlong */
		{ "\xe0\x80\xaf", 0, 0 },     /* overlong */
		{ "\xf0\x80\x80\xaf", 0, 0 }, /* overlong */
		{ "\xed\xa0\x80", 0, 0 },     /* half of a pair of UTF-16 */
		{ "\xf4\x90\x80\x80", 0, 0 }, /* beyond the last */
		{ "\xff", 0, 0 },
		{ "\xe2\x82(", 0, 0 },
	};
	uint32_t code;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		size_t len = text_char(table[i].s, strlen(table[i].s), &code);

		assert_int_equal(len, table[i].len);
		if (len)
			assert_int_equal(code, table[i].code);
	}
}

static void
what_is_plain(void **state)
{
	static const struct {
		const char *s;
		bool plain;
	} table[] = {
		{ "", true },
		{ "hello", true },
		{ "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7", true },           /* Arabic */
		{ "e\xcc\x81", true },                                          /* e and an accent */
		{ "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80", true },       /* joined emoji */
		{ "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81", true },
		{ "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81", false },         /* a tower */
		{ "a\xcc\x81\xcc\x81\xe2\x80\x8c\xcc\x81\xcc\x81\xcc\x81", false }, /* with a joint */
		{ "a\nb", false },
		{ "a\tb", false },
		{ "\x7f", false },
		{ "\xc2\x85", false },
		{ "\xe2\x80\xae" "abc", false }, /* right to left, forced */
		{ "\xe2\x81\xa6" "abc", false },
		{ "\xe2\x80\xa8", false }, /* line separator */
		{ "\xef\xbb\xbf", false },
		{ "\xef\xbf\xbf", false },
		{ "\xf3\xa0\x80\x81", false }, /* language tag */
		{ "\xc3(", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++)
		assert_int_equal(text_plain(table[i].s, strlen(table[i].s)), table[i].plain);
	assert_false(text_plain("a\0b", 3));
}

static void
counting_and_blanks(void **state)
{
	(void)state;
	assert_int_equal(text_count("a\xc3\xa9\xf0\x9f\x98\x80", 7), 3);
	assert_true(text_blank("", 0));
	assert_true(text_blank(" \xe2\x80\x8b\xe3\x80\x80", 7));
	assert_false(text_blank(" .", 2));
}

static void
cuts(void **state)
{
	static const char s[] = "a\xc3\xa9\xf0\x9f\x98\x80"; /* 1, 2 and 4 bytes */
	static const size_t want[] = { 0, 1, 1, 3, 3, 3, 3, 7, 7 };
	size_t max;

	(void)state;
	for (max = 0; max < COUNT(want); max++)
		assert_int_equal(text_cut(s, 7, max), want[max]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters),
		cmocka_unit_test(what_is_plain),
		cmocka_unit_test(counting_and_blanks),
		cmocka_unit_test(cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
