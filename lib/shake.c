#include "shake.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "sha256.h"

#define DIGEST SHA256_BYTES
#define SPAN 728 /* a digest lies somewhere in so many bytes */

/* What players and servers sign with, and what either adds to its name to sign S2. */
#define COMMON "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57" \
	"\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"
static const char player_key[] = "Genuine Adobe Flash Player 001";
static const char server_key[] = "Genuine Adobe Flash Media Server 001";
static const char server_whole[] = "Genuine Adobe Flash Media Server 001" COMMON;

/* Where the digest is, by the four bytes at base. */
static size_t
digest_at(const uint8_t *c, size_t base)
{
	return base + 4 + (size_t)(c[base] + c[base + 1] + c[base + 2] + c[base + 3]) % SPAN;
}

static void
sign(uint8_t out[DIGEST], const uint8_t *c, size_t at, const char *key, size_t nkey)
{
	sha256_hmac(out, key, nkey, c, at, c + at + DIGEST, SHAKE_BYTES - at - DIGEST);
}

static bool
signed_at(const uint8_t *c1, size_t base)
{
	uint8_t digest[DIGEST];
	size_t at = digest_at(c1, base);

	sign(digest, c1, at, player_key, sizeof(player_key) - 1);
	return !memcmp(c1 + at, digest, DIGEST);
}

static void
answer(const uint8_t *c1, struct buf *out)
{
	static const size_t bases[] = { 772, 8 };
	static const uint8_t version[] = { 4, 5, 0, 1 };
	uint8_t s1[SHAKE_BYTES] = { 0 }, s2[SHAKE_BYTES], key[DIGEST];
	size_t i, base = 0, at;

	for (i = 8; i < SHAKE_BYTES; i++) /* "random": its only use is to be echoed */
		s1[i] = (uint8_t)(c1[i] ^ (i * 37));
	memcpy(s2, c1, SHAKE_BYTES);
	for (i = 0; i < 2 && !base && (c1[4] || c1[5] || c1[6] || c1[7]); i++)
		if (signed_at(c1, bases[i]))
			base = bases[i];
	if (base) {
		memcpy(s1 + 4, version, sizeof(version));
		at = digest_at(s1, base);
		sign(s1 + at, s1, at, server_key, sizeof(server_key) - 1);
		sha256_hmac(key, server_whole, sizeof(server_whole) - 1, c1 + digest_at(c1, base), DIGEST, "",
			0);
		sha256_hmac(s2 + SHAKE_BYTES - DIGEST, key, DIGEST, s2, SHAKE_BYTES - DIGEST, "", 0);
	}
	buf_u8(out, 3);
	buf_append(out, s1, sizeof(s1));
	buf_append(out, s2, sizeof(s2));
}

/* Gathers want bytes: true when they are there. */
static bool
gather(struct shake *s, const uint8_t **at, const uint8_t *end, size_t want)
{
	size_t n = (size_t)(end - *at);

	if (n > want - s->have)
		n = want - s->have;
	memcpy(s->bytes + s->have, *at, n);
	*at += n;
	s->have += n;
	if (s->have < want)
		return false;
	s->have = 0;
	s->want++;
	return true;
}

static const char *
stranger(uint8_t c0)
{
	if (c0 == 0x16)
		return "TLS on a plain RTMP port";
	if (memchr("GPHOCDT", c0, 7))
		return "HTTP on an RTMP port";
	if (c0 == 6 || c0 == 8)
		return "RTMPE is not spoken here, RTMPS may be";
	return c0 == 3 ? NULL : "not RTMP";
}

int
shake_feed(struct shake *s, const uint8_t **at, const uint8_t *end, struct buf *out, const char **why)
{
	if (s->want == SHAKE_C0) {
		if (!gather(s, at, end, 1))
			return 0;
		if ((*why = stranger(s->bytes[0])))
			return -EPROTO;
	}
	if (s->want == SHAKE_C1) {
		if (!gather(s, at, end, SHAKE_BYTES))
			return 0;
		answer(s->bytes, out);
	}
	return s->want == SHAKE_DONE || gather(s, at, end, SHAKE_BYTES);
}
