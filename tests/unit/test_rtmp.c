#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "amf.h"
#include "bytes.h"
#include "chunk.h"
#include "rtmp.h"

static struct buf in;

static int
setup(void **state)
{
	(void)state;
	buf_free(&in);
	return 0;
}

static void
put_hex(const char *hex)
{
	unsigned byte;

	for (; *hex; hex += 2 + (hex[2] == ' ')) {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		buf_u8(&in, byte);
	}
}

/* What the reader makes of in, fed n bytes at a time: "type@time:size/first byte ..." */
static void
chunks(size_t n, char *text, size_t cap, int *error)
{
	struct chunk_reader c;
	struct chunk_message m;
	size_t at = 0;
	int r = 0;

	chunk_init(&c, 1000);
	*text = '\0';
	while (r >= 0 && at < buf_len(&in)) {
		size_t some = n < buf_len(&in) - at ? n : buf_len(&in) - at;

		chunk_feed(&c, buf_data(&in) + at, some);
		at += some;
		while ((r = chunk_next(&c, &m)) > 0)
			snprintf(text + strlen(text), cap - strlen(text), "%u@%u:%zu/%02x ", m.type, m.timestamp,
				m.size, m.size ? m.body[m.size - 1] : 0);
	}
	*error = r;
	chunk_free(&c);
}

static const struct {
	const char *name, *hex, *want;
	int error;
} table[] = {
	{ "fmt 0", "03 000010 000002 08 01000000 aabb", "8@16:2/bb ", 0 },
	{ "two-byte and three-byte chunk streams", "00 05 000010 000001 08 01000000 aa"
		"01 0501 000020 000001 09 01000000 bb", "8@16:1/aa 9@32:1/bb ", 0 },
	{ "deltas", "03 000010 000001 08 01000000 aa 43 000005 000001 08 bb 83 000007 cc c3 dd",
		"8@16:1/aa 8@21:1/bb 8@28:1/cc 8@35:1/dd ", 0 },
	{ "fmt 3 after fmt 0 keeps the time", "03 000010 000001 08 01000000 aa c3 bb",
		"8@16:1/aa 8@16:1/bb ", 0 },
	{ "interleaved", "03 000010 000082 08 01000000 "
		"00000000000000000000000000000000 00000000000000000000000000000000"
		"00000000000000000000000000000000 00000000000000000000000000000000"
		"00000000000000000000000000000000 00000000000000000000000000000000"
		"00000000000000000000000000000000 00000000000000000000000000000000"
		"04 000011 000001 09 01000000 ee c3 aabb", "9@17:1/ee 8@16:130/bb ", 0 },
	{ "an extended time, repeated by fmt 3", "03 ffffff 000001 08 01000000 01000000 aa c3 01000000 bb",
		"8@16777216:1/aa 8@16777216:1/bb ", 0 },
	{ "set chunk size", "02 000000 000004 01 00000000 00000100 03 000000 000001 08 01000000 aa",
		"8@0:1/aa ", 0 },
	{ "a chunk size of one", "02 000000 000004 01 00000000 00000001", "", -EBADMSG },
	{ "fmt 3 first", "c3 00", "", -EBADMSG },
	{ "fmt 1 first", "43 000005 000001 08 bb", "", -EBADMSG },
	{ "a message over the limit", "03 000000 ffffff 08 01000000", "", -EMSGSIZE },
	{ "an empty message", "03 000010 000000 08 01000000 03 000011 000001 08 01000000 aa",
		"8@16:0/00 8@17:1/aa ", 0 },
};

static void
reads_chunks_in_any_pieces(void **state)
{
	char whole[256], bytes[256];
	size_t i;
	int e1, e2;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char hex[1024], *to = hex;
		const char *p;

		for (p = table[i].hex; *p; p++)
			if (*p != ' ')
				*to++ = *p;
		*to = '\0';
		buf_clear(&in);
		put_hex(hex);
		chunks(buf_len(&in), whole, sizeof(whole), &e1);
		chunks(1, bytes, sizeof(bytes), &e2);
		if (strcmp(whole, table[i].want) || strcmp(bytes, table[i].want) || e1 != table[i].error ||
			e2 != table[i].error)
			fail_msg("%s: \"%s\" (%d), by bytes \"%s\" (%d)", table[i].name, whole, e1, bytes, e2);
	}
}

/* OBS of old: the four bytes that fmt 3 should repeat are missing. */
static void
takes_payload_for_payload_where_the_extended_time_is_missing(void **state)
{
	char text[256];
	int e;

	(void)state;
	put_hex("03ffffff0000840801000000" "01000000");
	for (int i = 0; i < 128; i++)
		buf_u8(&in, 0x11);
	put_hex("c3aabbccdd");
	chunks(7, text, sizeof(text), &e);
	assert_string_equal(text, "8@16777216:132/dd ");
}

