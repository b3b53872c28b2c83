#include "hash.h"

#include <errno.h>
#include <limits.h>

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

int
hash_random(void *to, size_t n)
{
	return n <= INT_MAX && RAND_bytes(to, (int)n) == 1 ? 0 : -EIO;
}
