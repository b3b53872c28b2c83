/* airing: the life of a broadcast, and what a restart leaves of it; ask: lines from the door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "airing.h"

#define NOW INT64_C(1764000000000)

static void
tell(struct airings *a, const char *line, int64_t now_ms, int want)
{
	struct ask n;

	assert_int_equal(ask_parse(&n, line, strlen(line)), 0);
	assert_int_equal(airings_tell(a, &n, now_ms), want);
}

static const struct airing *
ask(struct airings *a, const char *session, int64_t now_ms, bool want_resumed)
{
	const struct airing *x;
	bool resumed;

	assert_int_equal(airings_ask(a, "alice", session, now_ms, &x, &resumed), 1);
	assert_int_equal(resumed, want_resumed);
	return x;
}

static void
busy(struct airings *a, int64_t now_ms)
{
	const struct airing *x;
	bool resumed;

	assert_int_equal(airings_ask(a, "alice", "other", now_ms, &x, &resumed), 0);
}

static void
notice(struct airings *a, const char *what, const char *session, const char *broadcast, int64_t now_ms,
	int want)
{
	char line[256];

	snprintf(line, sizeof(line), "{\"notice\":\"%s\",\"session\":\"%s\",\"broadcast\":\"%s\"}", what,
		session, broadcast);
	tell(a, line, now_ms, want);
}

static void
what_nobody_ever_published_is_not_kept(void **state)
{
	struct airings *a;
	const struct airing *x;

	(void)state;
	airings_new(&a, 1000);
	x = ask(a, "s1", NOW, false);
	notice(a, "abandoned", "s1", x->broadcast, NOW, 1);
	assert_int_equal(a->count, 0);
	x = ask(a, "s2", NOW, false);
	notice(a, "started", "s2", x->broadcast, NOW, 1);
	notice(a, "ended", "s2", x->broadcast, NOW, 1);
	notice(a, "broadcast-ended", "", x->broadcast, NOW, 1);
	x = ask(a, "s3", NOW, false);
	assert_int_equal(x->epoch, 2);
	notice(a, "abandoned", "s3", x->broadcast, NOW, 1);
	assert_int_equal(a->count, 1);
	airings_free(&a);
}

static void
life(void **state)
{
	struct airings *a;
	const struct airing *x;
	char first[AIRING_ID];
	int64_t epoch;

	(void)state;
	airings_new(&a, 1000);
	x = ask(a, "s1", NOW, false);

	assert_int_equal(airing_id_ms(x->broadcast), NOW);
	assert_int_equal(x->origin_ms, NOW);
	snprintf(first, sizeof(first), "%s", x->broadcast);
	epoch = x->epoch;
	busy(a, NOW);
	notice(a, "started", "s1", first, NOW, 1);
	busy(a, NOW + 10 * AIRING_RESERVED_MS);
	notice(a, "ended", "s0", first, NOW, 0); /* of somebody else */
	busy(a, NOW);
	notice(a, "ended", "s1", first, NOW + 5, 1);
	x = ask(a, "s2", NOW + 900000, true); /* nobody said that it ended */
	assert_string_equal(x->broadcast, first);
	assert_int_equal(x->origin_ms, NOW);
	assert_true(x->epoch > epoch);
	notice(a, "abandoned", "s2", first, NOW, 1);
	x = ask(a, "s3", NOW, true);
	notice(a, "started", "s3", first, NOW, 1);
	notice(a, "ended", "s3", first, NOW, 1);
	notice(a, "broadcast-ended", "", first, NOW, 1);
	x = ask(a, "s4", NOW - 5000, false); /* the clock stepped back: ids still rise */
	assert_true(strcmp(x->broadcast, first) > 0);
	notice(a, "abandoned", "s4", x->broadcast, NOW, 1);
	ask(a, "s5", NOW, false); /* what never began is not resumed */
	ask(a, "s6", NOW + AIRING_RESERVED_MS, false); /* neither started nor abandoned */
	airings_free(&a);
}

static struct airings *
restart(struct airings **a, int64_t saved_ms)
{
	struct buf text = { 0 };
	struct airings *b;

	assert_int_equal(airings_text(*a, &text), 0);
	airings_new(&b, 1000);
	assert_int_equal(airings_load(b, (char *)buf_data(&text), buf_len(&text), saved_ms), 0);
	buf_free(&text);
	airings_free(a);
	return b;
}

