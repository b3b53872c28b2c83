#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mark.h"
#include "pick.h"

static const struct tracks ladder = {
	.track = {
		{ .type = FLV_VIDEO, .id = 0, .rung = "source", .codec = FLV_AVC, .width = 1920 },
		{ .type = FLV_VIDEO, .id = 1, .rung = "720p", .codec = FLV_AVC, .width = 1280 },
		{ .type = FLV_VIDEO, .id = 2, .rung = "480p", .codec = FLV_HEVC, .width = 854 },
		{ .type = FLV_AUDIO, .id = 0, .rung = "source", .codec = FLV_AAC },
		{ .type = FLV_AUDIO, .id = 1, .rung = "720p+480p", .codec = FLV_AAC },
	},
	.count = 5,
};

static void
give(struct pick *p, struct buf *raw, struct buf *out)
{
	struct flv_reader *r;
	struct flv_tag tag;

	assert_int_equal(flv_reader_new(&r, 0), 0);
	assert_int_equal(flv_reader_feed(r, buf_data(raw), buf_len(raw)), 0);
	while (flv_reader_next(r, &tag) > 0)
		assert_int_equal(pick_tag(p, &tag, out), 0);
	flv_reader_free(&r);
}

static void
put(struct buf *b, uint8_t type, uint8_t track, uint32_t codec)
{
	struct flv_packet p = { .type = type, .track = track, .kind = FLV_FRAME, .key = true,
		.codec = codec, .data = &track, .size = 1 };

	flv_put_packet(b, 7, &p);
}

/* What is left of the ladder: v1>0 is video whose byte says track 1, now on track 0. */
static void
check(const char *names, bool with_metadata, const char *want)
{
	struct buf raw = { 0 }, out = { 0 };
	struct mark gap = { .kind = MARK_GAP };
	char text[512] = "";
	struct flv_reader *r;
	struct flv_tag tag;
	struct tracks t;
	struct pick *p;
	size_t n = 0;
	int i;

	assert_int_equal(pick_new(&p, names), 0);
	flv_put_header(&raw);
	flv_put_header(&out);
	if (with_metadata)
		tracks_put(&raw, 0, &ladder);
	mark_put(&raw, 3, &gap);
	for (i = 0; i < 5; i++)
		put(&raw, ladder.track[i].type, ladder.track[i].id, ladder.track[i].codec);
	give(p, &raw, &out);
	assert_int_equal(flv_reader_new(&r, 0), 0);
	assert_int_equal(flv_reader_feed(r, buf_data(&out), buf_len(&out)), 0);
	while (flv_reader_next(r, &tag) > 0) {
		struct flv_walk walk;
		struct flv_packet k;

		if (tag.type == FLV_SCRIPT) {
			if (tracks_parse(&tag, &t) == 1)
				for (i = 0; i < t.count; i++)
					n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%d=%s ",
						t.track[i].type == FLV_VIDEO ? 'V' : 'A', t.track[i].id, t.track[i].rung);
			else
				n += (size_t)snprintf(text + n, sizeof(text) - n, "mark ");
			continue;
		}
		flv_walk_begin(&walk, &tag);
		while (flv_walk_next(&walk, &k) > 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%d>%d%s ",
				k.type == FLV_VIDEO ? 'v' : 'a', k.data[0], k.track,
				k.codec == FLV_AVC && tag.data[0] == 0x17 ? "c" : "");
	}
	assert_string_equal(text, want);
	assert_int_equal(pick_empty(p), n == strlen("mark "));
	flv_reader_free(&r);
	buf_free(&raw);
	buf_free(&out);
	pick_free(&p);
}

static void
rungs_are_taken_by_name(void **state)
{
	(void)state;
	check("source", true, "V0=source A0=source mark v0>0c a0>0 ");
	check("720p", true, "V0=720p A0=720p+480p mark v1>0c a1>0 ");
	check("480p", true, "V0=480p A0=720p+480p mark v2>0 a1>0 ");
	check("source+720p", true,
		"V0=source V1=720p A0=source A1=720p+480p mark v0>0c v1>1 a0>0 a1>1 ");
	check("none", true, "mark ");
	check("720", true, "mark ");
	check("source", false, "mark v0>0c a0>0 ");
	check("720p", false, "mark ");
}

static void
bad_names_are_refused(void **state)
{
	static const char *const bad[] = { "", "+", "a+", "+a", "a++b", "1+2+3+4+5+6+7+8+9" };
	struct pick *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(pick_new(&p, bad[i]), -EINVAL);
}

static void
a_tag_that_ends_too_early_leaves_nothing(void **state)
{
	/* A multitrack tag of two tracks, the second longer than the tag. */
	static const uint8_t body[] = { 0x96, 0x10, 'a', 'v', 'c', '1', 0, 0, 0, 4, 0, 0, 0, 1, 1, 0, 9, 9 };
	const struct flv_tag tag = { FLV_VIDEO, 0, body, sizeof(body) };
	struct buf out = { 0 };
	struct pick *p;

	(void)state;
	assert_int_equal(pick_new(&p, "source"), 0);
	assert_int_equal(buf_append(&out, "x", 1), 0);
	assert_int_equal(pick_tag(p, &tag, &out), -EBADMSG);
	assert_int_equal(buf_len(&out), 1);
	buf_free(&out);
	pick_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs_are_taken_by_name),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(a_tag_that_ends_too_early_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
