/* room, chat, rate, table, redis_url: a chat room's rules, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "emotes.h"
#include "rate.h"
#include "redis_url.h"
#include "room.h"
#include "table.h"
#include "text.h"
#include "words.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NOW 1764000000000

static void
what_may_be_said(void **state)
{
	static const struct {
		const char *text, *notice;
	} table[] = {
		{ "{\"type\":\"message\",\"text\":\"hi\"}", NULL },
		{ "{\"type\":\"message\",\"text\":\"hi\",\"reply\":\"12-3\",\"ref\":\"a\",\"more\":[{}]}", NULL },
		{ "{\"type\":\"message\",\"text\":\"\"}", "text_missing" },
		{ "{\"type\":\"message\",\"text\":\"  \"}", "text_missing" },
		{ "{\"type\":\"message\",\"text\":\"a\\tb\"}", "text_refused" },
		{ "{\"type\":\"message\",\"text\":\"a\",\"reply\":\"12\"}", "field_missing" },
		{ "{\"type\":\"message\",\"text\":\"a\",\"ref\":\"\"}", "field_missing" },
		{ "{\"type\":\"message\",\"text\":\"a\",\"ref\":5}", "field_missing" },
		{ "{\"type\":\"emote\",\"emote\":\"Kappa_1:-\"}", NULL },
		{ "{\"type\":\"emote\",\"emote\":\"<b>\"}", "field_missing" },
		{ "{\"type\":\"emote\"}", "field_missing" },
		{ "{\"type\":\"auth\"}", "field_missing" },
		{ "{\"type\":\"delete\",\"id\":\"1-2\"}", NULL },
		{ "{\"type\":\"delete\"}", "field_missing" },
		{ "{\"type\":\"timeout\",\"user\":\"1\",\"seconds\":1209600}", NULL },
		{ "{\"type\":\"timeout\",\"user\":\"1\",\"seconds\":1209601}", "field_missing" },
		{ "{\"type\":\"timeout\",\"user\":\"1\",\"seconds\":0}", "field_missing" },
		{ "{\"type\":\"timeout\",\"seconds\":1}", "field_missing" },
		{ "{\"type\":\"modes\",\"slow\":120,\"followers\":-1}", NULL },
		{ "{\"type\":\"modes\",\"subs\":1}", "field_missing" },
		{ "{\"type\":\"gift\",\"user\":\"1\",\"count\":1000}", NULL },
		{ "{\"type\":\"gift\",\"user\":\"1\"}", "field_missing" },
		{ "{\"type\":\"raid\",\"user\":\"bob\",\"viewers\":0}", NULL },
		{ "{\"type\":\"viewers\"}", "unknown_type" },
		{ "{\"type\":\"history\"}", NULL },
		{ "{\"type\":\"history\",\"id\":\"1-2\",\"count\":100}", NULL },
		{ "{\"type\":\"history\",\"count\":101}", "field_missing" },
		{ "{\"type\":\"history\",\"id\":\"1\"}", "field_missing" },
		{ "{\"type\":\"held\",\"text\":\"x\"}", "unknown_type" },
		{ "{\"type\":\"approve\",\"id\":\"1-2\"}", NULL },
		{ "{\"type\":\"deny\"}", "field_missing" },
		{ "{\"type\":\"modes\",\"links\":\"hold\"}", NULL },
		{ "{\"type\":\"modes\",\"links\":\"some\"}", "field_missing" },
		{ "{\"type\":\"modes\",\"links\":3}", "field_missing" },
		{ "{\"type\":\"\"}", "unknown_type" },
		{ "{}", "bad_message" },
		{ "[]", "bad_message" },
		{ "{\"type\":\"clear\"} {}", "bad_message" },
		{ "", "bad_message" },
	};
	struct chat_ask a;
	const char *no;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		int r = chat_read(&a, table[i].text, strlen(table[i].text), &no);

		if (r != (table[i].notice ? -EBADMSG : 0) || (no && strcmp(no, table[i].notice)))
			fail_msg("%s: %s", table[i].text, no);
		assert_true(!no || strcmp(chat_notice_text(no), no));
	}
}

static void
ids(void **state)
{
	static const char *const bad[] = { "", "1", "-", "1-", "-1", "1-1x", " 1-1", "+1-1",
		"18446744073709551616-0" };
	struct chat_id a, b;
	char text[CHAT_ID_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(chat_id_read(&a, bad[i]), -EINVAL);
	assert_int_equal(chat_id_read(&a, "18446744073709551615-18446744073709551615"), 0);
	assert_string_equal(chat_id_text(text, a), "18446744073709551615-18446744073709551615");
	assert_int_equal(chat_id_read(&a, "7-9"), 0);
	assert_int_equal(chat_id_read(&b, "7-10"), 0);
	assert_true(chat_id_order(a, b) < 0 && chat_id_order(b, a) > 0 && !chat_id_order(a, a));
	b.ms = 6;
	assert_true(chat_id_order(a, b) > 0);
}

static void
rates(void **state)
{
	struct rate r = { 0 };
	int n;

	(void)state;
	for (n = 0; n < 20; n++)
		assert_int_equal(rate_take(&r, 1000 + n * 10, 20, 5000, 0), 0);
	assert_int_equal(rate_take(&r, 1200, 20, 5000, 0), 4800); /* till the first leaves the window */
	assert_int_equal(rate_take(&r, 5999, 20, 5000, 0), 1);
	assert_int_equal(rate_take(&r, 6000, 20, 5000, 0), 0);
	assert_int_equal(rate_take(&r, 6000, 20, 5000, 0), 10); /* not forty around an edge */
	assert_int_equal(rate_last_ms(&r), 6000);
	r = (struct rate){ 0 };
	assert_int_equal(rate_take(&r, 1000, 20, 5000, 30000), 0); /* slow mode */
	assert_int_equal(rate_take(&r, 2000, 20, 5000, 30000), 29000);
	assert_int_equal(rate_take(&r, 2000, 1, 5000, 0), 4000);
	assert_int_equal(rate_take(&r, 2000, 1, 0, 0), 0); /* no window: no limit */
}

