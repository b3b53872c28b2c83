/*
 * Addresses: who may come at all, and how often.  IPv6 counts by its /64, which is what one customer
 * has.  The table is small and forgets: the oldest of a few places gives way to a newcomer.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "die.h"
#include "door.h"

#define BLOCKS 256
#define PLACES 4096 /* a power of two */
#define NEAR 8      /* places that an address may have */
#define WINDOW_MS 60000

static struct blocks {
	struct cidr all[BLOCKS];
	int n;
} allowed, denied, proxies;

static struct place {
	uint8_t net[8]; /* of IPv6; an IPv4 address behind zeros */
	int64_t since;  /* 0: free */
	int came, failed;
} places[PLACES];

static void
take(struct blocks *b, char **texts, const char *option)
{
	for (; texts && *texts; texts++) {
		if (b->n == BLOCKS)
			die(EX_USAGE, 0, "more than %d times %s", BLOCKS, option);
		if (cidr_parse(&b->all[b->n++], *texts) < 0)
			die(EX_USAGE, 0, "%s %s: not an address, nor one with /BITS", option, *texts);
	}
}

static bool
holds(const struct blocks *b, const char *ip)
{
	int i = 0;

	while (i < b->n && !cidr_holds(&b->all[i], ip))
		i++;
	return i < b->n;
}

void
address_options(char **allow, char **deny, char **proxy)
{
	take(&allowed, allow, "--allow");
	take(&denied, deny, "--deny");
	take(&proxies, proxy, "--proxy-from");
}

bool
address_front_end(const char *ip)
{
	return holds(&proxies, ip);
}

static void
net_of(const char *ip, uint8_t net[8])
{
	uint8_t bytes[16] = { 0 };

	memset(net, 0, 8);
	if (inet_pton(AF_INET, ip, net + 4) != 1 && inet_pton(AF_INET6, ip, bytes) == 1)
		memcpy(net, bytes, 8);
}

/* The address's place in this minute; what no longer counts, or is oldest, makes room. */
static struct place *
place_of(const char *ip, int64_t now)
{
	uint8_t net[8];
	uint32_t h = 2166136261U;
	struct place *p, *oldest = NULL;
	int i;

	net_of(ip, net);
	for (i = 0; i < 8; i++)
		h = (h ^ net[i]) * 16777619U;
	for (i = 0; i < NEAR; i++) {
		p = &places[(h + (uint32_t)i) & (PLACES - 1)];
		if (p->since && now - p->since >= WINDOW_MS)
			p->since = 0;
		if (p->since && !memcmp(p->net, net, sizeof(net)))
			return p;
		if (!oldest || p->since < oldest->since)
			oldest = p;
	}
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->net, net, sizeof(net));
	oldest->since = now;
	return oldest;
}

const char *
address_refusal(const char *ip, bool exempt)
{
	struct place *p;

	if (holds(&denied, ip) || (allowed.n && !holds(&allowed, ip)))
		return "this address may not publish";
	if (exempt)
		return NULL;
	p = place_of(ip, clock_mono_ms());
	p->came++;
	if (p->failed >= door.max_failures_address)
		return "too many refusals of this address in a minute";
	return p->came > door.max_rate_address ? "too many connections from this address in a minute" : NULL;
}

void
address_failed(const char *ip)
{
	place_of(ip, clock_mono_ms())->failed++;
}
