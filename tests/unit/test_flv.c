/* flv, mark, tracks: written and read back, in every chunking, and the malformed refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "amf.h"
#include "flv.h"
#include "mark.h"
#include "tracks.h"

static const struct {
	int64_t dts;
	struct flv_packet p;
} sent[] = {
	{ 0, { FLV_VIDEO, 0, FLV_HEADER, true, FLV_AVC, 0, 0, (const uint8_t *)"avcC", 4 } },
	{ 0, { FLV_AUDIO, 0, FLV_HEADER, false, FLV_AAC, 0, 0, (const uint8_t *)"\x12\x10", 2 } },
	{ 40, { FLV_VIDEO, 0, FLV_FRAME, true, FLV_AVC, 80, 0, (const uint8_t *)"frame", 5 } },
	{ 80, { FLV_VIDEO, 0, FLV_FRAME, false, FLV_AVC, -40, 0, (const uint8_t *)"f", 1 } },
	{ 85, { FLV_AUDIO, 0, FLV_FRAME, false, FLV_AAC, 0, 0, (const uint8_t *)"aac", 3 } },
	{ 90, { FLV_VIDEO, 1, FLV_HEADER, true, FLV_AVC, 0, 0, (const uint8_t *)"avcC2", 5 } },
	{ 120, { FLV_VIDEO, 1, FLV_FRAME, true, FLV_AVC, 33, 0, (const uint8_t *)"g", 1 } },
	{ 121, { FLV_VIDEO, 2, FLV_FRAME, false, FLV_AVC, 0, 0, (const uint8_t *)"h", 1 } },
	{ 122, { FLV_VIDEO, 0, FLV_FRAME, true, FLV_HEVC, 7, 0, (const uint8_t *)"hevc", 4 } },
	{ 123, { FLV_VIDEO, 0, FLV_FRAME, true, FLV_AV1, 0, 0, (const uint8_t *)"obu", 3 } },
	{ 124, { FLV_AUDIO, 3, FLV_FRAME, false, FLV_AAC, 0, 0, (const uint8_t *)"a3", 2 } },
	{ 125, { FLV_AUDIO, 0, FLV_FRAME, false, FLV_OPUS, 0, 0, (const uint8_t *)"op", 2 } },
	{ 126, { FLV_VIDEO, 4, FLV_FRAME, false, FLV_AVC, -1, 999999, (const uint8_t *)"n", 1 } },
	{ 127, { FLV_AUDIO, 0, FLV_FRAME, false, FLV_AAC, 0, 500, (const uint8_t *)"m", 1 } },
	{ 0x100000005, { FLV_VIDEO, 0, FLV_END, true, FLV_AVC, 0, 0, (const uint8_t *)"", 0 } },
};
#define SENT (sizeof(sent) / sizeof(*sent))

static void
packets_come_back_in_every_chunking(void **state)
{
	struct buf b = { 0 };
	size_t chunk, at, n, i;

	(void)state;
	flv_put_header(&b);
	for (i = 0; i < SENT; i++)
		flv_put_packet(&b, sent[i].dts, &sent[i].p);
	assert_int_equal(b.error, 0);
	for (chunk = 1; chunk < buf_len(&b) + 1; chunk = chunk < 40 ? chunk + 1 : chunk * 2) {
		struct flv_reader *r;
		struct flv_tag tag;
		struct flv_packet p;
		struct flv_walk w;
		int e;

		assert_int_equal(flv_reader_new(&r, 0), 0);
		for (i = at = 0; at < buf_len(&b); at += n) {
			n = buf_len(&b) - at < chunk ? buf_len(&b) - at : chunk;
			assert_int_equal(flv_reader_feed(r, buf_data(&b) + at, n), 0);
			while ((e = flv_reader_next(r, &tag)) > 0) {
				flv_walk_begin(&w, &tag);
				assert_int_equal(flv_walk_next(&w, &p), 1);
				assert_true((uint32_t)tag.dts == (uint32_t)sent[i].dts);
				assert_int_equal(p.type, sent[i].p.type);
				assert_int_equal(p.track, sent[i].p.track);
				assert_int_equal(p.kind, sent[i].p.kind);
				assert_int_equal(p.codec, sent[i].p.codec);
				assert_int_equal(p.cts, sent[i].p.cts);
				assert_int_equal(p.nano, sent[i].p.nano);
				if (p.type == FLV_VIDEO)
					assert_int_equal(p.key, sent[i].p.key);
				assert_int_equal(p.size, sent[i].p.size);
				assert_memory_equal(p.data, sent[i].p.data, p.size);
				assert_int_equal(flv_walk_next(&w, &p), 0);
				i++;
			}
			assert_int_equal(e, 0);
		}
		assert_int_equal(i, SENT);
		assert_int_equal(flv_reader_pending(r), 0);
		flv_reader_free(&r);
	}
	buf_free(&b);
}

static void
the_timestamp_wrap_is_undone(void **state)
{
	static const int64_t dts[] = { 0xfffffff0, 0xfffffffe, 0x100000010, 0xfffffff8 };
	struct flv_packet p = { FLV_AUDIO, 0, FLV_FRAME, false, FLV_AAC, 0, 0, (const uint8_t *)"x", 1 };
	struct buf b = { 0 };
	struct flv_reader *r;
	struct flv_tag tag;
	size_t i;
	int64_t first = 0;

	(void)state;
	flv_put_header(&b);
	for (i = 0; i < 4; i++)
		flv_put_packet(&b, dts[i], &p);
	flv_reader_new(&r, 0);
	flv_reader_feed(r, buf_data(&b), buf_len(&b));
	for (i = 0; i < 4; i++) {
		assert_int_equal(flv_reader_next(r, &tag), 1);
		if (i == 0)
			first = tag.dts;
		assert_true(tag.dts - first == dts[i] - dts[0]);
	}
	flv_reader_free(&r);
	buf_free(&b);
}

static void
many_tracks_in_one_tag_are_taken_apart(void **state)
{
	/* video, key frame, multitrack; ManyTracks of CodedFrames, avc1: two tracks with their cts */
	static const uint8_t body[] = { 0x96, 0x11, 'a', 'v', 'c', '1', 0, 0, 0, 4, 0, 0, 5, 'A', 7, 0, 0,
		5, 0xff, 0xff, 0xfe, 'B', 'C' };
	struct flv_tag tag = { FLV_VIDEO, 1000, body, sizeof(body) };
	struct flv_walk w;
	struct flv_packet p;
	size_t n;

	(void)state;
	flv_walk_begin(&w, &tag);
	assert_int_equal(flv_walk_next(&w, &p), 1);
	assert_int_equal(p.track, 0);
	assert_int_equal(p.cts, 5);
	assert_true(p.key && p.size == 1 && *p.data == 'A');
	assert_int_equal(flv_walk_next(&w, &p), 1);
	assert_int_equal(p.track, 7);
	assert_int_equal(p.cts, -2);
	assert_true(p.size == 2 && !memcmp(p.data, "BC", 2));
	assert_int_equal(flv_walk_next(&w, &p), 0);
	for (n = 1; n < sizeof(body); n++) { /* cut anywhere: never past the end, never for ever */
		uint8_t *copy = malloc(n);
		int rounds = 0;

		memcpy(copy, body, n);
		tag.data = copy;
		tag.size = n;
		flv_walk_begin(&w, &tag);
		while (flv_walk_next(&w, &p) > 0)
			assert_true(++rounds < 4);
		free(copy);
	}
}

