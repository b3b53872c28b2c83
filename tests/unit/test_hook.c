#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hook.h"

static void
test_answers(void **state)
{
	static const struct {
		enum hook_format format;
		int status;
		const char *body;
		bool yes;
	} cases[] = {
		{ HOOK_SRS, 200, "0", true },
		{ HOOK_SRS, 201, " 0\n", true },
		{ HOOK_SRS, 200, "{\"code\":0}", true },
		{ HOOK_SRS, 200, "{\"code\": 0, \"data\": {}}", true },
		{ HOOK_SRS, 202, "0", false },
		{ HOOK_SRS, 200, "", false },
		{ HOOK_SRS, 200, "1", false },
		{ HOOK_SRS, 200, "ok", false },
		{ HOOK_SRS, 200, "0.0", false },
		{ HOOK_SRS, 200, "\"0\"", false },
		{ HOOK_SRS, 200, "{\"code\":\"0\"}", false },
		{ HOOK_SRS, 200, "{}", false },
		{ HOOK_SRS, 200, "[0]", false },
		{ HOOK_SRS, 404, "0", false },
		{ HOOK_NGINX, 204, "", true },
		{ HOOK_NGINX, 302, "", false },
		{ HOOK_NGINX, 500, "", false },
		{ HOOK_JSON, 200, "{\"allow\":true}", true },
		{ HOOK_JSON, 200, "{\"allow\":1}", false },
		{ HOOK_JSON, 200, "{}", false },
		{ HOOK_JSON, 200, "true", false },
		{ HOOK_JSON, 401, "{\"allow\":true}", false },
	};
	char reason[HOOK_REASON];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool yes = hook_allows(cases[i].format, cases[i].status, cases[i].body, strlen(cases[i].body), reason);

		if (yes != cases[i].yes)
			fail_msg("%s with status %d", cases[i].body, cases[i].status);
		assert_string_equal(reason, "not allowed");
	}
	assert_false(hook_allows(HOOK_JSON, 200, "{\"allow\":false,\"reason\":\"paid?\"}", 32, reason));
	assert_string_equal(reason, "paid?");
}

static void
test_addresses(void **state)
{
	static const char *const cases[][2] = { { "203.0.113.9:50122", "\"ip\":\"203.0.113.9\"" },
		{ "[2001:db8::1]:50122", "\"ip\":\"2001:db8::1\"" }, { "2001:db8::1", "\"ip\":\"2001:db8::1\"" },
		{ "203.0.113.9", "\"ip\":\"203.0.113.9\"" }, { "", "\"ip\":\"\"" }, { "[", "\"ip\":\"\"" } };
	char text[HOOK_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(hook_body(text, HOOK_SRS, HOOK_PUBLISH, &(struct hook_facts){ .remote = cases[i][0] }) > 0);
		assert_non_null(strstr(text, cases[i][1]));
	}
}

static void
test_nobody_smuggles_a_field(void **state)
{
	static const char *const cases[][2] = { { "a=1&b=%20x", "&a=1&b=%20x" }, { "name=x", "" }, { "NAME=x&c=2", "&c=2" },
		{ "n%61me=x", "" }, { "name", "" }, { "&&", "" }, { "c=1;call=play", "&c=1" }, { "a=name=x", "&a=name=x" } };
	char text[HOOK_TEXT], want[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(want, sizeof(want), "&name=al%%26ice&type=live%s", cases[i][1]);
		assert_true(hook_body(text, HOOK_NGINX, HOOK_PUBLISH, &(struct hook_facts){ .stream = "al&ice",
			.query = cases[i][0] }) > 0);
		assert_string_equal(strstr(text, "&name="), want);
	}
}

/* HMAC of "1764000000.{}" by openssl dgst -sha256 -hmac key. */
static void
test_signature(void **state)
{
	char line[HOOK_SIGNATURE];

	(void)state;
	assert_int_equal(hook_sign(line, "key", 3, 1764000000, "{}", 2), 0);
	assert_string_equal(line, "Lv-Signature: t=1764000000,v1=135a1a8c79ff2a07661486422c8068924d01c7a70da314a29ce512bc61231899");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_nobody_smuggles_a_field),
		cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
