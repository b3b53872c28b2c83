#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mark.h"
#include "spool.h"
#include "taglog.h"
#include "tracks.h"

static struct buf in;

static int
setup(void **state)
{
	(void)state;
	buf_free(&in);
	return 0;
}

static void
put_video(int64_t dts, uint8_t track, bool key, size_t size)
{
	uint8_t *data = malloc(size);
	struct flv_packet p = { .type = FLV_VIDEO, .track = track, .kind = FLV_FRAME, .key = key,
		.codec = FLV_AVC, .data = data, .size = size };

	memset(data, (int)dts, size);
	flv_put_packet(&in, dts, &p);
	free(data);
}

static void
put_audio(int64_t dts)
{
	struct flv_packet p = { .type = FLV_AUDIO, .kind = FLV_FRAME, .codec = FLV_AAC,
		.data = (const uint8_t *)"sound", .size = 5 };

	flv_put_packet(&in, dts, &p);
}

static void
put_mark(int64_t dts, enum mark_kind kind)
{
	struct mark m = { .kind = kind, .stream = "alice", .wall_ms = kind == MARK_TICK ? 1 : 0 };

	mark_put(&in, dts, &m);
}

static void
put_heads(int64_t dts, uint8_t track, const char *text)
{
	struct flv_packet p = { .type = FLV_VIDEO, .track = track, .kind = FLV_HEADER, .codec = FLV_AVC,
		.data = (const uint8_t *)text, .size = strlen(text) };

	flv_put_packet(&in, dts, &p);
}

static void
put_metadata(void)
{
	static const struct tracks t = {
		.track = { { .type = FLV_VIDEO, .codec = FLV_AVC, .width = 64, .height = 64 } }, .count = 1,
	};

	tracks_put(&in, 0, &t);
}

/* All of in, and what the log then says. */
static int
feed(struct taglog *t, size_t chunk, int64_t now)
{
	struct flv_tag tag;
	size_t left = buf_len(&in), room, n;
	uint8_t *p;
	int r = 0;

	while (left) {
		p = taglog_room(t, &room);
		assert_non_null(p);
		n = chunk < room ? chunk : room;
		n = n < left ? n : left;
		memcpy(p, buf_data(&in), n);
		buf_consume(&in, n);
		left -= n;
		taglog_filled(t, n);
		while ((r = taglog_next(t, &tag, now)) > 0)
			;
		if (r < 0)
			break;
	}
	buf_clear(&in);
	return r;
}

static void
drain(struct cursor *c, size_t most, struct buf *out)
{
	const uint8_t *p;
	size_t n;

	while ((n = cursor_peek(c, &p)) > 0) {
		n = n < most ? n : most;
		buf_append(out, p, n);
		cursor_took(c, n);
	}
}

/* The tags of out as text: v0k1000 a0 s(onLvMark) h1 ... */
static char *
describe(struct buf *out)
{
	static char text[4096];
	struct flv_reader *r;
	struct flv_tag tag;
	struct mark m;
	size_t n = 0;
	int e;

	text[0] = '\0';
	assert_int_equal(flv_reader_new(&r, 0), 0);
	assert_int_equal(flv_reader_feed(r, buf_data(out), buf_len(out)), 0);
	while ((e = flv_reader_next(r, &tag)) > 0) {
		struct flv_walk walk;
		struct flv_packet p;

		if (tag.type == FLV_SCRIPT) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%lld ", mark_parse(&tag, &m) == 0
					? "meta" : m.kind == MARK_SESSION ? "session" : m.kind == MARK_TICK
					? "tick" : m.kind == MARK_GAP ? "gap" : "end", (long long)tag.dts);
			continue;
		}
		flv_walk_begin(&walk, &tag);
		while (flv_walk_next(&walk, &p) > 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%d%s%lld ",
				p.type == FLV_AUDIO ? 'a' : 'v', p.track, p.kind == FLV_HEADER ? "h"
					: p.key ? "k" : "", (long long)tag.dts);
	}
	assert_int_equal(e, 0);
	assert_int_equal(flv_reader_pending(r), 0);
	flv_reader_free(&r);
	buf_free(out);
	return text;
}

