/* ticket: what is signed is believed, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/forge.h"
#include "ticket.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NOW 1764000000
#define SECRET "0123456789abcdef0123456789abcdef"
#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const char private_pem[] = "-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjI44LMP2udHAkfd9\n"
	"lsqhNafFd8GObYor4zWVsvifviChRANCAARQgzHxiuAeWnaaAUKg8yhBb7lbIf8S\n"
	"mDNIMb/oYMZSQz3wSo69Rk6Hq2V3Pmw5IkyH37eet6Asw/MFeLBZH0Xa\n"
	"-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUIMx8YrgHlp2mgFCoPMoQW+5WyH/\n"
	"EpgzSDG/6GDGUkM98EqOvUZOh6tldz5sOSJMh9+3nregLMPzBXiwWR9F2g==\n"
	"-----END PUBLIC KEY-----\n";
static const char other_pem[] = "-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcL1wfJ6dDvxj8u/5Cs7jUwvg3hNs\n"
	"fFWzx0IUkc/FkHC5yrQcMAtDYjQPJ0xKjS69Ks0xqQLI05leLWpiIx4ybg==\n"
	"-----END PUBLIC KEY-----\n";

static struct ticket_key *
key_of(const char *text)
{
	struct ticket_key *k;

	assert_int_equal(ticket_key_new(&k, text, strlen(text)), 0);
	return k;
}

static int
try(const struct ticket_key *k, const struct buf *token, struct ticket *t)
{
	const char *why;

	return ticket_read(t, k, (const char *)buf_data(token), buf_len(token), "lv-chatd", NOW, &why);
}

static void
round_trip(void **state)
{
	static const char *const keys[][2] = { { SECRET, SECRET "\n" }, { private_pem, public_pem } };
	struct ticket in = { .user = "42", .name = "Zo\xc3\xab", .stream = "alice", .role = TICKET_MOD,
		.badges = { "founder", "vip" }, .badge_count = 2, .tier = 2, .followed_s = 1600000000,
		.exp_s = NOW + 600 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++) {
		struct ticket_key *sign = key_of(keys[i][0]), *check = key_of(keys[i][1]);
		struct buf token = { 0 };
		struct ticket out;

		assert_int_equal(ticket_write(&token, sign, &in, "lv-chatd", NOW), 0);
		assert_int_equal(try(check, &token, &out), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		buf_data(&token)[buf_len(&token) - 10] ^= 1;
		assert_int_equal(try(check, &token, &out), -EACCES);
		buf_free(&token);
		ticket_key_free(&sign);
		ticket_key_free(&check);
	}
}

static void
keys_and_who_may_sign(void **state)
{
	struct ticket_key *pub = key_of(public_pem), *other = key_of(other_pem), *sign, *k;
	struct ticket t = { .user = "1", .name = "1", .stream = "a", .exp_s = NOW + 60 };
	struct buf token = { 0 };

	(void)state;
	assert_int_equal(ticket_key_new(&k, "short", 5), -EINVAL);
	assert_int_equal(ticket_key_new(&k, "0123456789abcdef0123456789abcde\n\n\n", 34), -EINVAL);
	assert_int_equal(ticket_write(&token, pub, &t, "lv-chatd", NOW), -EINVAL);
	sign = key_of(private_pem);
	assert_int_equal(ticket_write(&token, sign, &t, "lv-chatd", NOW), 0);
	assert_int_equal(try(pub, &token, &t), 0);
	assert_int_equal(try(other, &token, &t), -EACCES);
	buf_free(&token);
	ticket_key_free(&sign);
	ticket_key_free(&other);
	ticket_key_free(&pub);
}

/* The faults of libjwt 1.10 that lib/ticket makes up for, and other lies about the algorithm. */
static void
algorithms(void **state)
{
	static const char claims[] = "{\"iss\":\"lv-auth\",\"aud\":\"lv-chatd\",\"sub\":\"1\","
				     "\"stream\":\"a\",\"exp\":1764000100}";
	struct ticket_key *secret = key_of(SECRET), *pub = key_of(public_pem);
	struct buf token = { 0 };
	struct ticket t;
	size_t dot;

	(void)state;
	forge_token(&token, HS, claims, strlen(claims), SECRET, strlen(SECRET));
	assert_int_equal(try(secret, &token, &t), 0);
	forge_token(&token, HS, claims, strlen(claims), public_pem, strlen(public_pem));
	assert_int_equal(try(pub, &token, &t), -EACCES); /* a public key is no secret */
	forge_token(&token, "{\"alg\":\"none\"}", claims, strlen(claims), SECRET, strlen(SECRET));
	assert_int_equal(try(secret, &token, &t), -EACCES);
	for (dot = buf_len(&token); buf_data(&token)[dot - 1] != '.'; dot--)
		;
	token.end = token.start + dot; /* none, with an empty signature */
	assert_int_equal(try(secret, &token, &t), -EACCES);
	assert_int_equal(try(pub, &token, &t), -EACCES);
	forge_token(&token, "{\"alg\":\"HS512\"}", claims, strlen(claims), SECRET, strlen(SECRET));
	assert_int_equal(try(secret, &token, &t), -EACCES);
	forge_token(&token, "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", claims, strlen(claims),
		SECRET, strlen(SECRET));
	assert_int_equal(try(secret, &token, &t), -EACCES);
	buf_free(&token);
	ticket_key_free(&secret);
	ticket_key_free(&pub);
}

