#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crowd.h"

static void
the_more_publish_the_longer(void **state)
{
	(void)state;
	assert_int_equal(crowd_merge_ms(-1, 63, 0), 0);
	assert_int_equal(crowd_merge_ms(-1, 64, 0), 60);
	assert_int_equal(crowd_merge_ms(-1, 255, 60), 60);
	assert_int_equal(crowd_merge_ms(-1, 256, 60), 150);
	assert_int_equal(crowd_merge_ms(-1, 100000, 0), 150);
}

static void
it_does_not_waver(void **state)
{
	(void)state;
	assert_int_equal(crowd_merge_ms(-1, 192, 150), 150);
	assert_int_equal(crowd_merge_ms(-1, 191, 150), 60);
	assert_int_equal(crowd_merge_ms(-1, 48, 60), 60);
	assert_int_equal(crowd_merge_ms(-1, 47, 60), 0);
	assert_int_equal(crowd_merge_ms(-1, 191, 60), 60);
}

static void
what_was_asked_for_is_the_least(void **state)
{
	(void)state;
	assert_int_equal(crowd_merge_ms(0, 1000, 0), 0);
	assert_int_equal(crowd_merge_ms(40, 1, 0), 40);
	assert_int_equal(crowd_merge_ms(40, 300, 60), 150);
	assert_int_equal(crowd_merge_ms(500, 300, 500), 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_more_publish_the_longer),
		cmocka_unit_test(it_does_not_waver),
		cmocka_unit_test(what_was_asked_for_is_the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
