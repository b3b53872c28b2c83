#include "token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "web.h"

#define HEX (2 * HASH_BYTES)
#define EXP_DIGITS 12

/* No difference in time tells how much of it was right. */
static int
differ(const char *a, const char *b, size_t n)
{
	unsigned char d = 0;

	while (n--)
		d |= (unsigned char)*a++ ^ (unsigned char)*b++;
	return d;
}

const char *
token_strip(const struct token_key *key, const char *path, int64_t now_s, const char **why)
{
	const char *exp = path + 2, *hmac, *rest, *stream;
	char text[EXP_DIGITS + 1 + 64 + 1], want[HEX + 1];
	uint8_t mac[HASH_BYTES];
	size_t digits, n;
	int i;

	*why = "this link is not complete\n";
	if (strncmp(path, "p/", 2))
		return NULL;
	digits = strspn(exp, "0123456789");
	hmac = exp + digits + 1;
	if (!digits || digits > EXP_DIGITS || exp[digits] != '/' ||
		strspn(hmac, "0123456789abcdef") != HEX || hmac[HEX] != '/')
		return NULL;
	rest = hmac + HEX + 1;
	stream = !strncmp(rest, "live/", 5) ? rest + 5 : !strncmp(rest, "watch/", 6) ? rest + 6 :
		!strncmp(rest, "archive/", 8) ? rest + 8 : "";
	n = strcspn(stream, "/");
	if (!web_stream_name(stream, n))
		return NULL;
	snprintf(text, sizeof(text), "%.*s/%.*s", (int)digits, exp, (int)n, stream);
	if (hash_hmac(mac, key->secret, key->size, text, strlen(text)) < 0)
		return NULL;
	for (i = 0; i < HASH_BYTES; i++)
		snprintf(want + 2 * i, 3, "%02x", mac[i]);
	*why = "this link is not good for this stream\n";
	if (differ(want, hmac, HEX))
		return NULL;
	*why = "this link is no longer good\n";
	return strtoll(exp, NULL, 10) > now_s ? rest : NULL;
}