#define CLAIMS(rest) "{\"iss\":\"lv-auth\",\"aud\":\"lv-chatd\"," rest "}"
#define GOOD "\"sub\":\"1\",\"stream\":\"a\",\"exp\":1764000100"

static void
claims(void **state)
{
	static const struct {
		const char *claims;
		int r;
	} table[] = {
		{ CLAIMS(GOOD), 0 },
		{ CLAIMS(GOOD ",\"nbf\":1764000020,\"iat\":1763999000"), 0 }, /* within the skew */
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\""), -EACCES },             /* no end */
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\",\"exp\":1763999990"), 0 }, /* within the skew */
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\",\"exp\":1763999970"), -EACCES },
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\",\"exp\":\"1764000100\""), -EACCES },
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\",\"exp\":-1"), -EACCES },
		{ CLAIMS("\"sub\":\"1\",\"stream\":\"a\",\"exp\":9223372036854775807"), 0 },
		{ CLAIMS(GOOD ",\"nbf\":1764000100"), -EACCES },
		{ CLAIMS(GOOD ",\"iat\":1764000100"), -EACCES },
		{ CLAIMS("\"stream\":\"a\",\"exp\":1764000100"), -EACCES },
		{ CLAIMS("\"sub\":7,\"stream\":\"a\",\"exp\":1764000100"), -EACCES },
		{ CLAIMS("\"sub\":\"\",\"stream\":\"a\",\"exp\":1764000100"), -EACCES },
		{ CLAIMS("\"sub\":\"1\",\"exp\":1764000100"), -EACCES },
		{ CLAIMS(GOOD ",\"name\":\"a\\nb\""), -EACCES },
		{ CLAIMS(GOOD ",\"name\":\"\\u202eab\""), -EACCES },
		{ CLAIMS(GOOD ",\"role\":\"king\""), -EACCES },
		{ CLAIMS(GOOD ",\"role\":2"), -EACCES },
		{ CLAIMS(GOOD ",\"badges\":\"vip\""), -EACCES },
		{ CLAIMS(GOOD ",\"badges\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]"), -EACCES },
		{ CLAIMS(GOOD ",\"badges\":[1]"), -EACCES },
		{ CLAIMS(GOOD ",\"tier\":101"), -EACCES },
		{ CLAIMS(GOOD ",\"followed_at\":\"x\""), -EACCES },
		{ "{\"iss\":\"x\",\"aud\":\"lv-chatd\"," GOOD "}", -EACCES },
		{ "{\"aud\":\"lv-chatd\"," GOOD "}", -EACCES },
		{ "{\"iss\":\"lv-auth\"," GOOD "}", -EACCES },
		{ "{\"iss\":\"lv-auth\",\"aud\":\"lv-serve\"," GOOD "}", -EACCES },
		{ "{\"iss\":\"lv-auth\",\"aud\":[\"x\",\"lv-chatd\"]," GOOD "}", 0 },
		{ "{\"iss\":\"lv-auth\",\"aud\":[\"x\"]," GOOD "}", -EACCES },
		{ "[]", -EACCES },
		{ "{", -EACCES },
		{ "", -EACCES },
	};
	struct ticket_key *k = key_of(SECRET);
	struct buf token = { 0 };
	struct ticket t;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		forge_token(&token, HS, table[i].claims, strlen(table[i].claims), SECRET, strlen(SECRET));
		if (try(k, &token, &t) != table[i].r)
			fail_msg("%s: not %d", table[i].claims, table[i].r);
	}
	buf_free(&token);
	ticket_key_free(&k);
}

/* A person without a name is shown by the id, cut where a character ends. */
static void
names(void **state)
{
	char claims[400], user[TICKET_USER_MAX + 1] = "";
	struct ticket_key *k = key_of(SECRET);
	struct buf token = { 0 };
	struct ticket t;
	size_t i;

	(void)state;
	user[0] = 'a';
	for (i = 0; i < 40; i++)
		memcpy(user + 1 + i * 2, "\xc3\xa9", 3);
	snprintf(claims, sizeof(claims),
		CLAIMS("\"sub\":\"%s\",\"stream\":\"*\",\"exp\":1764000100"), user);
	forge_token(&token, HS, claims, strlen(claims), SECRET, strlen(SECRET));
	assert_int_equal(try(k, &token, &t), 0);
	assert_int_equal(strlen(t.name), 63);
	assert_memory_equal(t.name, user, 63);
	buf_free(&token);
	ticket_key_free(&k);
}

static void
sizes(void **state)
{
	char claims[3000];
	struct ticket_key *k = key_of(SECRET);
	struct buf token = { 0 };
	struct ticket t;
	const char *why;

	(void)state;
	snprintf(claims, sizeof(claims), CLAIMS(GOOD ",\"x\":\"%02000d\""), 7);
	forge_token(&token, HS, claims, strlen(claims), SECRET, strlen(SECRET));
	assert_int_equal(try(k, &token, &t), -EACCES);
	assert_int_equal(ticket_read(&t, k, "", 0, "lv-chatd", NOW, &why), -EACCES);
	assert_int_equal(ticket_read(&t, k, "a.b.c", 5, "lv-chatd", NOW, &why), -EACCES);
	assert_int_equal(ticket_read(&t, k, "a\0b", 3, "lv-chatd", NOW, &why), -EACCES);
	buf_free(&token);
	ticket_key_free(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(keys_and_who_may_sign),
		cmocka_unit_test(algorithms),
		cmocka_unit_test(claims),
		cmocka_unit_test(names),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
