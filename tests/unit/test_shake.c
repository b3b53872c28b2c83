#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sha256.h"
#include "shake.h"

/* RFC 4231, test cases 1, 2, 6 and 7: keys and data shorter and longer than a block. */
static void
hmac_is_the_one_of_the_rfc(void **state)
{
	static const struct {
		int key_byte, key_len;
		const char *key, *data, *want;
	} cases[] = {
		{ 0x0b, 20, NULL, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ 0, 4, "Jefe", "what do ya want for nothing?",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ 0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ 0xaa, 131, NULL, "This is a test using a larger than block-size key and a larger than block-size "
			"data. The key needs to be hashed before being used by the HMAC algorithm.",
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
	};
	char hex[2 * SHA256_BYTES + 1], key[131];
	uint8_t out[SHA256_BYTES];
	size_t i, j, half;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(key, cases[i].key_byte, sizeof(key));
		if (cases[i].key)
			memcpy(key, cases[i].key, (size_t)cases[i].key_len);
		half = strlen(cases[i].data) / 3;
		sha256_hmac(out, key, (size_t)cases[i].key_len, cases[i].data, half, cases[i].data + half,
			strlen(cases[i].data) - half);
		for (j = 0; j < SHA256_BYTES; j++)
			snprintf(hex + 2 * j, 3, "%02x", out[j]);
		assert_string_equal(hex, cases[i].want);
	}
}

/* Every length around a block, against what the definition says of a message in two parts. */
static void
parts_make_no_difference(void **state)
{
	uint8_t whole[SHA256_BYTES], parts[SHA256_BYTES], data[200];
	size_t n, cut;

	(void)state;
	for (n = 0; n < sizeof(data); n++)
		data[n] = (uint8_t)(n * 7);
	for (n = 0; n < sizeof(data); n++) {
		sha256_hmac(whole, "k", 1, data, n, "", 0);
		for (cut = 0; cut <= n; cut++) {
			sha256_hmac(parts, "k", 1, data, cut, data + cut, n - cut);
			assert_memory_equal(whole, parts, SHA256_BYTES);
		}
	}
}

static void
leaves_what_follows(void **state)
{
	uint8_t in[1 + 2 * SHAKE_BYTES + 3] = { 3 };
	struct buf out = { 0 };
	const char *why;
	size_t step, at;

	(void)state;
	memcpy(in + sizeof(in) - 3, "abc", 3);
	for (step = 1; step <= sizeof(in); step = step * 2 + 1) {
		struct shake s = { 0 };
		const uint8_t *p = NULL, *end = NULL;
		int r = 0;

		for (at = 0; at < sizeof(in) && !r; at += step) {
			p = in + at;
			end = in + (at + step < sizeof(in) ? at + step : sizeof(in));
			r = shake_feed(&s, &p, end, &out, &why);
		}
		assert_int_equal(r, 1);
		assert_ptr_equal(p, in + sizeof(in) - 3);
		assert_int_equal(buf_len(&out), 1 + 2 * SHAKE_BYTES);
		buf_clear(&out);
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_is_the_one_of_the_rfc),
		cmocka_unit_test(parts_make_no_difference),
		cmocka_unit_test(leaves_what_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
