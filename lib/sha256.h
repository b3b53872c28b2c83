/*
 * sha256: SHA-256 keyed by HMAC, for the RTMP handshake alone, whose session links nothing but libc.
 * No secret hangs on it: for those see hash.h.
 *
 * Spec:   FIPS 180-4, 6.2; RFC 2104.
 * Limits: messages under 512 MB, keys of any length.
 */
#ifndef LV_SHA256_H
#define LV_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

/* Over a, then b. */
void sha256_hmac(uint8_t out[SHA256_BYTES], const void *key, size_t nkey, const void *a, size_t na,
	const void *b, size_t nb);

#endif
