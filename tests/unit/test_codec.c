/* Configurations and frames as x265, SVT-AV1, libaom, libvpx, libopus, flac and ac3 made them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec.h"

#define HVCC "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c" \
	     "959409a1000100"
#define PPS "a2000100064401c073c189"

struct bytes {
	uint8_t p[256];
	size_t n;
};

static struct bytes
hex(const char *text)
{
	struct bytes b = { .n = strlen(text) / 2 };
	unsigned v;
	size_t i;

	assert_true(b.n <= sizeof(b.p));
	for (i = 0; i < b.n; i++) {
		assert_int_equal(sscanf(text + 2 * i, "%2x", &v), 1);
		b.p[i] = (uint8_t)v;
	}
	return b;
}

static const struct {
	uint32_t fourcc;
	const char *config, *key, *delta;
	const char *text, *range;
	int width, height, fps, rate, channels, samples;
} cases[] = {
	{ FLV_HEVC, HVCC "2b42010101600000030090000003000003003ca00a080c1f3e595952930bc05a020000030002000003003c10" PPS,
		"000000042801ac21", "000000040201d021", "hvc1.1.6.L60.90", NULL, 320, 180, 30, 0, 0, 0 },
	/* Ten bits, BT.2020 with ST 2084, a parameter set in front of its IDR. */
	{ FLV_HEVC,
		"0102200000009000000000003cf000fcfdfafa00000f03a00001001840010c01ffff02200000030090000003000003003c"
		"959409a10001002e42010102200000030090000003000003003ca00a080c1f3b6595952930bc05a8488048200000030020"
		"00000303c1" PPS,
		"0000000440010c0100000004260110ff", "000000040201d021", "hvc1.2.4.L60.90", "PQ", 320, 180, 30, 0, 0, 0 },
	{ FLV_AV1, "81000c000a0b000000043cfecc02f80040",
		"0a0b000000043cfecc02f8004032051400a14024", "3204301a2910",
		"av01.0.00M.08", NULL, 320, 180, 0, 0, 0, 0 },
	/* The size only in the frame, a delimiter in front; BT.2020 with HLG, ten bits. */
	{ FLV_AV1, "81004c00", "12000a0e000000043cfeccdaf95091209040320510008400e0", "32049c083003",
		"av01.0.00M.10.0.110.09.18.09.0", "HLG", 320, 180, 0, 0, 0, 0 },
	{ FLV_VP9, "000b820202020000", "824983420013f00b360638241c184a00", "86004092f1214000", "vp09.00.11.08", NULL,
		320, 180, 0, 0, 0, 0 },
	{ FLV_VP9, "01000000020ba009100900000000", "824983420013f00b360638241c184a00", "86004092f1214000",
		"vp09.02.11.10.00.09.16.09.00", "PQ", 320, 180, 0, 0, 0, 0 },
	{ FLV_OPUS, "4f707573486561640101380180bb0000000000", "f8b4afca", NULL, "Opus", NULL, 0, 0, 0, 48000, 1, 960 },
	{ FLV_OPUS, "4f707573486561640102380180bb0000000000", "fb03", NULL, "Opus", NULL, 0, 0, 0, 48000, 2, 2880 },
	{ FLV_FLAC, "664c614380000022120012000001d10004ff0bb800f00005dc00e5cbeaacbff3610c952b3344186e4132",
		"fff85a0800814e00", NULL, "fLaC", NULL, 0, 0, 0, 48000, 1, 4608 },
	{ FLV_FLAC, "664c614380000022120012000001d10004ff0bb800f00005dc00e5cbeaacbff3610c952b3344186e4132",
		"fff87a08c3910131", NULL, "fLaC", NULL, 0, 0, 0, 48000, 1, 0x132 },
	{ FLV_AAC, "1190", "2110", NULL, "mp4a.40.2", NULL, 0, 0, 0, 48000, 2, 1024 },
	{ FLV_AC3, NULL, "0b77480d0c402f842bc1c77aaf5e1be7", NULL, "ac-3", NULL, 0, 0, 0, 48000, 1, 1536 },
};

static void
what_encoders_write_is_understood(void **state)
{
	char text[CODEC_TEXT];
	size_t i, cut;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bytes config = hex(cases[i].config ? cases[i].config : ""), key = hex(cases[i].key);
		struct bytes delta = hex(cases[i].delta ? cases[i].delta : "");
		struct codec c;

		print_message("%s\n", cases[i].text);
		assert_int_equal(codec_has_config(cases[i].fourcc), cases[i].config != NULL);
		if (cases[i].config)
			assert_int_equal(codec_config(&c, cases[i].fourcc, config.p, config.n), 0);
		else
			assert_int_equal(codec_first(&c, cases[i].fourcc, key.p, key.n), 0);
		if (cases[i].delta)
			assert_int_equal(codec_start(&c, delta.p, delta.n), CODEC_DELTA);
		assert_int_equal(codec_start(&c, key.p, key.n), CODEC_KEY);
		assert_string_equal(codec_text(text, &c), cases[i].text);
		if (cases[i].range)
			assert_string_equal(codec_range(&c), cases[i].range);
		else
			assert_null(codec_range(&c));
		assert_int_equal(c.width, cases[i].width);
		assert_int_equal(c.height, cases[i].height);
		assert_int_equal(c.fps, cases[i].fps);
		assert_int_equal(c.rate, cases[i].rate);
		assert_int_equal(c.channels, cases[i].channels);
		if (cases[i].samples)
			assert_int_equal(codec_samples(&c, key.p, key.n), cases[i].samples);
		for (cut = 0; cut < config.n; cut++) { /* cut off anywhere: no reading beyond, an error or less known */
			uint8_t *part = malloc(cut + !cut);
			struct codec d;

			memcpy(part, config.p, cut);
			if (codec_config(&d, cases[i].fourcc, part, cut) == 0)
				codec_text(text, &d);
			free(part);
		}
		for (cut = 0; cut < key.n; cut++)
			codec_start(&c, key.p, cut);
	}
}