struct thing {
	struct table_item item;
	char name[16];
};

static void
tables(void **state)
{
	struct table t = { 0 };
	struct thing *all[500], *i;
	size_t n, seen = 0;

	(void)state;
	assert_null(table_find(&t, "x"));
	assert_null(table_next(&t, NULL));
	for (n = 0; n < COUNT(all); n++) {
		all[n] = calloc(1, sizeof(*all[n]));
		snprintf(all[n]->name, sizeof(all[n]->name), "n%zu", n);
		assert_int_equal(table_add(&t, &all[n]->item, all[n]->name), 0);
	}
	for (n = 0; n < COUNT(all); n++)
		assert_ptr_equal(table_find(&t, all[n]->name), all[n]);
	for (n = 0; n < COUNT(all); n += 2) {
		table_drop(&t, &all[n]->item);
		assert_null(table_find(&t, all[n]->name));
		free(all[n]);
	}
	for (i = table_next(&t, NULL); i; i = table_next(&t, i))
		seen++;
	assert_int_equal(seen, COUNT(all) / 2);
	table_empty(&t, free);
	assert_int_equal(t.count, 0);
}

/* A room with n messages "m0" to "m<n-1>" with the ids 1000-0 on. */
static struct room *
room_of(unsigned n)
{
	struct chat_id floor = { 999, 0 };
	struct room *r;
	char body[200];
	unsigned i;

	assert_int_equal(room_new(&r, "alice", floor), 0);
	for (i = 0; i < n; i++) {
		int len = snprintf(body, sizeof(body), "{\"type\":\"message\",\"user\":\"%u\",\"text\":\"m%u\"}",
			i % 3, i);

		assert_int_equal(room_apply(r, (struct chat_id){ 1000 + i, 0 }, body, (size_t)len), 0);
	}
	return r;
}

static void
apply(struct room *r, uint64_t ms, const char *body)
{
	assert_int_equal(room_apply(r, (struct chat_id){ ms, 0 }, body, strlen(body)), 0);
}

/* The texts and types of the frames from at on, parted by blanks; the frames are checked. */
static bool moderator; /* reads along */

