/* web: paths, ranges, dates, tags and encodings, as honest and as hostile clients write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "web.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void
paths(void **state)
{
	static const struct {
		const char *target, *path;
		int r;
	} table[] = {
		{ "/", "", 0 },
		{ "/live/a/master.m3u8", "live/a/master.m3u8", 0 },
		{ "/live/a/b?x=../..", "live/a/b", 0 },
		{ "/watch/a%62c", "watch/abc", 0 },
		{ "/live/", "live/", 0 },
		{ "/a%20b", "a b", 0 },
		{ "/a..b", "a..b", 0 },
		{ "", NULL, -EINVAL },
		{ "live/a", NULL, -EINVAL },
		{ "*", NULL, -EINVAL },
		{ "http://host/live", NULL, -EINVAL },
		{ "//etc/passwd", NULL, -EINVAL },
		{ "/live//a", NULL, -EINVAL },
		{ "/..", NULL, -EINVAL },
		{ "/live/../../etc/passwd", NULL, -EINVAL },
		{ "/live/%2e%2e/x", NULL, -EINVAL },
		{ "/live/%2E./x", NULL, -EINVAL },
		{ "/live/.%2e/x", NULL, -EINVAL },
		{ "/live/a%2fb", NULL, -EINVAL },
		{ "/live/..%5cb", NULL, -EINVAL },
		{ "/live/a\\b", NULL, -EINVAL },
		{ "/live/a%00.m3u8", NULL, -EINVAL },
		{ "/live/a\nb", NULL, -EINVAL },
		{ "/live/a%", NULL, -EINVAL },
		{ "/live/a%4", NULL, -EINVAL },
		{ "/live/a%zz", NULL, -EINVAL },
		{ "/live/.state.json", NULL, -EINVAL },
		{ "/live/a/.x.tmp", NULL, -EINVAL },
		{ "/0123456789012345678901234567890", "0123456789012345678901234567890", 0 },
		{ "/01234567890123456789012345678901", NULL, -ENAMETOOLONG },
	};
	char path[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		int r = web_path(table[i].target, path, sizeof(path));

		if (table[i].path) {
			assert_int_equal(r, strlen(table[i].path));
			assert_string_equal(path, table[i].path);
		} else {
			assert_int_equal(r, table[i].r);
		}
	}
}

static void
ranges(void **state)
{
	static const struct {
		const char *value;
		uint64_t size;
		enum web_range r;
		uint64_t first, last;
	} table[] = {
		{ NULL, 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=0-0", 10, WEB_RANGE_PART, 0, 0 },
		{ "bytes=2-5", 10, WEB_RANGE_PART, 2, 5 },
		{ "Bytes= 2 - 5 ", 10, WEB_RANGE_PART, 2, 5 },
		{ "bytes=2-", 10, WEB_RANGE_PART, 2, 9 },
		{ "bytes=2-99", 10, WEB_RANGE_PART, 2, 9 },
		{ "bytes=-3", 10, WEB_RANGE_PART, 7, 9 },
		{ "bytes=-30", 10, WEB_RANGE_PART, 0, 9 },
		{ "bytes=-0", 10, WEB_RANGE_BEYOND, 0, 0 },
		{ "bytes=10-", 10, WEB_RANGE_BEYOND, 0, 0 },
		{ "bytes=0-", 0, WEB_RANGE_BEYOND, 0, 0 },
		{ "bytes=-1", 0, WEB_RANGE_BEYOND, 0, 0 },
		{ "bytes=99999999999999999999999-", 10, WEB_RANGE_BEYOND, 0, 0 },
		{ "bytes=1-99999999999999999999999", 10, WEB_RANGE_PART, 1, 9 },
		{ "bytes=5-2", 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=0-1,3-4", 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=-", 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=", 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=a-b", 10, WEB_RANGE_NONE, 0, 0 },
		{ "bytes=--1", 10, WEB_RANGE_NONE, 0, 0 },
		{ "lines=0-1", 10, WEB_RANGE_NONE, 0, 0 },
	};
	uint64_t first, last;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		assert_int_equal(web_range(table[i].value, table[i].size, &first, &last), table[i].r);
		if (table[i].r == WEB_RANGE_PART) {
			assert_int_equal(first, table[i].first);
			assert_int_equal(last, table[i].last);
		}
	}
}

static void
dates(void **state)
{
	static const char *const good[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" };
	static const char *const bad[] = { "", "yesterday", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT!", "Sun, 06 Foo 1994 08:49:37 GMT",
		"Sun, 41 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 28:49:37 GMT" };
	char text[WEB_DATE];
	int64_t t;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++) {
		assert_int_equal(web_date(good[i], &t), 0);
		assert_int_equal(t, 784111777);
	}
	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(web_date(bad[i], &t), -EINVAL);
	assert_string_equal(web_date_text(text, 784111777), good[0]);
}

static void
tags_and_encodings(void **state)
{
	(void)state;
	assert_true(web_tag_in("\"a\"", "\"a\""));
	assert_true(web_tag_in("W/\"a\"", "\"a\""));
	assert_true(web_tag_in("\"x,y\" , \"a\"", "\"a\""));
	assert_true(web_tag_in("*", "\"a\""));
	assert_false(web_tag_in("", "\"a\""));
	assert_false(web_tag_in("\"ab\"", "\"a\""));
	assert_false(web_tag_in("\"b\",", "\"a\""));
	assert_true(web_takes_gzip("gzip"));
	assert_true(web_takes_gzip("br, GZIP;q=0.5"));
	assert_true(web_takes_gzip("*"));
	assert_false(web_takes_gzip(NULL));
	assert_false(web_takes_gzip("br"));
	assert_false(web_takes_gzip("gzip;q=0"));
	assert_false(web_takes_gzip("gzip; q=0.000, *"));
	assert_true(web_stream_name("a-Z_9", 5));
	assert_false(web_stream_name("a.b", 3));
	assert_false(web_stream_name("", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(ranges),
		cmocka_unit_test(dates),
		cmocka_unit_test(tags_and_encodings),
	};

	return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