static void
malformed_streams_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int want;
	} bad[] = {
		{ "RIFFxxxxxxxxxxxxxx", 18, -EBADMSG },
		{ "FLV\1\5\0\0\0\1\0\0\0\0", 13, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\x29\0\0\0\0\0\0\0\0\0\0\0\0\0\13", 28, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\10\0\0\1\0\0\0\0\0\0\0x\0\0\1\0", 29, -EBADMSG },
		{ "FLV\1\5\0\0\0\11\0\0\0\0\10\xff\0\0\0\0\0\0\0\0\0", 24, -EMSGSIZE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct flv_reader *r;
		struct flv_tag tag;

		flv_reader_new(&r, 65536);
		flv_reader_feed(r, bad[i].bytes, bad[i].n);
		assert_int_equal(flv_reader_next(r, &tag), bad[i].want);
		assert_int_equal(flv_reader_next(r, &tag), bad[i].want); /* an error is final */
		flv_reader_free(&r);
	}
}

static struct flv_tag
read_back(struct buf *b, struct flv_reader **r)
{
	struct flv_tag tag;

	flv_reader_new(r, 0);
	flv_reader_feed(*r, "FLV\1\5\0\0\0\11\0\0\0\0", 13);
	flv_reader_feed(*r, buf_data(b), buf_len(b));
	assert_int_equal(flv_reader_next(*r, &tag), 1);
	return tag;
}