static void
put_shake(void)
{
	uint8_t zeros[1536] = { 0 };

	buf_u8(&in, 3);
	buf_append(&in, zeros, sizeof(zeros));
	buf_append(&in, zeros, sizeof(zeros));
	put_hex("02000000000004010000000000010000"); /* chunks of 64 KB from here on */
}

static void
put_command(const char *name, double txn, const char *app, const char *key)
{
	struct buf b = { 0 };

	amf_put_string(&b, name);
	amf_put_number(&b, txn);
	if (app) {
		amf_put_object(&b);
		amf_put_key(&b, "capabilities");
		amf_put_object(&b);
		amf_put_end(&b);
		amf_put_key(&b, "app");
		amf_put_string(&b, app);
		amf_put_key(&b, "tcUrl");
		amf_put_string(&b, "rtmp://h/live?a=1");
		amf_put_end(&b);
	} else {
		amf_put_null(&b);
	}
	if (key)
		amf_put_string(&b, key);
	chunk_put(&in, 3, 20, key != NULL, buf_data(&b), buf_len(&b));
	buf_free(&b);
}

static void
put_publish(const char *app, const char *key)
{
	put_shake();
	put_command("connect", 1, app, NULL);
	put_command("releaseStream", 2, NULL, key);
	put_command("createStream", 4, NULL, NULL);
	put_command("publish", 5, NULL, key);
}

static bool
said(struct rtmp *r, const char *text)
{
	return memmem(buf_data(rtmp_out(r)), buf_len(rtmp_out(r)), text, strlen(text)) != NULL;
}

static void
hears_a_publisher_out(void **state)
{
	static const uint8_t sound[] = { 0xaf, 1, 7 }, picture[] = { 0x17, 1, 0, 0, 0 };
	struct rtmp_event e;
	struct rtmp *r;
	struct buf meta = { 0 };
	size_t n, at, step;

	(void)state;
	put_publish("live/_definst_/", "secret?token=x");
	n = buf_len(&in);
	chunk_put(&in, 4, 8, 1, sound, sizeof(sound));
	chunk_put(&in, 6, 9, 1, picture, sizeof(picture));
	amf_put_string(&meta, "@setDataFrame");
	amf_put_string(&meta, "onMetaData");
	amf_put_ecma_array(&meta, 0);
	amf_put_end(&meta);
	chunk_put(&in, 4, 18, 1, buf_data(&meta), buf_len(&meta));
	buf_cut(&meta, 3 + strlen("@setDataFrame"));
	amf_put_string(&meta, "onLvMark"); /* which nobody but ourselves may say */
	amf_put_string(&meta, "{\"mark\":\"end\"}");
	chunk_put(&in, 4, 18, 1, buf_data(&meta), buf_len(&meta));
	buf_free(&meta);
	put_command("FCUnpublish", 6, NULL, "secret");
	for (step = 1; step <= 4096; step = step == 1 ? 4096 : step + 1) {
		assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
		for (at = 0; at < n; at += step) {
			rtmp_feed(r, buf_data(&in) + at, step < n - at ? step : n - at);
			if (rtmp_next(r, &e) > 0)
				break;
		}
		assert_int_equal(e.kind, RTMP_PUBLISH);
		assert_string_equal(e.app, "live");
		assert_string_equal(e.key, "secret");
		assert_string_equal(e.query, "a=1&token=x");
		assert_string_equal(e.tcurl, "rtmp://h/live");
		assert_false(e.too_long);
		assert_true(said(r, "NetConnection.Connect.Success"));
		assert_false(said(r, "NetStream.Publish.Start"));
		rtmp_allow(r);
		assert_true(said(r, "NetStream.Publish.Start"));
		assert_int_equal(rtmp_next(r, &e), 0);
		rtmp_feed(r, buf_data(&in) + n, buf_len(&in) - n);
		assert_int_equal(rtmp_next(r, &e), 1);
		assert_int_equal(e.type, 8);
		assert_int_equal(e.size, sizeof(sound));
		assert_int_equal(rtmp_next(r, &e), 1);
		assert_int_equal(e.type, 9);
		assert_int_equal(rtmp_next(r, &e), 1);
		assert_int_equal(e.type, 18);
		assert_memory_equal(e.body, "\2\0\12onMetaData", 13);
		assert_int_equal(rtmp_next(r, &e), 1);
		assert_int_equal(e.kind, RTMP_UNPUBLISH);
		assert_true(said(r, "NetStream.Unpublish.Success"));
		rtmp_free(&r);
	}
}

