#include "hash.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

int
hash_sha256(uint8_t out[HASH_BYTES], const void *data, size_t n)
{
	return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

int
hash_hmac(uint8_t out[HASH_BYTES], const void *key, size_t nkey, const void *data, size_t n)
{
	return nkey <= INT_MAX && HMAC(EVP_sha256(), key, (int)nkey, data, n, out, NULL) ? 0 : -EIO;
}

void
hash_hex(char hex[HASH_HEX], const uint8_t digest[HASH_BYTES])
{
	size_t i;

	for (i = 0; i < HASH_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

bool
hash_same(const void *a, const void *b, size_t n)
{
	return !CRYPTO_memcmp(a, b, n);
}

int
hash_random(void *to, size_t n)
{
	return n <= INT_MAX && RAND_bytes(to, (int)n) == 1 ? 0 : -EIO;
}

static int
digest_file(uint8_t *out, const EVP_MD *kind, int fd, uint64_t offset, uint64_t size)
{
	static uint8_t part[64 << 10];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint64_t at = 0;
	ssize_t n;
	int r = ctx && EVP_DigestInit_ex(ctx, kind, NULL) == 1 ? 0 : -EIO;

	while (!r && at < size) {
		n = pread(fd, part, size - at < sizeof(part) ? (size_t)(size - at) : sizeof(part),
			(off_t)(offset + at));
		if (n <= 0)
			r = n < 0 ? -errno : -ESTALE;
		else if (EVP_DigestUpdate(ctx, part, (size_t)n) != 1)
			r = -EIO;
		else
			at += (uint64_t)n;
	}
	if (!r && EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		r = -EIO;
	EVP_MD_CTX_free(ctx);
	return r;
}

int
hash_file(uint8_t out[HASH_BYTES], int fd, uint64_t offset, uint64_t size)
{
	return digest_file(out, EVP_sha256(), fd, offset, size);
}

static int
write_hex(char hex[HASH_MD5_HEX], const uint8_t digest[16])
{
	size_t i;

	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int
hash_md5_file(char hex[HASH_MD5_HEX], int fd, uint64_t offset, uint64_t size)
{
	uint8_t digest[16];
	int r = digest_file(digest, EVP_md5(), fd, offset, size);

	return r < 0 ? r : write_hex(hex, digest);
}

int
hash_md5_text(char text[HASH_MD5_TEXT], const void *data, size_t n)
{
	uint8_t digest[16];

	if (EVP_Digest(data, n, digest, NULL, EVP_md5(), NULL) != 1)
		return -EIO;
	EVP_EncodeBlock((uint8_t *)text, digest, sizeof(digest));
	return 0;
}

int
hash_md5_hex(char hex[HASH_MD5_HEX], const void *data, size_t n)
{
	uint8_t digest[16];

	return EVP_Digest(data, n, digest, NULL, EVP_md5(), NULL) != 1 ? -EIO : write_hex(hex, digest);
}
