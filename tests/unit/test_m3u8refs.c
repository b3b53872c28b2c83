/* m3u8refs: what playlists name, and what is not ours among it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "buf.h"
#include "m3u8refs.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static int
note(void *ctx, const struct m3u8_ref *r)
{
	return buf_printf(ctx, "%s%.*s ", r->playlist ? "P:" : r->segment ? "S:" : "I:", (int)r->len, r->uri);
}

static void
refs(void **state)
{
	static const struct {
		const char *text, *want;
		int r;
	} table[] = {
		{ "#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:2,\na.m4s\n#EXTINF:2,\r\nb.m4s\r\n",
			"I:i.mp4 S:a.m4s S:b.m4s ", 0 },
		{ "#EXTM3U\n#EXT-X-GAP\n#EXTINF:2,\na.m4s\n#EXTINF:2,\nb.m4s", "S:b.m4s ", 0 },
		{ "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"URI=\",URI=\"au/i.m3u8\"\n"
		  "#EXT-X-STREAM-INF:BANDWIDTH=1\nv/i.m3u8\n", "P:au/i.m3u8 P:v/i.m3u8 ", 0 },
		{ "#EXTM3U\n#EXT-X-PART:DURATION=1,URI=\"p.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"\n", "", 0 },
		{ "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1\n\n# words\n", "I:k ", 0 },
		{ "#EXTM3U\n#EXT-X-MAP:BYTERANGE=\"1@2\",X-URI=\"no\",URI=\"yes\"\n#EXT-X-MAP:URI=\"\n", "I:yes ", 0 },
		{ "#EXTM3U", "", 0 },
		{ "<html>", "", -EBADMSG },
		{ "", "", -EBADMSG },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		struct buf b = { 0 };

		assert_int_equal(m3u8_refs(table[i].text, strlen(table[i].text), note, &b), table[i].r);
		buf_u8(&b, 0);
		assert_string_equal((const char *)buf_data(&b), table[i].want);
		buf_free(&b);
	}
}

static void
resolved(void **state)
{
	static const struct {
		const char *base, *uri, *want; /* NULL: elsewhere, or -EINVAL */
		int r;
	} table[] = {
		{ "index.m3u8", "a.ts", "a.ts", 4 },
		{ "a/b/index.m3u8", "1.ts?x=/../y", "a/b/1.ts", 8 },
		{ "a/b/index.m3u8", "../c/1.ts#t", "a/c/1.ts", 8 },
		{ "a/b/index.m3u8", "./1.ts", "a/b/1.ts", 8 },
		{ "a/b/index.m3u8", "x/./../1.ts", "a/b/1.ts", 8 },
		{ "a/b/index.m3u8", "a%20b%2B%c3%bc.ts", "a/b/a b+\xc3\xbc.ts", 13 },
		{ "a/b/index.m3u8", "../../1.ts", "1.ts", 4 },
		{ "a/b/index.m3u8", "../../../1.ts", NULL, 0 },
		{ "a/index.m3u8", "%2e%2e/1.ts", "1.ts", 4 },
		{ "a/index.m3u8", "/1.ts", NULL, 0 },
		{ "a/index.m3u8", "https://h/1.ts", NULL, 0 },
		{ "a/index.m3u8", "data:,x", NULL, 0 },
		{ "a/index.m3u8", "?x", NULL, 0 },
		{ "a/index.m3u8", "1%2", NULL, -EINVAL },
		{ "a/index.m3u8", "1%2g", NULL, -EINVAL },
		{ "a/index.m3u8", "1%00", NULL, -EINVAL },
		{ "a/index.m3u8", "..%2fetc", NULL, -EINVAL },
		{ "a/index.m3u8", "0123456789abcdefghijklmnopqrstuvwxyz", NULL, -ENAMETOOLONG },
	};
	char path[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		int r = m3u8_resolve(path, sizeof(path), table[i].base, table[i].uri, strlen(table[i].uri));

		assert_int_equal(r, table[i].r);
		if (table[i].want)
			assert_string_equal(path, table[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refs), cmocka_unit_test(resolved) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