static void
refuses_before_publish_start(void **state)
{
	struct rtmp_event e;
	struct rtmp *r;

	(void)state;
	put_publish("live", "bad");
	assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
	rtmp_feed(r, buf_data(&in), buf_len(&in));
	assert_int_equal(rtmp_next(r, &e), 1);
	rtmp_refuse(r, RTMP_DENIED, "unknown key");
	assert_true(said(r, "NetStream.Publish.Denied"));
	assert_true(said(r, "unknown key"));
	assert_false(said(r, "NetStream.Publish.Start"));
	rtmp_free(&r);
}

static void
a_name_too_long_is_nobodys(void **state)
{
	char key[400];
	struct rtmp_event e;
	struct rtmp *r;

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	put_publish("live", key);
	assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
	rtmp_feed(r, buf_data(&in), buf_len(&in));
	assert_int_equal(rtmp_next(r, &e), 1);
	assert_true(e.too_long);
	assert_string_equal(e.key, "");
	rtmp_free(&r);
}

static void
splits_aggregates(void **state)
{
	struct rtmp_event e;
	struct rtmp *r;
	size_t n;

	(void)state;
	put_publish("live", "k");
	n = buf_len(&in);
	/* Two tags of 1 and 2 bytes, 40 ms apart, in a message at 1000 ms (0x3e8). */
	put_hex("040003e8000021160100000008000001000064" "00000000aa0000000c");
	put_hex("0900000200008c00000000bbcc0000000d");
	assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
	rtmp_feed(r, buf_data(&in), n);
	assert_int_equal(rtmp_next(r, &e), 1);
	rtmp_allow(r);
	assert_int_equal(rtmp_next(r, &e), 0);
	rtmp_feed(r, buf_data(&in) + n, buf_len(&in) - n);
	assert_int_equal(rtmp_next(r, &e), 1);
	assert_int_equal(e.timestamp, 1000);
	assert_int_equal(e.type, 8);
	assert_int_equal(rtmp_next(r, &e), 1);
	assert_int_equal(e.timestamp, 1040);
	assert_int_equal(e.size, 2);
	assert_int_equal(rtmp_next(r, &e), 0);
	rtmp_free(&r);
}

/* What an empty message costs its sender: a byte. */
static void
put_empty(int n)
{
	put_hex("07000000000000" "6301000000");
	while (--n)
		buf_u8(&in, 0xc7);
}

static void
hears_only_so_much_before_something_is_published(void **state)
{
	struct rtmp_event e;
	struct rtmp *r;
	size_t n;

	(void)state;
	put_publish("live", "k");
	n = buf_len(&in);
	put_empty(2 * RTMP_EARLY);
	assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
	rtmp_feed(r, buf_data(&in), n);
	assert_int_equal(rtmp_next(r, &e), 1);
	rtmp_allow(r);
	assert_int_equal(rtmp_next(r, &e), 0);
	rtmp_feed(r, buf_data(&in) + n, buf_len(&in) - n); /* who publishes may */
	assert_int_equal(rtmp_next(r, &e), 0);
	rtmp_free(&r);
	buf_clear(&in);
	put_shake();
	put_empty(RTMP_EARLY);
	assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
	rtmp_feed(r, buf_data(&in), buf_len(&in));
	assert_int_equal(rtmp_next(r, &e), 0);
	rtmp_feed(r, "\xc7", 1);
	assert_int_equal(rtmp_next(r, &e), -EPROTO);
	assert_string_equal(rtmp_why(r), "too much said before anything is published");
	rtmp_free(&r);
}

static void
knows_what_is_not_rtmp(void **state)
{
	static const struct {
		const char *bytes, *why;
	} wrong[] = { { "GET / HTTP/1.1\r\n", "HTTP on an RTMP port" },
		{ "\x16\x03\x01", "TLS on a plain RTMP port" }, { "\x7f", "not RTMP" } };
	struct rtmp_event e;
	struct rtmp *r;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(rtmp_new(&r, 1 << 20, ""), 0);
		rtmp_feed(r, wrong[i].bytes, strlen(wrong[i].bytes));
		assert_int_equal(rtmp_next(r, &e), -EPROTO);
		assert_string_equal(rtmp_why(r), wrong[i].why);
		rtmp_free(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_chunks_in_any_pieces, setup),
		cmocka_unit_test_setup(takes_payload_for_payload_where_the_extended_time_is_missing, setup),
		cmocka_unit_test_setup(hears_a_publisher_out, setup),
		cmocka_unit_test_setup(refuses_before_publish_start, setup),
		cmocka_unit_test_setup(a_name_too_long_is_nobodys, setup),
		cmocka_unit_test_setup(splits_aggregates, setup),
		cmocka_unit_test_setup(hears_only_so_much_before_something_is_published, setup),
		cmocka_unit_test_setup(knows_what_is_not_rtmp, setup),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&in);
	return r;
}