static void
expect_text(struct room *r, uint64_t at, uint64_t joined, const char *want)
{
	char got[20000] = "", *to = got;
	const uint8_t *p;
	size_t n, len, head;

	while ((n = room_batch(r, &at, joined, moderator, &p))) {
		for (; n; p += head + len, n -= head + len) {
			const char *word;
			char copy[9000];

			assert_int_equal(p[0], 0x81);
			head = p[1] < 126 ? 2 : 4;
			len = p[1] < 126 ? p[1] : get_be16(p + 2);
			assert_true(p[1] != 127 && head + len <= n);
			memcpy(copy, p + head, len);
			copy[len] = '\0';
			assert_true(!strncmp(copy, "{\"id\":\"", 7) && copy[len - 1] == '}');
			word = strstr(copy, "\"text\":\"");
			word = word ? word + 8 : strstr(copy, "\"type\":\"") + 8;
			to += snprintf(to, (size_t)(got + sizeof(got) - to), "%s%.*s", to == got ? "" : " ",
				(int)strcspn(word, "\""), word);
		}
	}
	assert_int_equal(at, room_head(r));
	assert_string_equal(got, want);
}

static void
reading(void **state)
{
	struct room *r = room_of(6);
	uint64_t at;

	(void)state;
	expect_text(r, 0, 0, "m0 m1 m2 m3 m4 m5");
	expect_text(r, room_back(r, 2), room_head(r), "m4 m5");
	expect_text(r, room_back(r, 100), room_head(r), "m0 m1 m2 m3 m4 m5");
	assert_int_equal(room_after(r, (struct chat_id){ 1002, 0 }, &at), 0);
	expect_text(r, at, at, "m3 m4 m5");
	assert_int_equal(room_after(r, (struct chat_id){ 1002, 5 }, &at), 0); /* a deleted one's, say */
	expect_text(r, at, at, "m3 m4 m5");
	assert_int_equal(room_after(r, (struct chat_id){ 999, 0 }, &at), 0);
	expect_text(r, at, at, "m0 m1 m2 m3 m4 m5");
	assert_int_equal(room_after(r, (struct chat_id){ 998, 9 }, &at), -ESTALE); /* before its time */
	assert_int_equal(room_after(r, (struct chat_id){ 1006, 0 }, &at), -ESTALE); /* yet to come */
	assert_int_equal(room_apply(r, (struct chat_id){ 1005, 0 }, "{\"type\":\"clear\"}", 16), -EEXIST);
	assert_int_equal(room_apply(r, (struct chat_id){ 1006, 0 }, "{\"type\":\"auth\"}", 15), -EBADMSG);
	assert_int_equal(room_apply(r, (struct chat_id){ 1006, 0 }, "[]", 2), -EBADMSG);
	room_free(&r);
}

static void
moderating(void **state)
{
	struct room *r = room_of(6);

	(void)state;
	apply(r, 2000, "{\"type\":\"delete\",\"target\":\"1001-0\"}");
	expect_text(r, 0, 0, "m0 m2 m3 m4 m5 delete");
	expect_text(r, room_back(r, 10), room_head(r), "m0 m2 m3 m4 m5"); /* a newcomer */
	apply(r, 2001, "{\"type\":\"ban\",\"user\":\"0\",\"role\":\"mod\"}");
	expect_text(r, 0, 0, "m2 m4 m5 delete ban");
	expect_text(r, room_back(r, 2), room_head(r), "m4 m5");
	apply(r, 2002, "{\"type\":\"message\",\"user\":\"1\",\"text\":\"x\"}");
	expect_text(r, room_back(r, 2), room_head(r) - 1, "m5 x"); /* joined before x was said */
	apply(r, 2003, "{\"type\":\"clear\"}");
	expect_text(r, 0, 0, "delete ban clear");
	expect_text(r, 0, room_head(r), "");
	room_free(&r);
}

/* The texts of what was said before, parted by blanks. */
static void
expect_before(const struct room *r, uint64_t ms, int count, const char *want, bool more)
{
	struct buf b = { 0 };
	char got[200] = "", *to = got;
	json_t *all, *o;
	size_t i;

	buf_append(&b, "[", 1);
	assert_int_equal(room_say_before(r, (struct chat_id){ ms, 0 }, count, &b), more);
	buf_append(&b, "]", 1);
	assert_non_null(all = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL));
	json_array_foreach(all, i, o)
		to += snprintf(to, (size_t)(got + sizeof(got) - to), "%s%s", i ? " " : "",
			json_string_value(json_object_get(o, "text")));
	assert_string_equal(got, want);
	json_decref(all);
	buf_free(&b);
}

