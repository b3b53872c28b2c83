/* viewlink: what was made is good for its stream, time and address, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "viewlink.h"

static const struct viewlink_key key = { "0123456789abcdef", 16 };

static const char *
ask(const char *prefix, const char *rest, const char *remote, int64_t now_s)
{
	static char path[512];
	const char *why;

	snprintf(path, sizeof(path), "%s/%s", prefix + 1, rest);
	return viewlink_strip(&key, path, remote, now_s, &why);
}

static void
made_is_good(void **state)
{
	char text[VIEWLINK_TEXT];

	(void)state;
	assert_int_equal(viewlink_make(text, &key, "alice", 1000, NULL), 0);
	assert_string_equal(ask(text, "live/alice/master.m3u8", "203.0.113.9", 999), "live/alice/master.m3u8");
	assert_string_equal(ask(text, "watch/alice", "x", 0), "watch/alice");
	assert_string_equal(ask(text, "archive/alice/b/vod.m3u8", "x", 0), "archive/alice/b/vod.m3u8");
	assert_string_equal(ask(text, "check/alice", "x", 0), "check/alice");
	assert_null(ask(text, "live/alice/x", "x", 1000));
	assert_null(ask(text, "live/alic/x", "x", 0));
	assert_null(ask(text, "live/alicex/x", "x", 0));
	assert_null(ask(text, "other/alice/x", "x", 0));
	assert_null(ask(text, "", "x", 0));
}

static void
bound_to_an_address(void **state)
{
	char text[VIEWLINK_TEXT], address[VIEWLINK_ADDRESS];

	(void)state;
	assert_true(viewlink_address(address, "2001:DB8:0::1"));
	assert_string_equal(address, "2001:db8::1");
	assert_int_equal(viewlink_make(text, &key, "alice", 1000, address), 0);
	assert_non_null(ask(text, "live/alice/x", "2001:db8::1", 0));
	assert_null(ask(text, "live/alice/x", "2001:db8::2", 0));
	assert_null(ask(text, "live/alice/x", "unknown", 0));
	assert_true(viewlink_address(address, "::ffff:203.0.113.9"));
	assert_string_equal(address, "203.0.113.9");
	assert_int_equal(viewlink_make(text, &key, "alice", 1000, address), 0);
	assert_non_null(ask(text, "live/alice/x", "203.0.113.9", 0));
	assert_non_null(ask(text, "live/alice/x", "::ffff:203.0.113.9", 0));
	assert_null(ask(text, "live/alice/x", "203.0.113.90", 0));
	strchr(text, '@')[1] = '3'; /* another address than was signed */
	assert_null(ask(text, "live/alice/x", "303.0.113.9", 0));
	assert_false(viewlink_address(address, "203.0.113"));
	assert_false(viewlink_address(address, ""));
}

static void
nothing_else(void **state)
{
	static const char *const bad[] = { "", "/p", "/p/", "/p//", "/p/1000", "/p/1000/ab", "/p/x/0123", "/p/1000@/",
		"/p/10000000000000000000000000000000000000000000000000000000000000000000000000000000000000/0" };
	char text[VIEWLINK_TEXT];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(ask(*bad[i] ? bad[i] : "x", "live/alice/x", "x", 0));
	assert_int_equal(viewlink_make(text, &key, "alice", 1000, NULL), 0);
	n = strlen(text);
	for (i = 1; i < n; i++) { /* no byte of it may be another one */
		text[i] ^= 1;
		assert_null(ask(text, "live/alice/x", "x", 0));
		text[i] ^= 1;
	}
	text[n - 1] = '\0';
	assert_null(ask(text, "live/alice/x", "x", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_is_good),
		cmocka_unit_test(bound_to_an_address),
		cmocka_unit_test(nothing_else),
	};

	return cmocka_run_group_tests_name("viewlink", tests, NULL, NULL);
}