/* CRA; IDR of both kinds; BLA; a trailing picture; a parameter set alone. */
static void
an_open_group_of_pictures_is_told_from_a_closed_one(void **state)
{
	static const struct {
		const char *frame;
		enum hevc_access is;
	} frames[] = { { "000000032a01ac", HEVC_CRA }, { "000000032601ac", HEVC_CLOSED },
		{ "000000032801ac", HEVC_CLOSED }, { "000000032001ac", HEVC_CLOSED }, { "000000030201ac", HEVC_NONE },
		{ "000000034001ac", HEVC_NONE }, { "", HEVC_NONE }, { "000000092a01ac", HEVC_NONE } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		struct bytes b = hex(frames[i].frame);

		assert_int_equal(hevc_access(b.p, b.n, 4), frames[i].is);
	}
}

/* AV1: a key frame that is only stored, or shown again, cannot be begun with; nor one without its header. */
static void
a_key_frame_of_av1_is_shown_and_has_its_sequence_header(void **state)
{
	struct bytes header = hex("81000c000a0b000000043cfecc02f80040"), bare = hex("81000c00");
	static const char *const frames[] = { "320410000000", "320400000000", "320490000000", "320430000000" };
	struct codec with, without;
	size_t i;

	(void)state;
	assert_int_equal(codec_config(&with, FLV_AV1, header.p, header.n), 0);
	assert_int_equal(codec_config(&without, FLV_AV1, bare.p, bare.n), 0);
	assert_int_equal(without.width, 0);
	for (i = 0; i < 4; i++) {
		struct bytes b = hex(frames[i]);

		assert_int_equal(codec_start(&with, b.p, b.n), i ? CODEC_DELTA : CODEC_KEY);
		assert_int_equal(codec_start(&without, b.p, b.n), CODEC_DELTA);
	}
}

static void
what_is_broken_is_refused(void **state)
{
	static const struct {
		uint32_t fourcc;
		const char *config;
		int error;
	} bad[] = { { FLV_HEVC, "0101600000009000000000003cf000fcfdf8f800000f00", -EBADMSG }, /* no parameter set */
		{ FLV_AV1, "01000c00", -EBADMSG }, { FLV_AV1, "81e00c00", -EBADMSG }, { FLV_AV1, "81000c000aff", -EBADMSG },
		{ FLV_VP9, "000b8202", -EBADMSG }, { FLV_VP9, "040b820202020000", -EBADMSG },
		{ FLV_OPUS, "4f7075734865616401003801", -EBADMSG },
		{ FLV_OPUS, "4f707573486561640103380180bb00000000ff", -EBADMSG }, /* no mapping of its channels */
		{ FLV_FLAC, "664c614380000022", -EBADMSG }, { FLV_AC3, "0b77", -ENOTSUP }, { FLV_EAC3, "00", -ENOTSUP },
		{ FLV_MP3, "00", -ENOTSUP }, { 0, "", -ENOTSUP } };
	struct bytes b;
	struct codec c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		b = hex(bad[i].config);
		assert_int_equal(codec_config(&c, bad[i].fourcc, b.p, b.n), bad[i].error);
	}
	b = hex("0b77480dcc402f84");
	assert_int_equal(codec_first(&c, FLV_AC3, b.p, b.n), -EBADMSG); /* a rate that is reserved */
}

/* What a transport stream of ours holds, and what nothing of ours does. */
static void
each_format_says_what_it_holds(void **state)
{
	(void)state;
	assert_true(codec_packaged(FLV_AVC, true) && codec_packaged(FLV_AAC, true));
	assert_false(codec_packaged(FLV_HEVC, true) || codec_packaged(FLV_OPUS, true) || codec_packaged(FLV_AC3, true));
	assert_true(codec_packaged(FLV_HEVC, false) && codec_packaged(FLV_AC3, false));
	assert_false(codec_packaged(FLV_VP8, false) || codec_packaged(0, false));
	assert_string_equal(codec_name(FLV_HEVC), "HEVC");
	assert_string_equal(codec_name(1), "an unknown codec");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_encoders_write_is_understood),
		cmocka_unit_test(an_open_group_of_pictures_is_told_from_a_closed_one),
		cmocka_unit_test(a_key_frame_of_av1_is_shown_and_has_its_sequence_header),
		cmocka_unit_test(what_is_broken_is_refused),
		cmocka_unit_test(each_format_says_what_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