static void
looking_back(void **state)
{
	struct room *r = room_of(6);
	uint64_t ms;

	(void)state;
	apply(r, 2000, "{\"type\":\"delete\",\"target\":\"1003-0\"}");
	expect_before(r, UINT64_MAX, 100, "m0 m1 m2 m4 m5", false);
	expect_before(r, 2000, 2, "m4 m5", true);
	expect_before(r, 1004, 2, "m1 m2", true);
	expect_before(r, 1002, 2, "m0 m1", false);
	expect_before(r, 1000, 2, "", false);
	room_free(&r);
	r = room_of(0); /* of long ones no more than fit */
	for (ms = 1000; ms < 1010; ms++) {
		static char body[ROOM_BODY_MAX];
		int n = snprintf(body, sizeof(body), "{\"type\":\"message\",\"pad\":\"%08000d\",\"text\":\"m%d\"}", 0, (int)ms - 1000);

		assert_int_equal(room_apply(r, (struct chat_id){ ms, 0 }, body, (size_t)n), 0);
	}
	expect_before(r, 1008, 100, "m4 m5 m6 m7", true);
	room_free(&r);
}

static const char *
pinned(const struct room *r)
{
	static char text[500];
	struct json j;

	json_begin(&j, text, sizeof(text));
	room_say_pin(r, &j);
	json_end(&j);
	return text;
}

#define PIN(id, user) "{\"type\":\"pin\",\"target\":\"" id "\",\"message\":{\"id\":\"" id "\",\"user\":\"" user "\"}}"

/* What is taken away is not pinned any more, nor are entries left that show it. */
static void
pinning(void **state)
{
	struct room *r = room_of(6);

	(void)state;
	apply(r, 2000, PIN("1002-0", "2"));
	apply(r, 2001, PIN("1001-0", "1"));
	assert_string_equal(pinned(r), "{\"pin\":{\"id\":\"1001-0\",\"user\":\"1\"}}");
	apply(r, 2002, "{\"type\":\"delete\",\"target\":\"1002-0\"}");
	expect_text(r, 0, 0, "m0 m1 m3 m4 m5 pin delete");
	assert_string_not_equal(pinned(r), "{}");
	apply(r, 2003, "{\"type\":\"delete\",\"target\":\"1001-0\"}");
	expect_text(r, 0, 0, "m0 m3 m4 m5 delete delete");
	assert_string_equal(pinned(r), "{}");
	apply(r, 2004, PIN("1003-0", "0"));
	apply(r, 2005, "{\"type\":\"ban\",\"user\":\"1\",\"role\":\"mod\"}");
	assert_string_not_equal(pinned(r), "{}");
	apply(r, 2006, "{\"type\":\"timeout\",\"user\":\"0\",\"until\":1,\"role\":\"mod\"}");
	expect_text(r, 0, 0, "m5 delete delete ban timeout");
	assert_string_equal(pinned(r), "{}");
	apply(r, 2007, PIN("1005-0", "2"));
	apply(r, 2008, "{\"type\":\"clear\"}");
	expect_text(r, 0, 0, "delete delete ban timeout clear");
	assert_string_equal(pinned(r), "{}");
	room_free(&r);
}

static void
forgetting(void **state)
{
	struct room *r = room_of(ROOM_KEEP + 100);
	const uint8_t *p;
	uint64_t at;
	size_t n, total = 0;

	(void)state;
	assert_int_equal(room_first(r), 100);
	assert_int_equal(room_after(r, (struct chat_id){ 1098, 0 }, &at), -ESTALE);
	assert_int_equal(room_after(r, (struct chat_id){ 1099, 0 }, &at), 0);
	assert_int_equal(at, 100);
	while ((n = room_batch(r, &at, 0, false, &p))) {
		assert_true(n <= ROOM_BATCH);
		total += n;
	}
	assert_true(total > ROOM_BATCH && at == room_head(r));
	room_free(&r);
}

static const char *
judge(struct room *r, const char *user, enum ticket_role role, int tier, int64_t followed_s,
	const char *text, int64_t now_ms)
{
	struct ticket t = { .role = role, .tier = tier, .followed_s = followed_s, .exp_s = NOW / 1000 + 600 };
	struct room_verdict v;
	struct chat_ask a;
	const char *no;

	snprintf(t.user, sizeof(t.user), "%s", user);
	assert_int_equal(chat_read(&a, text, strlen(text), &no), 0);
	no = room_judge(r, *user ? &t : NULL, &a, now_ms, &v);
	return no ? no : "";
}

#define SAY "{\"type\":\"message\",\"text\":\"new\"}"

