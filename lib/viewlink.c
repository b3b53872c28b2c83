#include "viewlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "web.h"

#define HEX (HASH_HEX - 1)
#define EXP_DIGITS 12
#define BOUND (EXP_DIGITS + 1 + VIEWLINK_ADDRESS) /* EXP@ADDRESS, with its NUL */

static int
sign(char hex[HASH_HEX], const struct viewlink_key *key, const char *bound, const char *stream, size_t stream_len)
{
	char text[BOUND + 1 + 64 + 1];
	uint8_t mac[HASH_BYTES];
	int r;

	snprintf(text, sizeof(text), "%s/%.*s", bound, (int)stream_len, stream);
	r = hash_hmac(mac, key->secret, key->size, text, strlen(text));
	if (r == 0)
		hash_hex(hex, mac);
	return r;
}

bool
viewlink_address(char text[VIEWLINK_ADDRESS], const char *address)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	uint8_t a[16];

	if (inet_pton(AF_INET, address, a) == 1)
		return inet_ntop(AF_INET, a, text, VIEWLINK_ADDRESS) != NULL;
	if (inet_pton(AF_INET6, address, a) != 1)
		return false;
	if (!memcmp(a, mapped, sizeof(mapped)))
		return inet_ntop(AF_INET, a + 12, text, VIEWLINK_ADDRESS) != NULL;
	return inet_ntop(AF_INET6, a, text, VIEWLINK_ADDRESS) != NULL;
}

int
viewlink_make(char text[VIEWLINK_TEXT], const struct viewlink_key *key, const char *stream, int64_t exp_s,
	const char *address)
{
	char bound[BOUND], hex[HASH_HEX];
	int r;

	snprintf(bound, sizeof(bound), "%" PRId64 "%s%s", exp_s, address ? "@" : "", address ? address : "");
	if ((r = sign(hex, key, bound, stream, strlen(stream))) == 0)
		snprintf(text, VIEWLINK_TEXT, "/p/%s/%s", bound, hex);
	return r;
}

/* The stream that a path behind a prefix is about; its length, 0 for none. */
static size_t
stream_of(const char *rest, const char **stream)
{
	static const char *const below[] = { "live/", "watch/", "archive/", "check/" };
	size_t i, n;

	for (i = 0; i < sizeof(below) / sizeof(*below); i++)
		if (!strncmp(rest, below[i], n = strlen(below[i]))) {
			*stream = rest + n;
			n = strcspn(*stream, "/");
			return web_stream_name(*stream, n) ? n : 0;
		}
	return 0;
}

const char *
viewlink_strip(const struct viewlink_key *key, const char *path, const char *remote, int64_t now_s, const char **why)
{
	char bound[BOUND], want[HASH_HEX], address[VIEWLINK_ADDRESS];
	const char *hmac, *rest, *stream;
	size_t len, digits, n;

	*why = "this link is not complete\n";
	if (strncmp(path, "p/", 2))
		return NULL;
	path += 2;
	len = strcspn(path, "/");
	digits = strspn(path, "0123456789");
	hmac = path + len + 1;
	if (!path[len] || !digits || digits > EXP_DIGITS || len >= sizeof(bound) || (path[digits] != '@' && digits != len) ||
		strspn(hmac, "0123456789abcdef") != HEX || hmac[HEX] != '/')
		return NULL;
	rest = hmac + HEX + 1;
	if (!(n = stream_of(rest, &stream)))
		return NULL;
	memcpy(bound, path, len);
	bound[len] = '\0';
	*why = "this link is not good for this stream\n";
	if (sign(want, key, bound, stream, n) < 0 || !hash_same(want, hmac, HEX))
		return NULL;
	*why = "this link is for another address\n";
	if (digits != len && (!viewlink_address(address, remote) || strcmp(bound + digits + 1, address)))
		return NULL;
	*why = "this link is no longer good\n";
	return strtoll(bound, NULL, 10) > now_s ? rest : NULL;
}
