/* forge: tokens made by hand, so that what no honest signer writes can be tried. */
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "hash.h"

static inline void
forge_base64(struct buf *out, const void *from, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = from;
	size_t i, bits;

	for (i = 0, bits = n * 8; i < bits; i += 6) {
		unsigned two = (unsigned)p[i / 8] << 8 | (i / 8 + 1 < n ? p[i / 8 + 1] : 0u);

		buf_u8(out, (uint8_t)digits[two >> (10 - i % 8) & 63]);
	}
}

/* A compact JWS with HMAC-SHA-256, whatever its header says. */
static inline void
forge_token(struct buf *out, const char *header, const void *claims, size_t n, const void *secret,
	size_t secret_size)
{
	uint8_t mac[HASH_BYTES];

	buf_clear(out);
	forge_base64(out, header, strlen(header));
	buf_u8(out, '.');
	forge_base64(out, claims, n);
	hash_hmac(mac, secret, secret_size, buf_data(out), buf_len(out));
	buf_u8(out, '.');
	forge_base64(out, mac, sizeof(mac));
}