static void
judging(void **state)
{
	struct room *r = room_of(3);

	(void)state;
	assert_string_equal(judge(r, "", 0, 0, 0, SAY, NOW), "login_required");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW), "");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW + 600000), "token_expired");
	assert_string_equal(judge(r, "1", 0, 0, 0, "{\"type\":\"clear\"}", NOW), "no_permission");
	assert_string_equal(judge(r, "1", TICKET_MOD, 0, 0, "{\"type\":\"clear\"}", NOW), "");
	assert_string_equal(judge(r, "1", TICKET_OWNER, 0, 0, "{\"type\":\"sub\",\"user\":\"1\"}", NOW),
		"no_permission");
	assert_string_equal(judge(r, "1", TICKET_SERVICE, 0, 0, "{\"type\":\"sub\",\"user\":\"1\"}", NOW), "");
	assert_string_equal(judge(r, "1", TICKET_MOD, 0, 0, "{\"type\":\"pin\",\"id\":\"1000-0\"}", NOW), "");
	assert_string_equal(judge(r, "1", TICKET_MOD, 0, 0, "{\"type\":\"pin\",\"id\":\"1000-1\"}", NOW),
		"message_unknown");
	apply(r, NOW, "{\"type\":\"timeout\",\"user\":\"1\",\"until\":1764000001000,\"role\":\"mod\"}");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW + 999), "timed_out");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW + 1000), "");
	apply(r, NOW + 1, "{\"type\":\"ban\",\"user\":\"1\",\"role\":\"mod\"}");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW), "banned");
	assert_string_equal(judge(r, "1", TICKET_MOD, 0, 0, SAY, NOW), "");
	apply(r, NOW + 2, "{\"type\":\"ban\",\"user\":\"1\",\"role\":\"owner\"}");
	assert_string_equal(judge(r, "1", TICKET_MOD, 0, 0, SAY, NOW), "banned");
	assert_string_equal(judge(r, "1", TICKET_OWNER, 0, 0, SAY, NOW), "");
	apply(r, NOW + 3, "{\"type\":\"unban\",\"user\":\"1\"}");
	assert_string_equal(judge(r, "1", 0, 0, 0, SAY, NOW), "");
	apply(r, NOW + 4, "{\"type\":\"modes\",\"slow\":7,\"followers\":10,\"subs\":false,\"emote\":true,\"unique\":true}");
	assert_string_equal(judge(r, "2", 0, 0, 0, SAY, NOW), "followers_only");
	assert_string_equal(judge(r, "2", 0, 0, NOW / 1000 - 599, SAY, NOW), "followers_only");
	assert_string_equal(judge(r, "2", 0, 0, NOW / 1000 - 600, SAY, NOW), "emote_only");
	assert_string_equal(judge(r, "2", 0, 1, 0, "{\"type\":\"emote\",\"emote\":\"a\"}", NOW), "");
	assert_string_equal(judge(r, "2", TICKET_MOD, 0, 0, SAY, NOW), "");
	apply(r, NOW + 5, "{\"type\":\"modes\",\"followers\":-1,\"subs\":true,\"unique\":true}");
	assert_string_equal(judge(r, "2", 0, 0, 0, SAY, NOW), "subs_only");
	assert_string_equal(judge(r, "2", 0, 1, 0, SAY, NOW), "");
	assert_string_equal(judge(r, "2", 0, 1, 0, "{\"type\":\"message\",\"text\":\"m2\"}", NOW), "unique_only");
	room_free(&r);
}

/* What is composed is applied: text with everything that needs escapes comes through whole. */
static void
composing(void **state)
{
	struct ticket t = { .user = "4\"2", .name = "\\Zo\xc3\xab", .role = TICKET_MOD, .badges = { "a\"", "b" },
		.badge_count = 2, .tier = 3, .exp_s = NOW };
	struct chat_id floor = { 1, 0 };
	static char body[ROOM_BODY_MAX];
	struct chat_ask a = { .kind = CHAT_MESSAGE, .ref = "r\"" };
	struct room *r;
	int i, n;

	(void)state;
	for (i = 0; i < CHAT_TEXT_MAX; i++)
		memcpy(a.text + i * 4, "\xf0\x9f\x98\x80", 5);
	assert_int_equal(room_new(&r, "alice", floor), 0);
	assert_true((n = room_body(r, body, &a, &t, NOW)) > 2000);
	assert_int_equal(room_apply(r, room_next_id(r, NOW), body, (size_t)n), 0);
	assert_int_equal(room_last(r).ms, NOW);
	a.kind = CHAT_PIN;
	a.id = room_last(r);
	a.has_id = true;
	assert_true((n = room_body(r, body, &a, &t, NOW)) > 2000);
	assert_int_equal(room_apply(r, room_next_id(r, NOW - 5), body, (size_t)n), 0);
	assert_true(room_last(r).ms == NOW && room_last(r).seq == 1);
	room_free(&r);
}

