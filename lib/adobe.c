#include "adobe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

#define REJECT "[ AccessManager.Reject ] : "

/* A value of the query; false when it is not there, empty, or too long. */
static bool
take_value(const char *query, const char *name, char *to, size_t cap)
{
	size_t len = strlen(name), n;

	*to = '\0';
	for (; query; query = strchr(query, '&') ? strchr(query, '&') + 1 : NULL) {
		if (strncmp(query, name, len) || query[len] != '=')
			continue;
		query += len + 1;
		n = strcspn(query, "&");
		if (!n || n >= cap)
			return false;
		memcpy(to, query, n);
		to[n] = '\0';
		return true;
	}
	return false;
}

static void
make_token(const struct adobe *a, const char *user, int64_t s, char token[ADOBE_TOKEN])
{
	uint8_t mac[SHA256_BYTES];
	int i;

	snprintf(token, ADOBE_TOKEN, "%08x", (unsigned)s);
	sha256_hmac(mac, a->secret, sizeof(a->secret), token, 8, user, strlen(user));
	for (i = 0; i < 16; i++)
		snprintf(token + 8 + 2 * i, 3, "%02x", mac[i]);
}

static bool
ours(const struct adobe *a, const char *user, const char *token)
{
	char want[ADOBE_TOKEN], time[9];
	volatile char differ = 0;
	int64_t s;
	int i;

	if (strlen(token) != ADOBE_TOKEN - 1)
		return false;
	memcpy(time, token, 8);
	time[8] = '\0';
	s = (int64_t)strtoul(time, NULL, 16);
	make_token(a, user, s, want);
	for (i = 0; i < ADOBE_TOKEN - 1; i++)
		differ |= (char)(want[i] ^ token[i]);
	return !differ && s <= a->now_s && a->now_s - s <= ADOBE_SECONDS;
}

bool
adobe_take(const struct adobe *a, const char *query, struct adobe_answer *to, char text[ADOBE_TEXT])
{
	char mode[8], token[ADOBE_TOKEN];

	memset(to, 0, sizeof(*to));
	if (!take_value(query, "authmod", mode, sizeof(mode)) || strcmp(mode, "adobe") ||
		!take_value(query, "user", to->user, sizeof(to->user))) {
		snprintf(text, ADOBE_TEXT, REJECT "[ code=403 need auth; authmod=adobe ] : ");
		return false;
	}
	if (!take_value(query, "response", to->response, sizeof(to->response))) {
		make_token(a, to->user, a->now_s, token); /* some echo the one, some the other */
		snprintf(text, ADOBE_TEXT, REJECT "[ authmod=adobe ] : ?reason=needauth&user=%s&salt=%s"
			"&challenge=%s&opaque=%s", to->user, ADOBE_SALT, token, token);
		return false;
	}
	if (take_value(query, "challenge", to->own, sizeof(to->own)) &&
		take_value(query, "opaque", to->challenge, sizeof(to->challenge)) &&
		ours(a, to->user, to->challenge))
		return true;
	snprintf(text, ADOBE_TEXT, REJECT "[ authmod=adobe ] : ?reason=authfailed");
	return false;
}