static void
every_chunking_comes_out_as_it_went_in(void **state)
{
	static const size_t chunks[] = { 1, 7, 11, 4096, 1 << 20 }, takes[] = { 1, 13, 1 << 20 };
	struct cursor c = { 0 };
	struct taglog *t;
	size_t i, j, k;

	(void)state;
	for (i = 0; i < sizeof(chunks) / sizeof(*chunks); i++)
		for (j = 0; j < sizeof(takes) / sizeof(*takes); j++) {
			struct buf whole = { 0 }, out = { 0 };

			flv_put_header(&in);
			put_metadata();
			put_mark(0, MARK_SESSION);
			for (k = 0; k < 30; k++) {
				put_video((int64_t)k * 40, 0, k % 10 == 0, 100 + k * 50);
				put_audio((int64_t)k * 40);
			}
			buf_append(&whole, buf_data(&in), buf_len(&in));
			assert_int_equal(taglog_new(&t, 0), 0);
			assert_int_equal(cursor_attach(&c, t), 0);
			assert_int_equal(feed(t, chunks[i], 0), 0);
			drain(&c, takes[j], &out);
			assert_int_equal(buf_len(&out), buf_len(&whole));
			assert_memory_equal(buf_data(&out), buf_data(&whole), buf_len(&whole));
			taglog_trim(t);
			assert_int_equal(taglog_held(t), 0);
			taglog_free(&t);
			buf_free(&out);
			buf_free(&whole);
		}
}

static void
a_tag_larger_than_a_block_comes_whole(void **state)
{
	struct cursor c = { 0 };
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_video(0, 0, true, 3 << 20);
	put_video(40, 0, false, 10);
	assert_int_equal(taglog_new(&t, 0), 0);
	assert_int_equal(cursor_attach(&c, t), 0);
	assert_int_equal(feed(t, 65536, 0), 0);
	drain(&c, 1 << 20, &out);
	assert_true(buf_len(&out) > 3 << 20);
	assert_string_equal(describe(&out), "v0k0 v040 ");
	taglog_free(&t);
}

static void
damage_is_told(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int error;
	} cases[] = {
		{ "GIF89a", 6, -EBADMSG },
		{ "FLV\2", 4, -EBADMSG },
		{ "FLV\1\5\0\0\0\3", 9, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\51\0\0\1\0\0\0\0\0\0\0x\0\0\0\14", 29, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\10\0\0\1\0\0\0\0\0\0\0x\0\0\0\15", 29, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\10\377\377\377\0\0\0\0\0\0\0", 24, -EMSGSIZE },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\10\0\0\1\0\0", 19, 0 },
	};
	struct taglog *t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct flv_tag tag;

		assert_int_equal(taglog_new(&t, 1000), 0);
		buf_append(&in, cases[i].bytes, cases[i].n);
		assert_int_equal(feed(t, 1, 0), cases[i].error);
		if (cases[i].error)
			assert_int_equal(taglog_next(t, &tag, 0), cases[i].error);
		else
			assert_int_equal(taglog_pending(t), 6);
		taglog_free(&t);
	}
}

static void
a_late_reader_begins_with_headers_and_the_last_group(void **state)
{
	struct cursor c = { 0 };
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_mark(0, MARK_SESSION);
	put_metadata();
	put_heads(0, 0, "one");
	put_video(0, 0, true, 10);
	put_video(40, 0, false, 10);
	put_audio(41);
	put_heads(80, 0, "two");
	put_video(80, 0, true, 10);
	put_video(120, 0, false, 10);
	put_heads(130, 0, "three"); /* of the group to come */
	assert_int_equal(taglog_new(&t, 1 << 20), 0);
	assert_int_equal(feed(t, 100, 0), 0);
	taglog_trim(t);
	assert_int_equal(cursor_attach(&c, t), 0);
	drain(&c, 1 << 20, &out);
	assert_memory_equal(buf_data(&out) + buf_len(&out) - 9, "three", 5);
	assert_string_equal(describe(&out), "session80 meta80 v0h80 v0k80 v0120 v0h130 ");
	taglog_free(&t);
}

static void
a_reader_later_than_a_group_too_big_waits_for_the_next(void **state)
{
	struct cursor c = { 0 };
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_heads(0, 0, "one");
	put_video(0, 0, true, 600);
	put_video(40, 0, false, 600);
	assert_int_equal(taglog_new(&t, 1000), 0);
	assert_int_equal(feed(t, 100, 0), 0);
	taglog_trim(t);
	assert_int_equal(taglog_held(t), 0);
	assert_int_equal(cursor_attach(&c, t), 0);
	put_video(80, 0, false, 10);
	put_video(120, 0, true, 10);
	put_audio(121);
	assert_int_equal(feed(t, 100, 0), 0);
	drain(&c, 1 << 20, &out);
	assert_string_equal(describe(&out), "v0h40 v0k120 a0121 ");
	assert_false(cursor_dropped(&c, true, &(struct cursor_drop){ 0 })); /* it had not come yet */
	taglog_free(&t);
}

