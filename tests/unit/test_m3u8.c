/* m3u8: whole playlists, line for line, as RFC 8216bis 4.4 and section 8 ask for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "m3u8.h"

static void
is_text(struct buf *b, const char *want)
{
	buf_u8(b, 0);
	assert_int_equal(b->error, 0);
	assert_string_equal((const char *)buf_data(b), want);
	buf_free(b);
}

static void
a_live_playlist(void **state)
{
	static const struct m3u8_list list = { 6, 2, 41, 3, true, false };
	static const struct m3u8_segment segments[] = {
		{ .uri = "a-1-41.m4s", .map = "init-a-1-1.mp4", .dur_us = 2000000, .wall_ms = 1764000000000 },
		{ .uri = "a-1-42.m4s", .dur_us = 1966667, .wall_ms = 1764000002000 },
		{ .uri = "a-1-43.m4s", .dur_us = 40, .wall_ms = 1764000003967, .gap = true },
		{ .uri = "a-2-44.m4s", .map = "init-a-2-1.mp4", .dur_us = 2499999, .wall_ms = 1764000010000,
			.discontinuity = true },
	};
	struct buf b = { 0 };
	size_t i;

	(void)state;
	m3u8_begin(&b, &list);
	for (i = 0; i < sizeof(segments) / sizeof(*segments); i++)
		m3u8_segment(&b, &segments[i]);
	is_text(&b,
		"#EXTM3U\n"
		"#EXT-X-VERSION:6\n"
		"#EXT-X-TARGETDURATION:2\n"
		"#EXT-X-MEDIA-SEQUENCE:41\n"
		"#EXT-X-DISCONTINUITY-SEQUENCE:3\n"
		"#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-MAP:URI=\"init-a-1-1.mp4\"\n"
		"#EXT-X-PROGRAM-DATE-TIME:2025-11-24T16:00:00.000Z\n"
		"#EXTINF:2.000000,\n"
		"a-1-41.m4s\n"
		"#EXT-X-PROGRAM-DATE-TIME:2025-11-24T16:00:02.000Z\n"
		"#EXTINF:1.966667,\n"
		"a-1-42.m4s\n"
		"#EXT-X-PROGRAM-DATE-TIME:2025-11-24T16:00:03.967Z\n"
		"#EXT-X-GAP\n"
		"#EXTINF:0.000040,\n"
		"a-1-43.m4s\n"
		"#EXT-X-DISCONTINUITY\n"
		"#EXT-X-MAP:URI=\"init-a-2-1.mp4\"\n"
		"#EXT-X-PROGRAM-DATE-TIME:2025-11-24T16:00:10.000Z\n"
		"#EXTINF:2.499999,\n"
		"a-2-44.m4s\n");
}

/* A playlist that still grows has no PLAYLIST-TYPE unless nothing ever leaves it (4.4.3.5). */
static void
a_recording_and_a_transport_stream(void **state)
{
	static const struct m3u8_list list = { 3, 10, 0, 0, false, true };
	struct buf b = { 0 };

	(void)state;
	m3u8_begin(&b, &list);
	m3u8_segment(&b, &(struct m3u8_segment){ .uri = "0.ts", .dur_us = 10499999, .wall_ms = 1 });
	m3u8_end(&b);
	is_text(&b,
		"#EXTM3U\n"
		"#EXT-X-VERSION:3\n"
		"#EXT-X-TARGETDURATION:10\n"
		"#EXT-X-MEDIA-SEQUENCE:0\n"
		"#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
		"#EXT-X-PLAYLIST-TYPE:EVENT\n"
		"#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.001Z\n"
		"#EXTINF:10.499999,\n"
		"0.ts\n"
		"#EXT-X-ENDLIST\n");
}

static void
a_master_playlist(void **state)
{
	struct buf b = { 0 };

	(void)state;
	m3u8_master(&b, M3U8_SERVICES, true);
	m3u8_audio(&b, "audio-128k", "audio-128k/index.m3u8", 2);
	m3u8_audio(&b, "audio-x", "audio-x/index.m3u8", 0); /* a program config element would say */
	m3u8_captions(&b, "CC1", "en");
	m3u8_captions(&b, "SERVICE1", "und");
	m3u8_variant(&b, &(struct m3u8_variant){ .bandwidth = 2200000, .average = 2000000,
				  .codecs = "avc1.64001f,mp4a.40.2", .audio = "audio-128k",
				  .uri = "720p/index.m3u8", .width = 1280, .height = 720,
				  .fps = 30000 / 1001.0, .captions = M3U8_CAPTIONS });
	m3u8_variant(&b, &(struct m3u8_variant){ .bandwidth = 1, .average = 1, .codecs = "avc1.64001f",
				  .uri = "480p/index.m3u8", .width = 854, .height = 480, .captions = "NONE" });
	m3u8_variant(&b, &(struct m3u8_variant){ .bandwidth = 64000, .average = 64000, .codecs = "mp4a.40.2",
				  .uri = "audio-x/index.m3u8" });
	is_text(&b,
		"#EXTM3U\n"
		"#EXT-X-VERSION:7\n"
		"#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-128k\",NAME=\"Sound\",LANGUAGE=\"und\","
		"DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-128k/index.m3u8\"\n"
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-x\",NAME=\"Sound\",LANGUAGE=\"und\","
		"DEFAULT=YES,AUTOSELECT=YES,URI=\"audio-x/index.m3u8\"\n"
		"#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,"
		"INSTREAM-ID=\"CC1\"\n"
		"#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"SERVICE1\",LANGUAGE=\"und\",DEFAULT=NO,AUTOSELECT=YES,"
		"INSTREAM-ID=\"SERVICE1\"\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=2200000,AVERAGE-BANDWIDTH=2000000,"
		"CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio-128k\","
		"CLOSED-CAPTIONS=\"cc\"\n"
		"720p/index.m3u8\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=1,CODECS=\"avc1.64001f\",RESOLUTION=854x480,"
		"CLOSED-CAPTIONS=NONE\n"
		"480p/index.m3u8\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=64000,AVERAGE-BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\n"
		"audio-x/index.m3u8\n");
}

/* EXTINF and TARGETDURATION at the edge of rounding (4.4.3.1): never more than what was given. */
static void
a_duration_is_not_rounded_up(void **state)
{
	static const struct {
		int64_t us;
		const char *want;
	} t[] = {
		{ 1, "#EXTINF:0.000001,\n" },
		{ 999999, "#EXTINF:0.999999,\n" },
		{ 2499999, "#EXTINF:2.499999,\n" },
		{ INT64_C(3600000000), "#EXTINF:3600.000000,\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct buf b = { 0 };

		m3u8_segment(&b, &(struct m3u8_segment){ .uri = "u", .dur_us = t[i].us });
		buf_u8(&b, 0);
		assert_non_null(strstr((const char *)buf_data(&b), t[i].want));
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_playlist),
		cmocka_unit_test(a_recording_and_a_transport_stream),
		cmocka_unit_test(a_master_playlist),
		cmocka_unit_test(a_duration_is_not_rounded_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