static void
blocked_words(void **state)
{
	static const char list[] = "# words\nbad\nWorse*\n\n@bob only here\n@alice \xd0\x9f\xd0\xbb\xd0\xbe\xd1\x85\r\nc++\n*spam*\n*word\n";
	static const struct {
		const char *room, *text;
		bool in;
	} table[] = {
		{ "x", "a bad thing", true },
		{ "x", "BAD!", true },
		{ "x", "badge, tubad", false },
		{ "x", "b\xcc\x81" "a\xe2\x80\x8b" "d", true }, /* an accent, and nothing to be seen */
		{ "x", "worsening", true },
		{ "x", "it is not so", false },
		{ "x", "ONLY here", false },
		{ "bob", "ONLY here", true },
		{ "alice", "\xd0\xbf\xd0\x9b\xd0\x9e\xd0\xa5", true },
		{ "x", "my C++ code", true },
		{ "x", "", false },
		{ "x", "seespamhere", true },
		{ "x", "the endword", true },
		{ "x", "endwording", false },
	};
	static const char *const faulty[] = { "*", "**", "@", "@bob", "@ x", "a\n\xff\n" };
	struct words *w;
	int line;
	size_t i;

	(void)state;
	assert_int_equal(words_new(&w, list, sizeof(list) - 1, &line), 0);
	for (i = 0; i < COUNT(table); i++)
		if (words_in(w, table[i].room, table[i].text) != table[i].in)
			fail_msg("%s in %s", table[i].text, table[i].room);
	words_free(&w);
	assert_false(words_in(NULL, "x", "bad"));
	for (i = 0; i < COUNT(faulty); i++)
		assert_int_equal(words_new(&w, faulty[i], strlen(faulty[i]), &line), -EBADMSG);
	assert_int_equal(line, 2);
}

static const char held_text[] = "{\"type\":\"held\",\"user\":\"1\",\"name\":\"One\",\"text\":\"h\",\"why\":\"link\",\"ref\":\"r\"}";

