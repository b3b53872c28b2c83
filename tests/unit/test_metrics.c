/* metrics: what is written, to the byte; promtool looks at it in tests/cli/metrics.bats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "metrics.h"

#define STREAMS 1000
#define FAMILIES 16
#define BOUND_MS 1000 /* an idle machine takes a few: tests/bench/metrics says how many */

static void
check(struct metrics *m, const char *want)
{
	assert_int_equal(m->out.error, 0);
	buf_u8(&m->out, 0);
	assert_string_equal((char *)buf_data(&m->out), want);
	buf_free(&m->out);
	memset(m, 0, sizeof(*m));
}

static void
families(void **state)
{
	struct metrics m = { 0 };

	(void)state;
	metrics_gauge(&m, "lv_rooms", 3, "Rooms.");
	metrics_family(&m, "lv_x_total", METRICS_COUNTER, "With a \\ and\na line.");
	metrics_sample(&m, 1, "a", "b", NULL);
	metrics_sample(&m, 2, "a", "c", "d", "e", NULL);
	check(&m,
		"# HELP lv_rooms Rooms.\n# TYPE lv_rooms gauge\nlv_rooms 3\n"
		"# HELP lv_x_total With a \\\\ and\\na line.\n# TYPE lv_x_total counter\n"
		"lv_x_total{a=\"b\"} 1\nlv_x_total{a=\"c\",d=\"e\"} 2\n");
}

static void
labels_are_escaped(void **state)
{
	struct metrics m = { .name = "x" };

	(void)state;
	metrics_sample(&m, 1, "l", "say \"a\\b\"\nend", NULL);
	metrics_sample(&m, 1, "l", "\xff\xc3\xa9\xc3", NULL);
	check(&m, "x{l=\"say \\\"a\\\\b\\\"\\nend\"} 1\nx{l=\"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\"} 1\n");
}

static void
numbers(void **state)
{
	static const struct {
		double v;
		const char *text;
	} table[] = { { 0, "x 0\n" }, { -1, "x -1\n" }, { 0.1, "x 0.1\n" }, { 1764000000.123, "x 1764000000.123\n" },
		{ 9007199254740991.0, "x 9007199254740991\n" }, { 1e300, "x 1e+300\n" }, { 1e-9, "x 1e-09\n" },
		{ (double)INFINITY, "x +Inf\n" }, { -(double)INFINITY, "x -Inf\n" }, { (double)NAN, "x NaN\n" } };
	struct metrics m = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		m.name = "x";
		metrics_sample(&m, table[i].v, NULL);
		check(&m, table[i].text);
	}
}

static void
histograms_add_up(void **state)
{
	static const double bounds[] = { 0.1, 1, 10 };
	struct metrics_histogram h = { .bounds = bounds, .n = 3 };
	struct metrics m = { .name = "h" };

	(void)state;
	metrics_observe(&h, 0.1); /* a bound belongs to its bucket */
	metrics_observe(&h, 0.5);
	metrics_observe(&h, 0.5);
	metrics_observe(&h, 100);
	metrics_histogram(&m, &h, "a", "b", NULL);
	check(&m,
		"h_bucket{a=\"b\",le=\"0.1\"} 1\nh_bucket{a=\"b\",le=\"1\"} 3\nh_bucket{a=\"b\",le=\"10\"} 3\n"
		"h_bucket{a=\"b\",le=\"+Inf\"} 4\nh_sum{a=\"b\"} 101.1\nh_count{a=\"b\"} 4\n");
	m.name = "h";
	metrics_histogram(&m, &(struct metrics_histogram){ 0 }, NULL);
	check(&m, "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n");
}

static void
counted_labels_are_bounded(void **state)
{
	struct metrics_counts c = { 0 };
	struct metrics m = { .name = "x" };
	char name[METRICS_LABEL * 2];
	uint64_t sum = 0;
	int i;

	(void)state;
	metrics_count(&c, "a", 1);
	metrics_count(&c, "", 1);
	metrics_count(&c, "a", 2);
	metrics_counted(&m, &c, "why", NULL);
	check(&m, "x{why=\"a\"} 3\nx{why=\"none\"} 1\n");
	m.name = "x";
	metrics_counted(&m, &c, "why", "a", "b", NULL);
	check(&m, "x{a=\"b\",why=\"a\"} 3\nx{a=\"b\",why=\"none\"} 1\n");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	metrics_count(&c, name, 1);
	assert_int_equal(strlen(c.all[2].label), METRICS_LABEL - 1);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		metrics_count(&c, name, 1);
	}
	assert_string_equal(c.all[METRICS_LABELS - 1].label, "other");
	for (i = 0; i < METRICS_LABELS; i++)
		sum += c.all[i].n;
	assert_int_equal(sum, 1005);
	metrics_count(&c, "r0", 1); /* one that has a place keeps it */
	assert_int_equal(c.all[3].n, 2);
}

static void
too_much_is_an_error(void **state)
{
	struct metrics m = { .out.max = 100 };
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		metrics_gauge(&m, "x", i, "X.");
	assert_int_equal(m.out.error, -EMSGSIZE);
	buf_free(&m.out);
}

static void
a_thousand_streams_are_quick(void **state)
{
	struct metrics m = { .out.max = METRICS_BYTES };
	int64_t began = clock_mono_ms();
	char name[65], family[32];
	int i, k;

	(void)state;
	for (k = 0; k < FAMILIES; k++) {
		snprintf(family, sizeof(family), "lv_figure_%d", k);
		metrics_family(&m, family, METRICS_GAUGE, "A figure.");
		for (i = 0; i < STREAMS; i++) {
			snprintf(name, sizeof(name), "stream-%d", i);
			metrics_sample(&m, i * 1.5, "stream", name, NULL);
		}
	}
	assert_int_equal(m.out.error, 0);
	assert_true(clock_mono_ms() - began < BOUND_MS);
	buf_free(&m.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(families), cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(numbers), cmocka_unit_test(histograms_add_up),
		cmocka_unit_test(counted_labels_are_bounded), cmocka_unit_test(too_much_is_an_error),
		cmocka_unit_test(a_thousand_streams_are_quick) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
