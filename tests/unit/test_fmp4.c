/* fmp4: what the specification asks of an init segment and of parts, read back box by box. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bytes.h"
#include "fmp4.h"

struct span {
	const uint8_t *p;
	size_t size;
};

/* The body of the nth box of that type at one level; every box on the way has to fit. */
static struct span
nth(struct span in, const char *type, int n)
{
	struct span none = { NULL, 0 };
	size_t at = 0, size;

	while (at < in.size) {
		assert_true(in.size - at >= 8);
		size = get_be32(in.p + at);
		assert_true(size >= 8 && size <= in.size - at);
		if (!memcmp(in.p + at + 4, type, 4) && n-- == 0)
			return (struct span){ in.p + at + 8, size - 8 };
		at += size;
	}
	return none;
}

/* path: "moov/trak/mdia"; all of it has to be there. */
static struct span
find(struct span in, const char *path)
{
	for (;; path += 5) {
		in = nth(in, path, 0);
		assert_non_null(in.p);
		if (!path[4])
			return in;
	}
}

static struct span
past(struct span s, size_t n)
{
	assert_true(s.size >= n);
	return (struct span){ s.p + n, s.size - n };
}

static struct span
whole(struct buf *b)
{
	assert_int_equal(b->error, 0);
	return (struct span){ buf_data(b), buf_len(b) };
}

static const uint8_t avcc[] = { 1, 0x64, 0, 0x0d, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 1, 0x68 };
static const uint8_t asc[] = { 0x11, 0x90 };

static const struct codec avc = { .fourcc = FLV_AVC, .width = 320, .height = 180 };
static const struct codec aac = { .fourcc = FLV_AAC, .rate = 48000, .channels = 2 };
static const struct fmp4_track picture = { true, 90000, &avc, avcc, sizeof(avcc) };
static const struct fmp4_track sound = { false, 48000, &aac, asc, sizeof(asc) };

/* RFC 8216bis 3.1.2: no samples in it, durations unknown, a Movie Extends box. */
static void
an_init_segment_has_no_samples(void **state)
{
	static const char *const counts[] = { "stts", "stsc", "stco", "stsz" };
	const struct fmp4_track *const tracks[] = { &picture, &sound };
	size_t i, j;

	(void)state;
	for (i = 0; i < 2; i++) {
		const struct fmp4_track *t = tracks[i];
		struct buf b = { 0 };
		struct span s, stbl, ftyp;
		bool cmaf = false;

		assert_int_equal(fmp4_init(&b, t), 0);
		s = whole(&b);
		assert_memory_equal(s.p + 4, "ftyp", 4); /* it comes first */
		ftyp = find(s, "ftyp");
		for (j = 8; j + 4 <= ftyp.size; j += 4)
			cmaf |= !memcmp(ftyp.p + j, "cmfc", 4);
		assert_true(cmaf);
		assert_true(get_be32(ftyp.p) >= FOURCC('i', 's', 'o', '6'));
		assert_null(nth(s, "moov", 1).p);
		assert_null(nth(s, "mdat", 0).p);
		assert_int_equal(get_be32(find(s, "moov/mvhd").p + 16), 0);
		assert_int_equal(get_be32(find(s, "moov/trak/tkhd").p + 20), 0);
		assert_int_equal(get_be32(find(s, "moov/trak/tkhd").p + 12), 1); /* track_ID */
		assert_int_equal(get_be32(find(s, "moov/mvex/trex").p + 4), 1);
		assert_null(nth(find(s, "moov/trak"), "edts", 0).p); /* no edit list */
		assert_int_equal(get_be32(find(s, "moov/trak/mdia/mdhd").p + 12), t->timescale);
		assert_int_equal(get_be32(find(s, "moov/trak/mdia/mdhd").p + 16), 0);
		assert_memory_equal(find(s, "moov/trak/mdia/hdlr").p + 8, t->video ? "vide" : "soun", 4);
		assert_int_equal(nth(find(s, "moov/trak/mdia/minf"), "vmhd", 0).p != NULL, t->video);
		assert_int_equal(nth(find(s, "moov/trak/mdia/minf"), "smhd", 0).p != NULL, !t->video);
		/* the media is in the same file */
		assert_int_equal(get_be32(find(past(find(s, "moov/trak/mdia/minf/dinf/dref"), 8), "url ").p), 1);
		stbl = find(s, "moov/trak/mdia/minf/stbl");
		for (j = 0; j < sizeof(counts) / sizeof(*counts); j++)
			assert_int_equal(get_be32(find(stbl, counts[j]).p + (j == 3 ? 8 : 4)), 0);
		assert_int_equal(get_be32(find(stbl, "stsd").p + 4), 1);
		buf_free(&b);
	}
}

static struct span
entry(struct buf *b, const struct fmp4_track *t, const char *type)
{
	assert_int_equal(fmp4_init(b, t), 0);
	return find(past(find(whole(b), "moov/trak/mdia/minf/stbl/stsd"), 8), type);
}

