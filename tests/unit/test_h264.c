/* h264 and aac: configuration records of real encoders, and what is broken of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aac.h"
#include "h264.h"

/* x264, 320x180, 30/s, High@1.3 */
static const uint8_t avcc[] = { 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41,
	0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0,
	0xf1, 0x42, 0x99, 0x60, 0x01, 0x00, 0x04, 0x68, 0xef, 0x8f, 0xcb, 0xfd, 0xf8, 0xf8, 0x00 };

static void
reads_the_record(void **state)
{
	struct h264_config c;
	char text[H264_CODEC];

	(void)state;
	assert_int_equal(h264_config_parse(avcc, sizeof(avcc), &c), 0);
	assert_int_equal(c.width, 320);
	assert_int_equal(c.height, 180);
	assert_int_equal(c.nal_len, 4);
	assert_true(c.fps > 29.99 && c.fps < 30.01);
	assert_string_equal(h264_codec(text, &c), "avc1.64000d");
}

static void
every_cut_is_refused_or_whole(void **state)
{
	struct h264_config c;
	size_t n, sps = (size_t)(avcc[6] << 8 | avcc[7]);
	uint8_t *p;

	(void)state;
	for (n = 0; n < sizeof(avcc); n++) {
		p = malloc(n + 1); /* so that a read past the end is seen */
		memcpy(p, avcc, n);
		p = realloc(p, n ? n : 1);
		assert_int_equal(h264_config_parse(p, n, &c) == 0, n >= 8 + sps && n >= 9);
		free(p);
	}
}

static void
finds_an_idr(void **state)
{
	static const struct {
		uint8_t frame[16];
		size_t size;
		int idr;
	} t[] = {
		{ { 0, 0, 0, 2, 0x65, 1 }, 6, 1 },
		{ { 0, 0, 0, 2, 0x41, 1 }, 6, 0 },
		{ { 0, 0, 0, 2, 0x06, 1, 0, 0, 0, 1, 0x65 }, 11, 1 },
		{ { 0, 0, 0, 9, 0x65, 1 }, 6, 0 }, /* a length past the end */
		{ { 0, 0, 0 }, 3, 0 },
		{ { 0 }, 0, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++)
		assert_int_equal(h264_idr(t[i].frame, t[i].size, 4), t[i].idr);
}

static void
reads_aac(void **state)
{
	static const struct {
		uint8_t asc[5];
		size_t size;
		int r, rate, channels, frame;
		const char *codec;
	} t[] = {
		{ { 0x11, 0x90 }, 2, 0, 48000, 2, 1024, "mp4a.40.2" },
		{ { 0x12, 0x08 }, 2, 0, 44100, 1, 1024, "mp4a.40.2" },
		{ { 0x2b, 0x11, 0x88, 0x00 }, 4, 0, 24000, 2, 1024, "mp4a.40.5" },
		{ { 0x11, 0x94 }, 2, 0, 48000, 2, 960, "mp4a.40.2" },
		{ { 0x11 }, 1, -1, 0, 0, 0, NULL },
		{ { 0x16, 0x90 }, 2, -1, 0, 0, 0, NULL }, /* a reserved rate */
		{ { 0x00, 0x00 }, 2, -1, 0, 0, 0, NULL },
	};
	struct aac_config c;
	char text[AAC_CODEC];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		assert_int_equal(aac_config_parse(t[i].asc, t[i].size, &c) < 0, t[i].r < 0);
		if (t[i].r < 0)
			continue;
		assert_int_equal(c.rate, t[i].rate);
		assert_int_equal(c.channels, t[i].channels);
		assert_int_equal(c.frame, t[i].frame);
		assert_string_equal(aac_codec(text, &c), t[i].codec);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_record),
		cmocka_unit_test(every_cut_is_refused_or_whole),
		cmocka_unit_test(finds_an_idr),
		cmocka_unit_test(reads_aac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
