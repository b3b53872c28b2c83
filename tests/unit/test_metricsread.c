/* metricsread: what metrics writes, and what others write; what is no such text is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "metricsread.h"

static void
what_metrics_writes(void **state)
{
	struct metrics m = { .name = "lv_x" };
	struct metricsread_line l;
	struct metricsread r;
	char value[32];

	(void)state;
	metrics_family(&m, "lv_x", METRICS_GAUGE, "A \\ help.");
	metrics_sample(&m, 1.5, "stream", "a", "why", "say \"a\\n\"\nb", NULL);
	metrics_sample(&m, (double)INFINITY, NULL);
	metricsread_begin(&r, (char *)buf_data(&m.out), buf_len(&m.out));
	assert_int_equal(metricsread_next(&r, &l), 1);
	assert_int_equal(l.kind, METRICSREAD_HELP);
	assert_string_equal(l.name, "lv_x");
	assert_memory_equal(l.text, "A \\\\ help.", l.text_len);
	assert_int_equal(metricsread_next(&r, &l), 1);
	assert_int_equal(l.kind, METRICSREAD_TYPE);
	assert_memory_equal(l.text, "gauge", l.text_len);
	assert_int_equal(metricsread_next(&r, &l), 1);
	assert_int_equal(l.kind, METRICSREAD_SAMPLE);
	assert_true(l.value == 1.5);
	assert_true(metricsread_label(&l, "stream", value, sizeof(value)));
	assert_string_equal(value, "a");
	assert_true(metricsread_label(&l, "why", value, sizeof(value)));
	assert_string_equal(value, "say \"a\\n\"\nb");
	assert_false(metricsread_label(&l, "why", value, 5));
	assert_false(metricsread_label(&l, "wh", value, sizeof(value)));
	assert_int_equal(metricsread_next(&r, &l), 1);
	assert_true(isinf(l.value));
	assert_int_equal(l.labels_len, 0);
	assert_int_equal(metricsread_next(&r, &l), 0);
	buf_free(&m.out);
}

static void
lines(void **state)
{
	static const struct {
		const char *text;
		int r;
		double value;
	} table[] = {
		{ "a 1\n", 1, 1 },
		{ "a{} 1\n", 1, 1 },
		{ "a{b=\"c\",} 2\n", 1, 2 },     /* a comma at the end is allowed */
		{ "a{b=\"}\"} 3 123456789\n", 1, 3 }, /* and a time */
		{ "\n  \n# just a comment\n#\n a 4\n", 1, 4 },
		{ "a:b_9 -1e3\n", 1, -1000 },
		{ "", 0, 0 },
		{ "# HELPLESS a\n", 0, 0 },
		{ "a 1", -EBADMSG, 0 }, /* cut off */
		{ "a\n", -EBADMSG, 0 },
		{ "1a 1\n", -EBADMSG, 0 },
		{ "a 1x\n", -EBADMSG, 0 },
		{ "a{b 1\n", -EBADMSG, 0 },
		{ "a{b=\"c} 1\n", -EBADMSG, 0 },
		{ "a{b=\"c\\\n", -EBADMSG, 0 },
		{ "a{b=\"c\"d=\"e\"} 1\n", -EBADMSG, 0 },
		{ "a{=\"c\"} 1\n", -EBADMSG, 0 },
		{ "# TYPE \n", -EBADMSG, 0 },
	};
	struct metricsread_line l;
	struct metricsread r;
	char *text;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		n = strlen(table[i].text);
		text = malloc(n ? n : 1); /* exact, for the sanitizers */
		assert_non_null(text);
		memcpy(text, table[i].text, n);
		metricsread_begin(&r, text, n);
		assert_int_equal(metricsread_next(&r, &l), table[i].r);
		if (table[i].r == 1)
			assert_true(l.value == table[i].value);
		free(text);
	}
}

static void
a_long_name_is_refused(void **state)
{
	char text[METRICSREAD_NAME + 8];
	struct metricsread_line l;
	struct metricsread r;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + METRICSREAD_NAME - 1, " 1\n", 3);
	metricsread_begin(&r, text, METRICSREAD_NAME + 2);
	assert_int_equal(metricsread_next(&r, &l), 1);
	memcpy(text + METRICSREAD_NAME - 1, "a 1\n", 4);
	metricsread_begin(&r, text, METRICSREAD_NAME + 3);
	assert_int_equal(metricsread_next(&r, &l), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_metrics_writes), cmocka_unit_test(lines),
		cmocka_unit_test(a_long_name_is_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
