/*
 * cidr: a block of addresses, "10.0.0.0/8", "2001:db8::/32", or one address alone.
 *
 * An IPv4 address inside IPv6 (::ffff:a.b.c.d) is the IPv4 address.
 * Errors: 0, or -EINVAL for what is no block.
 */
#ifndef LV_CIDR_H
#define LV_CIDR_H

#include <stdbool.h>
#include <stdint.h>

struct cidr {
	uint8_t bytes[16]; /* as IPv6 */
	int bits;
};

int cidr_parse(struct cidr *, const char *text);
bool cidr_holds(const struct cidr *, const char *ip); /* false for what is no address */
/* What one customer has, to count by: an IPv4 address, the /64 of an IPv6 one; no address as it is. */
void cidr_customer(char to[48], const char *ip);

#endif
