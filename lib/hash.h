/* hash: SHA-256, plain and keyed, and unguessable bytes; the one place that calls OpenSSL for them. */
#ifndef LV_HASH_H
#define LV_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32

int hash_sha256(uint8_t out[HASH_BYTES], const void *data, size_t n); /* 0 or -EIO */
int hash_hmac(uint8_t out[HASH_BYTES], const void *key, size_t, const void *data, size_t); /* SHA-256 */
int hash_file(uint8_t out[HASH_BYTES], int fd, uint64_t offset, uint64_t size); /* -ESTALE: it is shorter */
#define HASH_HEX (2 * HASH_BYTES + 1)
void hash_hex(char hex[HASH_HEX], const uint8_t digest[HASH_BYTES]);
bool hash_same(const void *, const void *, size_t n); /* in a time that tells nothing of where they differ */
#define HASH_MD5_TEXT 25
int hash_md5_text(char text[HASH_MD5_TEXT], const void *, size_t); /* in base64, for Content-MD5 */
#define HASH_MD5_HEX 33
int hash_md5_hex(char hex[HASH_MD5_HEX], const void *, size_t); /* as an ETag has it */
int hash_md5_file(char hex[HASH_MD5_HEX], int fd, uint64_t offset, uint64_t size); /* as an ETag; as hash_file */
int hash_random(void *, size_t n); /* 0 or -EIO */

#endif
