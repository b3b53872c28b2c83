#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "adobe.h"

static struct adobe asker = { .app = "live", .secret = { 1, 2, 3 }, .now_s = 1764000000 };

static void
challenge(const char *user, char token[ADOBE_TOKEN])
{
	char text[ADOBE_TEXT], query[256];
	struct adobe_answer a;

	snprintf(query, sizeof(query), "authmod=adobe&user=%s", user);
	assert_false(adobe_take(&asker, query, &a, text));
	assert_non_null(strstr(text, "?reason=needauth&user="));
	memcpy(token, strstr(text, "&opaque=") + 8, ADOBE_TOKEN);
	assert_int_equal(strlen(token), ADOBE_TOKEN - 1);
}

static bool
take(const char *user, const char *token)
{
	char text[ADOBE_TEXT], query[512];
	struct adobe_answer a;
	bool good;

	snprintf(query, sizeof(query), "a=b&authmod=adobe&user=%s&challenge=1a2b&response=r+/==&opaque=%s", user,
		token);
	good = adobe_take(&asker, query, &a, text);
	if (good) {
		assert_string_equal(a.user, user);
		assert_string_equal(a.own, "1a2b");
		assert_string_equal(a.response, "r+/==");
		assert_string_equal(a.challenge, token);
	} else {
		assert_non_null(strstr(text, "?reason=authfailed"));
	}
	return good;
}

static void
a_challenge_is_good_for_its_user_a_minute_long(void **state)
{
	char token[ADOBE_TOKEN], forged[ADOBE_TOKEN];

	(void)state;
	challenge("alice", token);
	assert_true(take("alice", token));
	assert_false(take("bob", token));
	asker.now_s += ADOBE_SECONDS;
	assert_true(take("alice", token));
	asker.now_s++;
	assert_false(take("alice", token));
	memcpy(forged, token, sizeof(forged));
	forged[7] ^= 1; /* another time */
	assert_false(take("alice", forged));
	asker.now_s -= 2 * ADOBE_SECONDS; /* from the future */
	assert_false(take("alice", token));
	asker.now_s += ADOBE_SECONDS;
	asker.secret[31] = 9; /* of another server */
	assert_false(take("alice", token));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_challenge_is_good_for_its_user_a_minute_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