/* Held messages: for moderators until one decides, or nobody does. */
static void
holding(void **state)
{
	struct ticket mod = { .user = "9", .role = TICKET_MOD, .exp_s = NOW };
	struct room *r = room_of(2);
	struct chat_ask a = { .kind = CHAT_APPROVE, .has_id = true, .id = { NOW, 0 } };
	static char body[ROOM_BODY_MAX];
	struct room_verdict v;
	struct room_held h;
	uint64_t at = 0;
	int n;

	(void)state;
	apply(r, NOW, held_text);
	expect_text(r, 0, 0, "m0 m1");
	moderator = true;
	expect_text(r, 0, 0, "m0 m1 h");
	expect_text(r, 0, room_head(r), "m0 m1"); /* a newcomer is shown it apart */
	assert_true(room_held(r, &at, NOW + 1, &h) && h.id.ms == NOW && !strcmp(h.user, "1"));
	assert_false(room_held(r, &at, NOW + 1, &h));
	assert_string_equal(room_author(r, a.id), "1");
	assert_string_equal(judge(r, "1", 0, 0, 0, "{\"type\":\"approve\",\"id\":\"1764000000000-0\"}", NOW), "no_permission");
	assert_string_equal(judge(r, "9", TICKET_MOD, 0, 0, "{\"type\":\"approve\",\"id\":\"1000-0\"}", NOW), "message_unknown");
	assert_string_equal(judge(r, "9", TICKET_MOD, 0, 0, "{\"type\":\"pin\",\"id\":\"1764000000000-0\"}", NOW), "message_unknown");
	assert_null(room_judge(r, &mod, &a, NOW + 1, &v));
	assert_true((n = room_body(r, body, &a, &mod, NOW + 1)) > 0);
	assert_int_equal(room_apply(r, room_next_id(r, NOW + 1), body, (size_t)n), 0);
	moderator = false;
	expect_text(r, 0, 0, "m0 m1 h");
	assert_non_null(strstr(body, "\"held\":\"1764000000000-0\""));
	assert_non_null(strstr(body, "\"user\":\"1\""));
	assert_null(strstr(body, "why"));
	assert_string_equal(room_judge(r, &mod, &a, NOW + 2, &v), "message_unknown"); /* once */
	assert_string_equal(judge(r, "1", 0, 0, 0, "{\"type\":\"message\",\"text\":\"x\",\"ref\":\"r\"}", NOW), "duplicate");
	/* denied */
	apply(r, NOW + 10, held_text);
	apply(r, NOW + 11, "{\"type\":\"deny\",\"target\":\"1764000000010-0\",\"user\":\"1\"}");
	assert_true(room_denied(r, &h) && h.id.ms == NOW + 10);
	apply(r, NOW + 12, "{\"type\":\"deny\",\"target\":\"1000-0\"}"); /* not held: stays */
	assert_false(room_denied(r, &h));
	expect_text(r, 0, 0, "m0 m1 h");
	/* nobody looked, and the person is gone */
	apply(r, NOW + 20, held_text);
	assert_false(room_held_over(r, NOW + 20 + ROOM_HELD_MS - 1, &h));
	assert_true(room_held_over(r, NOW + 20 + ROOM_HELD_MS, &h) && h.id.ms == NOW + 20);
	assert_false(room_held_over(r, NOW + 20 + ROOM_HELD_MS, &h));
	for (n = 0; n < ROOM_HELD_OF_ONE; n++) {
		assert_true(room_can_hold(r, "1", NOW + 30));
		apply(r, NOW + 30 + (uint64_t)n, held_text);
	}
	assert_false(room_can_hold(r, "1", NOW + 40));
	assert_true(room_can_hold(r, "2", NOW + 40));
	apply(r, NOW + 50, "{\"type\":\"ban\",\"user\":\"1\",\"role\":\"mod\"}");
	assert_true(room_can_hold(r, "1", NOW + 50));
	at = 0;
	assert_false(room_held(r, &at, NOW + 50, &h));
	room_free(&r);
}

static void
links(void **state)
{
	static const char *const yes[] = { "http://x", "see HTTPS://a.b/c", "www.x", "go to example.com", "example.com.", "(twitch.tv)",
		"a.b.co/x", "youtu.be/abc", "ex\xe2\x80\x8b" "ample.com", "\xef\xbd\x85xample\xe3\x80\x82" "com", "m\xc3\xbcller.de!",
		"irc://host", "node.js/x", "1.2.com" };
	static const char *const no[] = { "", "hello", "node.js is fine", "e.g. this", "end.Begin", "3.14", "1.2.3/4", "...", "a/b", ".com",
		"com", "http:/x", "ok: //", "so.what", "v1.co2", "a..b" };
	static const struct { const char *links; int tier; const char *notice, *hold; } table[] = {
		{ "all", 0, "", NULL }, { "subs", 0, "links_refused", NULL }, { "subs", 1, "", NULL },
		{ "mods", 1, "links_refused", NULL }, { "hold", 1, "", "link" } };
	struct ticket t = { .user = "1", .exp_s = NOW };
	struct room *r = room_of(1);
	struct room_verdict v;
	struct chat_ask a;
	const char *notice;
	char body[100];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(yes); i++)
		if (!text_link(yes[i], strlen(yes[i])))
			fail_msg("no link: %s", yes[i]);
	for (i = 0; i < COUNT(no); i++)
		if (text_link(no[i], strlen(no[i])))
			fail_msg("a link: %s", no[i]);
	for (i = 0; i < COUNT(table); i++) {
		snprintf(body, sizeof(body), "{\"type\":\"modes\",\"followers\":-1,\"links\":\"%s\"}", table[i].links);
		apply(r, 2000 + i, body);
		t.tier = table[i].tier;
		assert_int_equal(chat_read(&a, "{\"type\":\"message\",\"text\":\"see x.com\"}", 37, &notice), 0);
		notice = room_judge(r, &t, &a, NOW, &v);
		assert_string_equal(notice ? notice : "", table[i].notice);
		assert_string_equal(v.hold ? v.hold : "", table[i].hold ? table[i].hold : "");
		assert_string_equal(judge(r, "9", TICKET_MOD, 0, 0, "{\"type\":\"message\",\"text\":\"see x.com\"}", NOW), "");
	}
	room_free(&r);
}