static void
marks_come_back(void **state)
{
	struct mark in = { MARK_SESSION, "alice", "01jd8", "s-1", "42", "a \"reason\"\n", 7,
		1764000000000, 1764000000500 }, out;
	struct buf b = { 0 };
	struct flv_reader *r;
	struct flv_tag tag;

	(void)state;
	mark_put(&b, 1234, &in);
	tag = read_back(&b, &r);
	assert_int_equal(tag.dts, 1234);
	assert_int_equal(mark_parse(&tag, &out), 1);
	assert_int_equal(out.kind, MARK_SESSION);
	assert_string_equal(out.stream, "alice");
	assert_string_equal(out.broadcast, "01jd8");
	assert_string_equal(out.session, "s-1");
	assert_string_equal(out.reason, "a \"reason\"\n");
	assert_true(out.epoch == 7 && out.origin_ms == in.origin_ms && out.wall_ms == in.wall_ms);
	flv_reader_free(&r);
	buf_clear(&b);
	snprintf(in.stream, sizeof(in.stream), "../etc");
	mark_put(&b, 0, &in);
	tag = read_back(&b, &r);
	assert_int_equal(mark_parse(&tag, &out), -EBADMSG);
	flv_reader_free(&r);
	buf_free(&b);
}

static void
marks_are_noted(void **state)
{
	static const struct {
		enum mark_kind kind;
		bool orphan;
	} said[] = { { MARK_TICK, true }, { MARK_SESSION, true }, { MARK_END, false }, { MARK_GAP, false },
		{ MARK_SESSION, true } };
	struct mark_seen seen = { 0 };
	struct mark in = { 0 }, out;
	struct flv_tag tag = { .type = FLV_SCRIPT };
	struct flv_reader *r;
	struct buf b = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(mark_note(&seen, &tag, &out), 0);
	assert_false(mark_orphan(&seen));
	for (i = 0; i < sizeof(said) / sizeof(*said); i++) {
		in.kind = said[i].kind;
		mark_put(&b, 0, &in);
		tag = read_back(&b, &r);
		assert_int_equal(mark_note(&seen, &tag, &out), 1);
		assert_int_equal(mark_orphan(&seen), said[i].orphan);
		flv_reader_free(&r);
		buf_clear(&b);
	}
	buf_free(&b);
}

static void
tracks_come_back(void **state)
{
	struct tracks in = { { { FLV_VIDEO, 0, "source", FLV_AVC, 1920, 1080, 60, 0, 0, 0 },
				     { FLV_AUDIO, 0, "source", FLV_AAC, 0, 0, 0, 160, 44100, 1 },
				     { FLV_VIDEO, 1, "720p", FLV_AVC, 1280, 720, 30, 2000, 0, 0 },
				     { FLV_VIDEO, 12, "480p", FLV_AVC, 854, 480, 30, 800, 0, 0 },
				     { FLV_AUDIO, 1, "720p+480p", FLV_AAC, 0, 0, 0, 128, 48000, 2 } },
		5 };
	struct tracks out;
	struct buf b = { 0 };
	struct flv_reader *r;
	struct flv_tag tag;
	int i;

	(void)state;
	tracks_put(&b, 0, &in);
	tag = read_back(&b, &r);
	assert_int_equal(tracks_parse(&tag, &out), 1);
	assert_int_equal(out.count, in.count);
	for (i = 0; i < in.count; i++) {
		const struct track *k = tracks_find(&out, in.track[i].type, in.track[i].id);

		assert_non_null(k);
		assert_string_equal(k->rung, in.track[i].rung);
		assert_int_equal(k->codec, in.track[i].codec);
		assert_int_equal(k->width, in.track[i].width);
		assert_int_equal(k->kbps, in.track[i].kbps);
		assert_int_equal(k->sample_rate, in.track[i].sample_rate);
		assert_int_equal(k->channels, in.track[i].channels);
	}
	assert_true(tracks_in_rung(tracks_find(&out, FLV_AUDIO, 1), "480p", 4));
	assert_false(tracks_in_rung(tracks_find(&out, FLV_AUDIO, 1), "480", 3));
	flv_reader_free(&r);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_back_in_every_chunking),
		cmocka_unit_test(the_timestamp_wrap_is_undone),
		cmocka_unit_test(many_tracks_in_one_tag_are_taken_apart),
		cmocka_unit_test(malformed_streams_are_refused),
		cmocka_unit_test(marks_come_back),
		cmocka_unit_test(marks_are_noted),
		cmocka_unit_test(tracks_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