static void
a_picture_tells_its_size_and_configuration(void **state)
{
	struct buf b = { 0 };
	struct span s = entry(&b, &picture, "avc1"), c;

	(void)state;
	assert_int_equal(get_be16(s.p + 6), 1); /* data_reference_index */
	assert_int_equal(get_be16(s.p + 24), 320);
	assert_int_equal(get_be16(s.p + 26), 180);
	c = find(past(s, 78), "avcC");
	assert_int_equal(c.size, sizeof(avcc));
	assert_memory_equal(c.p, avcc, sizeof(avcc));
	s = find(whole(&b), "moov/trak/tkhd");
	assert_int_equal(get_be32(s.p + 76), 320 << 16);
	assert_int_equal(get_be32(s.p + 80), 180 << 16);
	buf_free(&b);
}

/* A descriptor of 14496-1: its tag, a size of up to four bytes, its body. */
static struct span
descriptor(struct span in, int tag)
{
	size_t n = 0, i = 1;

	assert_true(in.size > 1);
	assert_int_equal(in.p[0], tag);
	for (;; i++) {
		assert_true(i < 5 && i < in.size);
		n = n << 7 | (in.p[i] & 127);
		if (!(in.p[i] & 128))
			break;
	}
	assert_true(n <= in.size - i - 1);
	return (struct span){ in.p + i + 1, n };
}

static void
a_sound_tells_its_rate_channels_and_configuration(void **state)
{
	struct buf b = { 0 };
	struct span s = entry(&b, &sound, "mp4a"), es, dec, spec, sl;

	(void)state;
	assert_int_equal(get_be16(s.p + 16), 2);
	assert_int_equal(get_be32(s.p + 24), 48000u << 16);
	es = descriptor(past(find(past(s, 28), "esds"), 4), 3);
	assert_int_equal(es.p[2], 0); /* no optional fields: the next descriptor follows */
	dec = descriptor(past(es, 3), 4);
	assert_int_equal(dec.p[0], 0x40);
	assert_int_equal(dec.p[1] >> 2, 5);
	spec = descriptor(past(dec, 13), 5);
	assert_int_equal(spec.size, sizeof(asc));
	assert_memory_equal(spec.p, asc, sizeof(asc));
	assert_ptr_equal(spec.p + spec.size, dec.p + dec.size);
	sl = descriptor((struct span){ dec.p + dec.size, (size_t)(es.p + es.size - dec.p) - dec.size }, 6);
	assert_int_equal(sl.p[0], 2);
	assert_ptr_equal(sl.p + sl.size, es.p + es.size);
	buf_free(&b);
}

