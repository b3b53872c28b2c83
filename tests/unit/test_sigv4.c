/* sigv4: the signatures that Amazon publishes, in its S3 reference and its signer's test suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "sigv4.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key s3 = { "AKIAIOSFODNN7EXAMPLE",
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3" };
static const struct sigv4_key suite = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	"us-east-1", "service" };

static void
signature(const struct sigv4_key *key, const struct sigv4_request *rq, const char *want)
{
	struct buf b = { 0 };
	const char *at;

	assert_int_equal(sigv4_sign(&b, key, rq), 0);
	buf_u8(&b, 0);
	at = strstr((const char *)buf_data(&b), ",Signature=");
	assert_non_null(at);
	assert_string_equal(at + 11, want);
	buf_free(&b);
}

/* "Signature Calculations for the Authorization Header", Amazon S3 API Reference. */
static void
s3_reference(void **state)
{
	static const struct sigv4_pair get[] = { { "host", "examplebucket.s3.amazonaws.com" },
		{ "range", "bytes=0-9" }, { "x-amz-content-sha256", EMPTY },
		{ "x-amz-date", "20130524T000000Z" } };
	static const struct sigv4_pair plain[] = { { "host", "examplebucket.s3.amazonaws.com" },
		{ "x-amz-content-sha256", EMPTY }, { "x-amz-date", "20130524T000000Z" } };
	static const struct sigv4_pair lifecycle[] = { { "lifecycle", "" } };
	static const struct sigv4_pair list[] = { { "prefix", "J" }, { "max-keys", "2" } };
	char hex[SIGV4_HEX];
	const struct sigv4_pair put[] = { { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "x-amz-date", "20130524T000000Z" }, { "x-amz-content-sha256", hex },
		{ "host", "examplebucket.s3.amazonaws.com" },
		{ "date", "Fri, 24 May 2013 00:00:00 GMT" } };

	(void)state;
	assert_int_equal(sigv4_hash(hex, "Welcome to Amazon S3.", 21), 0);
	signature(&s3,
		&(struct sigv4_request){ "GET", "/test.txt", NULL, get, 0, COUNT(get), EMPTY },
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	signature(&s3,
		&(struct sigv4_request){ "PUT", "/test$file.text", NULL, put, 0, COUNT(put), hex },
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	signature(&s3,
		&(struct sigv4_request){ "GET", "/", lifecycle, plain, 1, COUNT(plain), EMPTY },
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	signature(&s3, &(struct sigv4_request){ "GET", "/", list, plain, 2, COUNT(plain), EMPTY },
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* "Signature Version 4 Test Suite": what of it applies to a service that does not normalise. */
static void
test_suite(void **state)
{
	static const struct sigv4_pair vanilla[] = { { "host", "example.amazonaws.com" },
		{ "x-amz-date", "20150830T123600Z" } };
	static const struct sigv4_pair trim[] = { { "host", "example.amazonaws.com" },
		{ "my-header1", " value1" }, { "my-header2", " \"a   b   c\"" },
		{ "x-amz-date", "20150830T123600Z" } };
	static const struct sigv4_pair order[] = { { "Param2", "value2" }, { "Param1", "value1" } };

	(void)state;
	signature(&suite, &(struct sigv4_request){ "GET", "/", NULL, vanilla, 0, 2, EMPTY },
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	signature(&suite, &(struct sigv4_request){ "GET", "/", order, vanilla, 2, 2, EMPTY },
		"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
	signature(&suite, &(struct sigv4_request){ "GET", "/", NULL, trim, 0, 4, EMPTY },
		"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
	signature(&suite, &(struct sigv4_request){ "POST", "/", NULL, vanilla, 0, 2, EMPTY },
		"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
	signature(&suite,
		&(struct sigv4_request){ "GET", "/\xe1\x88\xb4", NULL, vanilla, 0, 2, EMPTY },
		"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
}

static void
targets(void **state)
{
	static const struct sigv4_pair odd[] = { { "prefix", "a b/+%" }, { "a1", "2" }, { "a", "3" },
		{ "delete", "" } };
	static const struct {
		const char *path;
		size_t nquery;
		const char *want;
	} table[] = {
		{ "/", 0, "/" },
		{ "/b/a b+c%d", 0, "/b/a%20b%2Bc%25d" },
		{ "/b//../x/./~'()*!", 0, "/b//../x/./~%27%28%29%2A%21" },
		{ "/b/\xc3\xbc=&?#@,", 0, "/b/%C3%BC%3D%26%3F%23%40%2C" },
		{ "/b", 4, "/b?a=3&a1=2&delete=&prefix=a%20b%2F%2B%25" },
	};
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		buf_clear(&b);
		sigv4_target(&b, &(struct sigv4_request){ .path = table[i].path, .query = odd,
					 .nquery = table[i].nquery });
		buf_u8(&b, 0);
		assert_string_equal((const char *)buf_data(&b), table[i].want);
	}
	buf_free(&b);
}

static void
refused(void **state)
{
	static const struct sigv4_pair bad[] = { { "host", "h" } };
	static struct sigv4_pair many[SIGV4_PAIRS + 1];
	struct buf b = { 0 };
	char text[SIGV4_TIME];

	(void)state;
	assert_int_equal(sigv4_sign(&b, &s3, &(struct sigv4_request){ "GET", "/", NULL, bad, 0, 1, EMPTY }),
		-EINVAL);
	assert_int_equal(sigv4_sign(&b, &s3,
		&(struct sigv4_request){ "GET", "/", NULL, many, 0, COUNT(many), EMPTY }), -E2BIG);
	assert_string_equal(sigv4_time(text, 1369353600), "20130524T000000Z");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s3_reference),
		cmocka_unit_test(test_suite),
		cmocka_unit_test(targets),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
