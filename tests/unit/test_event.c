/* json and event: what is written is JSON, one line of at most 4096 bytes, and nobody is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "sig.h"

static void
strings_become_valid_json(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "a\"b\\c\n\x7f", "a\"b\\c\n\x7f" },
		{ "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8e\xa5", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8e\xa5" },
		{ "cut \xc3", "cut \xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct json j;
		json_t *o;

		json_begin(&j, text, sizeof(text));
		json_str(&j, "s", rows[i].in);
		json_str(&j, "absent", NULL);
		json_int(&j, "n", -5);
		assert_true(json_end(&j) > 0);
		o = json_loads(text, 0, NULL);
		assert_non_null(o);
		assert_string_equal(json_string_value(json_object_get(o, "s")), rows[i].out);
		assert_null(json_object_get(o, "absent"));
		assert_int_equal(json_integer_value(json_object_get(o, "n")), -5);
		json_decref(o);
	}
}

static void
an_overflow_is_reported(void **state)
{
	char text[16];
	struct json j;

	(void)state;
	json_begin(&j, text, sizeof(text));
	json_str(&j, "s", "longer than its buffer");
	assert_int_equal(json_end(&j), -EMSGSIZE);
}

static json_t *
line_from(FILE *f)
{
	char line[8192];

	assert_non_null(fgets(line, sizeof(line), f));
	assert_true(strlen(line) <= EVENT_MAX && line[strlen(line) - 1] == '\n');
	return json_loads(line, 0, NULL);
}

static void
a_long_event_is_cut_and_says_so(void **state)
{
	char number[12], big[9000], text[64];
	struct event ev;
	int p[2], cut, n;
	FILE *f;
	json_t *o;

	(void)state;
	assert_int_equal(pipe(p), 0);
	snprintf(number, sizeof(number), "%d", p[1]);
	assert_int_equal(events_open(number), 0);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK); /* the description we were given is as it was */
	f = fdopen(p[0], "r");
	for (cut = 3900; cut < 4100; cut++) {
		for (n = 0; n + 3 < cut; n += 3)
			memcpy(big + n, cut & 1 ? "\xe2\x82\xac" : "\"\n.", 3);
		big[n] = '\0';
		event_begin(&ev, "test.made");
		event_str(&ev, "big", big);
		event_int(&ev, "last", cut);
		event_send(&ev);
		o = line_from(f);
		assert_non_null(o);
		assert_int_equal(json_integer_value(json_object_get(o, "last")), cut);
		if (!json_is_true(json_object_get(o, "truncated")))
			assert_string_equal(json_string_value(json_object_get(o, "big")), big);
		assert_string_equal(json_string_value(json_object_get(o, "event")), "test.made");
		json_decref(o);
	}
	assert_int_equal(strlen(clock_text(text, 1764000000123)), 24);
	assert_string_equal(text, "2025-11-24T16:00:00.123Z");
	events_close(0);
	close(p[1]);
	fclose(f);
}

static int
count(const struct buf *b, const char *what)
{
	const char *at = (const char *)buf_data(b), *end = at + buf_len(b);
	int n = 0;

	while ((at = memmem(at, (size_t)(end - at), what, strlen(what)))) {
		at += strlen(what);
		n++;
	}
	return n;
}

static void
read_all(int fd, struct buf *b)
{
	ssize_t n;

	do {
		events_flush();
		if ((n = read(fd, buf_reserve(b, 65536), 65536)) > 0)
			buf_grew(b, (size_t)n);
	} while (n > 0);
}

static void
a_reader_that_stops_costs_events_not_time(void **state)
{
	char number[12], pad[900];
	struct buf got = { 0 };
	struct event ev;
	int p[2], i;
	int64_t t = clock_mono_ms();

	(void)state;
	assert_int_equal(pipe(p), 0);
	snprintf(number, sizeof(number), "%d", p[1]);
	assert_int_equal(events_open(number), 0);
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	for (i = 0; i < 3000; i++) { /* three times what is queued */
		event_begin(&ev, i % 100 ? "test.made" : "publish.started");
		event_str(&ev, "pad", pad);
		event_send(&ev);
	}
	assert_true(clock_mono_ms() - t < 5000);
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	read_all(p[0], &got);
	assert_int_equal(count(&got, "publish.started"), 30); /* all, in spite of the full queue */
	assert_true(count(&got, "test.made") < 2000);
	event_begin(&ev, "test.made");
	event_send(&ev);
	read_all(p[0], &got);
	assert_int_equal(count(&got, "events.dropped"), 1);
	buf_free(&got);
	close(p[0]);
	sig_pipe();
	die_quiet = true;
	event_begin(&ev, "test.made"); /* nobody reads any more: not an error of ours */
	event_send(&ev);
	event_send(&ev);
	events_close(0);
}

static void
a_bad_sink_is_refused(void **state)
{
	(void)state;
	assert_int_equal(events_open("987"), -EBADF);
	assert_int_equal(events_open("/nonexistent/place"), -ENOENT);
	assert_int_equal(events_open(""), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_become_valid_json),
		cmocka_unit_test(an_overflow_is_reported),
		cmocka_unit_test(a_long_event_is_cut_and_says_so),
		cmocka_unit_test(a_reader_that_stops_costs_events_not_time),
		cmocka_unit_test(a_bad_sink_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
