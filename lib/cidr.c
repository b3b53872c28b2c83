#include "cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* The address as IPv6; gives its bits, 32 or 128, or 0 when it is none. */
static int
take_address(uint8_t bytes[16], const char *ip)
{
	if (inet_pton(AF_INET, ip, bytes + 12) == 1) {
		memcpy(bytes, mapped, sizeof(mapped));
		return 32;
	}
	return inet_pton(AF_INET6, ip, bytes) == 1 ? 128 : 0;
}

int
cidr_parse(struct cidr *c, const char *text)
{
	const char *slash = strchr(text, '/');
	int n = slash ? (int)(slash - text) : (int)strlen(text), bits, width;
	char ip[48], *end;

	if (n >= (int)sizeof(ip))
		return -EINVAL;
	snprintf(ip, sizeof(ip), "%.*s", n, text);
	if (!(width = take_address(c->bytes, ip)))
		return -EINVAL;
	bits = width;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = (int)strtol(slash + 1, &end, 10);
		if (*end || bits > width)
			return -EINVAL;
	}
	c->bits = bits + 128 - width;
	return 0;
}

bool
cidr_holds(const struct cidr *c, const char *ip)
{
	uint8_t bytes[16];
	int whole = c->bits / 8, rest = c->bits % 8;

	if (!take_address(bytes, ip) || memcmp(bytes, c->bytes, (size_t)whole))
		return false;
	return !rest || (bytes[whole] ^ c->bytes[whole]) >> (8 - rest) == 0;
}

void
cidr_customer(char to[48], const char *ip)
{
	uint8_t bytes[16];

	if (!take_address(bytes, ip)) {
		snprintf(to, 48, "%s", ip);
	} else if (!memcmp(bytes, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, bytes + sizeof(mapped), to, 48);
	} else {
		memset(bytes + 8, 0, 8);
		inet_ntop(AF_INET6, bytes, to, 48);
	}
}