static void
shedding_goes_to_a_key_frame_and_keeps_the_marks(void **state)
{
	struct cursor c = { 0 };
	struct cursor_drop d;
	struct buf out = { 0 };
	struct taglog *t;
	const uint8_t *p;

	(void)state;
	flv_put_header(&in);
	put_heads(0, 0, "one");
	put_video(0, 0, true, 10);
	put_video(40, 0, false, 10);
	assert_int_equal(taglog_new(&t, 1 << 20), 0);
	assert_int_equal(cursor_attach(&c, t), 0);
	assert_int_equal(feed(t, 100, 1000), 0);
	while (c.at < 1) { /* the FLV header, the first tag and a piece of the second */
		size_t n = cursor_peek(&c, &p);

		buf_append(&out, p, n < 30 ? n : 30);
		cursor_took(&c, n < 30 ? n : 30);
	}
	assert_true(c.off > 0);
	assert_int_equal(cursor_lag(&c, 1500), 500);
	put_mark(50, MARK_TICK);
	put_video(80, 0, false, 10);
	put_audio(81);
	put_mark(100, MARK_GAP);
	assert_int_equal(feed(t, 100, 1100), 0);
	cursor_shed(&c);
	taglog_trim(t);
	put_heads(120, 0, "two");
	put_video(120, 0, false, 10);
	assert_int_equal(feed(t, 100, 1200), 0);
	taglog_trim(t);
	put_video(160, 0, true, 10);
	put_audio(161);
	assert_int_equal(feed(t, 100, 1300), 0);
	assert_false(cursor_dropped(&c, false, &d)); /* not while what was kept is not taken */
	drain(&c, 7, &out);
	assert_string_equal(describe(&out), "v0h0 v0k0 gap100 v0h160 v0k160 a0161 ");
	assert_true(cursor_dropped(&c, false, &d));
	assert_int_equal(d.frames, 4); /* 40, 80, the sound at 81, 120 */
	assert_int_equal(d.dur_ms, 80);
	assert_false(cursor_dropped(&c, true, &d));
	taglog_free(&t);
}

static void
shedding_takes_a_group_that_is_already_there(void **state)
{
	struct cursor c = { 0 };
	struct cursor_drop d;
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_video(0, 0, true, 10);
	put_video(40, 0, false, 10);
	put_video(80, 0, true, 10);
	put_video(120, 0, false, 10);
	assert_int_equal(taglog_new(&t, 1 << 20), 0);
	assert_int_equal(cursor_attach(&c, t), 0);
	assert_int_equal(feed(t, 100, 0), 0);
	cursor_shed(&c);
	drain(&c, 1 << 20, &out);
	assert_string_equal(describe(&out), "v0k80 v0120 ");
	assert_true(cursor_dropped(&c, false, &d));
	assert_int_equal(d.frames, 2);
	taglog_free(&t);
}

static void
each_track_goes_on_at_its_own_key_frame(void **state)
{
	struct cursor c = { 0 };
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_video(0, 0, true, 10);
	put_video(0, 1, true, 10);
	put_video(40, 1, true, 10); /* of the same picture as 0's, but earlier in the file */
	put_video(40, 0, true, 10);
	put_video(80, 2, false, 10);
	put_video(80, 1, false, 10);
	put_video(80, 0, false, 10);
	put_video(120, 2, true, 10);
	assert_int_equal(taglog_new(&t, 1 << 20), 0);
	assert_int_equal(feed(t, 100, 0), 0);
	taglog_trim(t);
	assert_int_equal(cursor_attach(&c, t), 0);
	drain(&c, 1 << 20, &out);
	assert_string_equal(describe(&out), "v1k40 v0k40 v180 v080 v2k120 ");
	taglog_free(&t);
}

static void
sound_alone_can_be_joined_anywhere(void **state)
{
	struct cursor c = { 0 };
	struct buf out = { 0 };
	struct taglog *t;

	(void)state;
	flv_put_header(&in);
	put_audio(0);
	put_audio(23);
	assert_int_equal(taglog_new(&t, 1 << 20), 0);
	assert_int_equal(feed(t, 100, 0), 0);
	taglog_trim(t);
	assert_int_equal(cursor_attach(&c, t), 0);
	put_audio(46);
	assert_int_equal(feed(t, 100, 0), 0);
	drain(&c, 1 << 20, &out);
	assert_string_equal(describe(&out), "a023 a046 ");
	taglog_free(&t);
}

static void
a_stuck_reader_costs_a_bounded_memory(void **state)
{
	struct cursor c = { 0 };
	struct taglog *t;
	int i;

	(void)state;
	flv_put_header(&in);
	assert_int_equal(taglog_new(&t, 100000), 0);
	assert_int_equal(cursor_attach(&c, t), 0);
	for (i = 0; i < 20000; i++) {
		put_video(i * 40, 0, i % 50 == 0, 1000);
		put_mark(i * 40, i % 2 ? MARK_GAP : MARK_TICK);
		assert_int_equal(feed(t, 1 << 20, i), 0);
		if (cursor_bytes(&c) > 200000 + CURSOR_FRONT)
			cursor_shed(&c);
		taglog_trim(t);
		assert_true(taglog_held(t) < 300000 + CURSOR_FRONT);
		assert_true(buf_len(&c.front) <= CURSOR_FRONT + 4096);
	}
	taglog_free(&t);
}