static void
restarts(void **state)
{
	struct airings *a;
	const struct airing *x;
	char id[AIRING_ID];

	(void)state;
	airings_new(&a, 1000);
	x = ask(a, "s1", NOW, false);
	snprintf(id, sizeof(id), "%s", x->broadcast);
	a = restart(&a, NOW); /* between the verdict and its start */
	notice(a, "started", "s1", id, NOW, 1);
	busy(a, NOW);
	a = restart(&a, NOW + 60000);
	notice(a, "live", "s1", id, NOW + 60000, 1);
	tell(a, "{\"notice\":\"sync\"}", NOW + 60000, 1);
	busy(a, NOW + 60000);
	tell(a, "{\"notice\":\"sync\"}", NOW + 60000, 1); /* not named this time: it has gone */
	x = ask(a, "s2", NOW + 60000, true);
	assert_string_equal(x->broadcast, id);
	assert_int_equal(x->epoch, 2);
	notice(a, "started", "s2", id, NOW + 60000, 1);
	a = restart(&a, NOW + 70000); /* the whole box: nobody is named */
	x = ask(a, "s3", NOW + 70900, true);
	assert_string_equal(x->broadcast, id);
	assert_int_equal(x->epoch, 3);
	notice(a, "started", "s3", id, NOW + 70900, 1);
	a = restart(&a, NOW + 80000); /* and it took too long */
	x = ask(a, "s4", NOW + 81000, false);
	assert_true(strcmp(x->broadcast, id) > 0);
	assert_int_equal(x->epoch, 4);
	airings_free(&a);

	airings_new(&a, 1000); /* the state was lost, the door was not */
	tell(a, "{\"notice\":\"live\",\"session\":\"s\",\"broadcast\":\"01kat3y000\",\"stream\":\"alice\","
		"\"epoch\":7}", NOW, 1);
	busy(a, NOW);
	notice(a, "ended", "s", "01kat3y000", NOW, 1);
	assert_int_equal(ask(a, "s2", NOW, true)->epoch, 8);
	notice(a, "live", "s", "nonsense", NOW, 0);
	airings_free(&a);
}

static void
faulty_state(void **state)
{
	static const char text[] = "junk\n{\"stream\":\"../x\",\"broadcast\":\"01kat3y000\",\"state\":\"held\"}\n"
		"{\"stream\":\"alice\",\"broadcast\":\"UP\",\"state\":\"held\"}\n"
		"{\"stream\":\"alice\",\"broadcast\":\"01kat3y000\",\"epoch\":6,\"state\":\"ended\"}";
	struct airings *a;

	(void)state;
	airings_new(&a, 1000);
	assert_int_equal(airings_load(a, text, sizeof(text) - 1, NOW), 3);
	assert_int_equal(ask(a, "s", NOW, false)->epoch, 7);
	airings_free(&a);
}

static void
asks(void **state)
{
	static const struct {
		const char *line;
		int r;
		enum ask_kind kind;
		const char *id;
		bool key_bad;
	} rows[] = {
		{ "{\"ask\":\"publish\",\"id\":\"1\",\"key\":\"k\",\"new\":[1]}", 0, ASK_PUBLISH, "1", false },
		{ "{\"ask\":\"publish\",\"id\":\"1\"}", 0, ASK_PUBLISH, "1", true },
		{ "{\"ask\":\"publish\",\"id\":\"1\",\"key\":7}", 0, ASK_PUBLISH, "1", true },
		{ "{\"ask\":\"publish\",\"id\":\"1\",\"key\":\"\xff\"}", 0, ASK_PUBLISH, "1", true },
		{ "{\"ask\":\"publish\",\"key\":\"k\"}", -1, ASK_PUBLISH, "", false },
		{ "{\"ask\":\"publish\",\"id\":7,\"key\":\"k\"}", -1, ASK_PUBLISH, "", false },
		{ "{\"ask\":\"publish\",\"id\":\"1\",\"app\":7,\"key\":\"k\"}", -1, ASK_PUBLISH, "1", false },
		{ "{\"ask\":\"play\",\"id\":\"1\"}", 0, ASK_OTHER, "1", true },
		{ "{\"notice\":\"later\"}", 0, ASK_OTHER, "", true },
		{ "{\"notice\":\"broadcast-ended\"}", 0, ASK_BROADCAST_ENDED, "", true },
		{ "{\"notice\":\"live\",\"epoch\":-1}", -1, ASK_LIVE, "", true },
		{ "{\"id\":\"9\"}", -1, 0, "9", true },
		{ "{\"id\":\"9\",\"id\":\"8\"}", -1, 0, "", false },
		{ "[]", -1, 0, "", true },
		{ "\xff", -1, 0, "", false },
		{ "", -1, 0, "", false },
	};
	struct ask a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(ask_parse(&a, rows[i].line, strlen(rows[i].line)) < 0 ? -1 : 0, rows[i].r);
		assert_int_equal(a.kind, rows[i].kind);
		assert_string_equal(a.id, rows[i].id);
		assert_int_equal(a.key_bad, rows[i].key_bad);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_ever_published_is_not_kept),
		cmocka_unit_test(life),
		cmocka_unit_test(restarts),
		cmocka_unit_test(faulty_state),
		cmocka_unit_test(asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