static void
emote_ranges(void **state)
{
	static const char list[] = "# ours\nKappa /player/emotes/kappa.webp\r\n@bob Kappa /b.png\n@bob Only\n\nlul\n";
	static const char *const faulty[] = { "<b>", "Kappa kappa.png", "Kappa //evil/x", "@bob", "@ x", "a b c", "Kappa /x\"", "a\nKappa /a b" };
	struct chat_spot spots[CHAT_SPOTS_MAX], one;
	char many[200] = "";
	struct emotes *e;
	size_t i;
	int line;

	(void)state;
	assert_int_equal(emotes_new(&e, list, sizeof(list) - 1, &line), 0);
	assert_int_equal(emotes_mark(e, "x", "h\xc3\xa9 \xf0\x9f\x98\x80 Kappa kappa Only xlul lul", spots), 2);
	assert_string_equal(spots[0].name, "Kappa");
	assert_string_equal(spots[0].url, "/player/emotes/kappa.webp");
	assert_true(spots[0].from == 5 && spots[0].to == 10);
	assert_true(spots[1].from == 27 && spots[1].to == 30 && !spots[1].url);
	assert_int_equal(emotes_mark(e, "bob", "Only Kappa", spots), 2);
	assert_string_equal(spots[1].url, "/b.png");
	for (i = 0; i < CHAT_SPOTS_MAX + 5; i++)
		memcpy(many + i * 4, "lul ", 4);
	assert_int_equal(emotes_mark(e, "x", many, spots), CHAT_SPOTS_MAX);
	assert_true(emotes_find(e, "bob", "Only", &one) && !emotes_find(e, "x", "Only", &one));
	assert_true(emotes_find(NULL, "x", "any", &one) && emotes_mark(NULL, "x", "lul", spots) == 0);
	emotes_free(&e);
	for (i = 0; i < COUNT(faulty); i++)
		if (emotes_new(&e, faulty[i], strlen(faulty[i]), &line) != -EBADMSG)
			fail_msg("taken: %s", faulty[i]);
	assert_int_equal(line, 2);
}

static void
redis_urls(void **state)
{
	static const struct {
		const char *url, *host, *path;
		int port, number;
	} table[] = {
		{ "redis://h", "h", NULL, 6379, 0 },
		{ "redis://h:1/5", "h", NULL, 1, 5 },
		{ "redis://h/", "h", NULL, 6379, 0 },
		{ "redis://[::1]", "::1", NULL, 6379, 0 },
		{ "redis://[::1]:65535/1023", "::1", NULL, 65535, 1023 },
		{ "unix:/run/r", NULL, "/run/r", 6379, 0 },
		{ "unix:///run/r", NULL, "/run/r", 6379, 0 },
	};
	static const char *const faulty[] = { "", "h", "redis://", "redis://:1", "redis://h:", "redis://h:0", "redis://h:65536",
		"redis://h:1x", "redis://h/x", "redis://h/-1", "redis://h/1024", "redis://[::1]x", "redis://[]", "unix:", "unix:r",
		"http://h" };
	struct redis_url u;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		if (redis_url_read(&u, table[i].url, &why))
			fail_msg("%s: %s", table[i].url, why);
		assert_true(!u.host == !table[i].host && (!u.host || !strcmp(u.host, table[i].host)));
		assert_true(!u.path == !table[i].path && (!u.path || !strcmp(u.path, table[i].path)));
		assert_true(u.port == table[i].port && u.number == table[i].number);
		redis_url_free(&u);
	}
	for (i = 0; i < COUNT(faulty); i++)
		if (redis_url_read(&u, faulty[i], &why) != -EINVAL || !why)
			fail_msg("taken: %s", faulty[i]);
	assert_int_equal(redis_url_read(&u, "redis://:secret@h", &why), -EACCES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_said),
		cmocka_unit_test(ids),
		cmocka_unit_test(rates),
		cmocka_unit_test(tables),
		cmocka_unit_test(reading),
		cmocka_unit_test(moderating),
		cmocka_unit_test(looking_back),
		cmocka_unit_test(pinning),
		cmocka_unit_test(forgetting),
		cmocka_unit_test(judging),
		cmocka_unit_test(composing),
		cmocka_unit_test(blocked_words),
		cmocka_unit_test(holding),
		cmocka_unit_test(links),
		cmocka_unit_test(emote_ranges),
		cmocka_unit_test(redis_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