/* Each codec's own box: the version and flags where it is a full box, and numbers in big-endian order. */
static void
each_codec_has_its_box(void **state)
{
	static const struct {
		uint32_t fourcc;
		bool video;
		const char *entry, *box, *config, *body;
		size_t config_size, size;
	} cases[] = {
		{ FLV_AV1, true, "av01", "av1C", "\x81\0\x0c\0", "\x81\0\x0c\0", 4, 4 },
		{ FLV_VP9, true, "vp09", "vpcC", "\1\0\0\0\0\x0b\x82\2\2\2\0\0", "\1\0\0\0\0\x0b\x82\2\2\2\0\0", 12, 12 },
		{ FLV_VP9, true, "vp09", "vpcC", "\0\x0b\x82\2\2\2\0\0", "\1\0\0\0\0\x0b\x82\2\2\2\0\0", 8, 12 },
		{ FLV_OPUS, false, "Opus", "dOps", "OpusHead\1\2\x38\1\x80\xbb\0\0\xfe\xff\0",
			"\0\2\1\x38\0\0\xbb\x80\xff\xfe\0", 19, 11 },
		{ FLV_OPUS, false, "Opus", "dOps", "OpusHead\1\2\x38\1\x80\xbb\0\0\0\0\1\1\1\0\1 and more",
			"\0\2\1\x38\0\0\xbb\x80\0\0\1\1\1\0\1", 32, 15 },
		{ FLV_FLAC, false, "fLaC", "dfLa",
			"fLaC\x80\0\0\x22\x12\0\x12\0\0\1\xd1\0\4\xff\x0b\xb8\0\xf0\0\5\xdc\0" "0123456789abcde",
			"\0\0\0\0\x80\0\0\x22\x12\0\x12\0\0\1\xd1\0\4\xff\x0b\xb8\0\xf0\0\5\xdc\0" "0123456789abcde",
			42, 42 },
		{ FLV_AC3, false, "ac-3", "dac3", "\x0b\x77\x48\x0d\x0c\x40\x2f\x84", "\x10\x08\xc0", 8, 3 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint8_t *config = (const uint8_t *)cases[i].config;
		struct codec c;
		struct fmp4_track t = { cases[i].video, 48000, &c, config, cases[i].config_size };
		struct buf b = { 0 };
		struct span s;

		assert_int_equal((codec_has_config(cases[i].fourcc) ? codec_config : codec_first)(&c, cases[i].fourcc, config,
					 cases[i].config_size), 0);
		s = find(past(entry(&b, &t, cases[i].entry), cases[i].video ? 78 : 28), cases[i].box);
		assert_int_equal(s.size, cases[i].size);
		assert_memory_equal(s.p, cases[i].body, s.size);
		buf_free(&b);
	}
}

/*
 * Three parts of a picture with B-frames and of its sound, one behind the other.  A part's tfdt is the
 * one before plus the durations in it; every sample's bytes lie where its trun says; composition
 * offsets may be negative (trun version 1).
 */
static void
parts_follow_each_other(void **state)
{
	static const struct fmp4_sample gop[] = { { 5, 3000, 3000, true }, { 3, 3000, 6000, false },
		{ 2, 3003, -3000, false }, { 1, 2997, 0, false } };
	static const uint8_t bytes[] = "AAAAABBBCCD";
	const int64_t begin = INT64_C(0x123456789a);
	int video, i, n;

	(void)state;
	for (video = 0; video < 2; video++) {
		struct buf b = { 0 };
		int64_t dts = begin, told;
		struct span s;

		assert_int_equal(fmp4_styp(&b), 0);
		for (i = 0; i < 3; i++) {
			assert_int_equal(fmp4_part(&b, (uint32_t)i + 1, video, dts, gop, 4, bytes), 0);
			dts += 12000;
		}
		s = whole(&b);
		assert_memory_equal(s.p + 4, "styp", 4);
		told = begin;
		for (i = 0; i < 3; i++) {
			struct span moof = nth(s, "moof", i), mdat = nth(s, "mdat", i), tfhd, tfdt, trun;
			const uint8_t *at, *data;
			uint32_t flags, usual;

			assert_int_equal(get_be32(find(moof, "mfhd").p + 4), i + 1);
			tfhd = find(moof, "traf/tfhd");
			flags = get_be32(tfhd.p);
			assert_int_equal(flags & 0x020000, 0x020000); /* default-base-is-moof */
			assert_int_equal(flags & 1, 0);               /* no base-data-offset */
			assert_int_equal(get_be32(tfhd.p + 4), 1);
			assert_int_equal(flags & 0x3a, 0x20);
			usual = get_be32(tfhd.p + 8);
			tfdt = find(moof, "traf/tfdt");
			assert_int_equal(tfdt.p[0], 1);
			assert_int_equal(get_be64(tfdt.p + 4), told);
			trun = find(moof, "traf/trun");
			assert_int_equal(trun.p[0], 1); /* signed composition offsets */
			flags = get_be32(trun.p) & 0xffffff;
			assert_int_equal(flags, video ? 0xf01 : 0x301);
			assert_int_equal(get_be32(trun.p + 4), 4);
			/* the offset counts from the moof's first byte, and meets the mdat's body */
			data = moof.p - 8 + get_be32(trun.p + 8);
			assert_ptr_equal(data, mdat.p);
			assert_int_equal(mdat.size, sizeof(bytes) - 1);
			at = trun.p + 12;
			for (n = 0; n < 4; n++) {
				uint32_t how = usual;

				assert_int_equal(get_be32(at), gop[n].dur);
				told += get_be32(at);
				assert_int_equal(get_be32(at + 4), gop[n].size);
				assert_int_equal(data[0], "ABCD"[n]);
				data += gop[n].size;
				at += 8;
				if (video) {
					how = get_be32(at);
					assert_int_equal((int32_t)get_be32(at + 4), gop[n].cts);
					at += 8;
				}
				/* sample_is_non_sync_sample, and sample_depends_on: 2 no other, 1 others */
				assert_int_equal(how >> 16 & 1, video && !gop[n].key);
				assert_int_equal(how >> 24 & 3, video && !gop[n].key ? 1 : 2);
			}
			assert_ptr_equal(at, trun.p + trun.size);
			assert_ptr_equal(data, mdat.p + mdat.size);
		}
		assert_int_equal(told, dts);
		buf_free(&b);
	}
}

static void
a_part_of_nothing_is_refused(void **state)
{
	static const struct fmp4_sample huge[2] = { { UINT32_MAX, 1, 0, true }, { 1, 1, 0, false } };
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(fmp4_part(&b, 1, true, 0, huge, 0, NULL), -EINVAL);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(fmp4_part(&b, 1, true, 0, huge, 2, NULL), -EMSGSIZE); /* mdat's size has 32 bits */
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_init_segment_has_no_samples),
		cmocka_unit_test(a_picture_tells_its_size_and_configuration),
		cmocka_unit_test(a_sound_tells_its_rate_channels_and_configuration),
		cmocka_unit_test(each_codec_has_its_box),
		cmocka_unit_test(parts_follow_each_other),
		cmocka_unit_test(a_part_of_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
