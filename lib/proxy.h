/*
 * proxy: what a front end says of the connection that it passes on, before the connection's own
 * bytes: the PROXY protocol, versions 1 and 2; no I/O.
 *
 * Shape:  read as many bytes as proxy_want says, at most, until it gives 0: what follows the header
 *         is left where it is.  Then proxy_parse.
 * Limits: PROXY_MAX bytes; what comes after the addresses (TLVs) is skipped.
 * Errors: -EBADMSG for what is no header.
 * Spec:   haproxy's doc/proxy-protocol.txt, 2.1 and 2.2.
 */
#ifndef LV_PROXY_H
#define LV_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXY_MAX 2064 /* 16 and the rest */

struct proxy {
	bool known; /* false: the front end speaks for itself, or does not know */
	char ip[48], local_ip[48];
	uint16_t port, local_port;
};

int proxy_want(const uint8_t *head, size_t n); /* bytes still to come, 0: it is whole, or an error */
int proxy_parse(const uint8_t *head, size_t n, struct proxy *); /* 0 or an error */

#endif
