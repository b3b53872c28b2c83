#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flv.h"
#include "fourcc.h"

static void
names_make_a_set(void **state)
{
	char text[128];
	uint32_t set;

	(void)state;
	assert_int_equal(fourccs_parse("H264,aac,hvc1,.mp3", &set), 0);
	assert_true(fourccs_have(set, FLV_AVC) && fourccs_have(set, FLV_AAC) && fourccs_have(set, FLV_HEVC));
	assert_false(fourccs_have(set, FLV_AV1) || fourccs_have(set, FLV_OPUS) || fourccs_have(set, 0));
	fourccs_text(set, text, sizeof(text));
	assert_string_equal(text, "avc1, hvc1, mp4a, .mp3");
	fourccs_text(set, text, 16);
	assert_string_equal(text, "avc1, hvc1");
}

static void
all_is_all(void **state)
{
	(void)state;
	assert_true(fourccs_have(FOURCCS_ALL, FLV_EAC3) && fourccs_have(FOURCCS_ALL, 0));
}

static void
what_is_no_name_is_none(void **state)
{
	static const char *const wrong[] = { "", "theora", "avc1,,aac", ",aac", "avc1 aac" };
	uint32_t set;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_not_equal(fourccs_parse(wrong[i], &set), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_make_a_set),
		cmocka_unit_test(all_is_all),
		cmocka_unit_test(what_is_no_name_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