static struct store {
	struct spool spool;
	int writes, fails; /* fails: the first that does, 0: none */
} store;

static int
store_write(void *arg, uint64_t pos, const void *data, size_t n)
{
	struct store *s = arg;

	return ++s->writes == s->fails ? -ENOSPC : spool_write(&s->spool, pos, data, n);
}

/* Groups of thirty pictures with sound; a reader that keeps up, and a late one after each picture. */
static void
compare_with_store(int fails)
{
	struct cursor c[2] = { 0 }, late = { 0 };
	struct buf out[2] = { 0 };
	struct taglog *t[2];
	int i, k;

	store = (struct store){ .fails = fails };
	assert_int_equal(spool_open(&store.spool, AT_FDCWD), 0);
	for (k = 0; k < 2; k++) {
		assert_int_equal(taglog_new(&t[k], 1 << 20), 0);
		if (k)
			taglog_small(t[k], (struct taglog_store){ store_write, spool_read, spool_forget, &store });
		assert_int_equal(cursor_attach(&c[k], t[k]), 0);
	}
	for (i = 0; i < 200; i++) {
		put_mark(40 * i, MARK_TICK);
		put_video(40 * i, 0, i % 30 == 0, 1000 + (size_t)(i * 7919 % 5000));
		put_video(40 * i, 1, i % 30 == 1, 1000);
		put_audio(40 * i + 1);
		for (k = 0; k < 2; k++) {
			assert_int_equal(taglog_put(t[k], buf_data(&in), buf_len(&in), i), 0);
			drain(&c[k], 1 << 20, &out[k]);
			taglog_trim(t[k]);
			assert_int_equal(cursor_attach(&late, t[k]), 0);
			if (i % 7 == 0) /* one that is behind before it has what was kept */
				cursor_shed(&late);
			drain(&late, 3000, &out[k]);
			taglog_trim(t[k]);
			cursor_detach(&late);
		}
		buf_clear(&in);
		assert_int_equal(buf_len(&out[0]), buf_len(&out[1]));
		assert_memory_equal(buf_data(&out[0]), buf_data(&out[1]), buf_len(&out[0]));
		buf_clear(&out[0]);
		buf_clear(&out[1]);
	}
	for (k = 0; k < 2; k++) {
		taglog_free(&t[k]);
		buf_free(&out[k]);
	}
	spool_close(&store.spool);
}

static void
a_group_out_of_the_store_is_the_group_that_went_in(void **state)
{
	(void)state;
	compare_with_store(0);
	assert_in_range(store.writes, 20, 200);
	assert_true(store.spool.first * SPOOL_SLAB > 400000);
	assert_in_range(store.spool.slabs, 2, 7); /* what was forgotten was used again */
}

static void
a_store_that_fails_loses_nothing(void **state)
{
	int fails;

	(void)state;
	for (fails = 1; fails < 20; fails += 3) {
		compare_with_store(fails);
		assert_int_equal(store.writes, fails);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_chunking_comes_out_as_it_went_in, setup, setup),
		cmocka_unit_test_setup_teardown(a_tag_larger_than_a_block_comes_whole, setup, setup),
		cmocka_unit_test_setup_teardown(damage_is_told, setup, setup),
		cmocka_unit_test_setup_teardown(a_late_reader_begins_with_headers_and_the_last_group, setup,
			setup),
		cmocka_unit_test_setup_teardown(a_reader_later_than_a_group_too_big_waits_for_the_next,
			setup, setup),
		cmocka_unit_test_setup_teardown(shedding_goes_to_a_key_frame_and_keeps_the_marks, setup,
			setup),
		cmocka_unit_test_setup_teardown(shedding_takes_a_group_that_is_already_there, setup, setup),
		cmocka_unit_test_setup_teardown(each_track_goes_on_at_its_own_key_frame, setup, setup),
		cmocka_unit_test_setup_teardown(sound_alone_can_be_joined_anywhere, setup, setup),
		cmocka_unit_test_setup_teardown(a_stuck_reader_costs_a_bounded_memory, setup, setup),
		cmocka_unit_test_setup_teardown(a_group_out_of_the_store_is_the_group_that_went_in, setup,
			setup),
		cmocka_unit_test_setup_teardown(a_store_that_fails_loses_nothing, setup, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
