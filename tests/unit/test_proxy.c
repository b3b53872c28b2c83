#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cidr.h"
#include "proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *bytes;
	size_t n;
	int error;
	const char *want; /* "ip port local_ip local_port", NULL: not known */
} table[] = {
	{ BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 50122 1935\r\n"), 0, "203.0.113.7 50122 192.0.2.1 1935" },
	{ BYTES("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), 0, "2001:db8::7 1 ::1 65535" },
	{ BYTES("PROXY TCP6 ::ffff:203.0.113.7 ::FFFF:c000:201 1 2\r\n"), 0, "203.0.113.7 1 192.0.2.1 2" },
	{ BYTES("PROXY UNKNOWN\r\n"), 0, NULL },
	{ BYTES("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), 0, NULL },
	{ BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 50122 65536\r\n"), -EBADMSG, NULL },
	{ BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 50122 -1\r\n"), -EBADMSG, NULL },
	{ BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 50122 1935 9\r\n"), -EBADMSG, NULL },
	{ BYTES("PROXY TCP4 203.0.113.7  192.0.2.1 50122 1935\r\n"), -EBADMSG, NULL },
	{ BYTES("PROXY TCP4 2001:db8::7 ::1 1 2\r\n"), -EBADMSG, NULL },
	{ BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 50122 1935\n"), -EBADMSG, NULL },
	{ BYTES("PROXY UDP4 203.0.113.7 192.0.2.1 50122 1935\r\n"), -EBADMSG, NULL },
	{ BYTES("GET / HTTP/1.1\r\n"), -EBADMSG, NULL },
	{ BYTES("\3"), -EBADMSG, NULL },
	{ BYTES(V2 "\x21\x11\0\14\xcb\0\x71\7\xc0\0\2\1\xc3\xca\7\x8f"), 0, "203.0.113.7 50122 192.0.2.1 1935" },
	{ BYTES(V2 "\x21\x11\0\17\xcb\0\x71\7\xc0\0\2\1\xc3\xca\7\x8f\4\0\0"), 0, /* and a TLV */
		"203.0.113.7 50122 192.0.2.1 1935" },
	{ BYTES(V2 "\x21\x21\0\44" "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		"\0\1\0\2"), 0, "2001:db8::7 1 ::1 2" },
	{ BYTES(V2 "\x21\x21\0\44" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\7" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
		"\0\1\0\2"), 0, "203.0.113.7 1 192.0.2.1 2" },
	{ BYTES(V2 "\x20\0\0\0"), 0, NULL }, /* LOCAL */
	{ BYTES(V2 "\x21\x31\0\2ab"), 0, NULL }, /* a Unix socket: skipped */
	{ BYTES(V2 "\x11\x11\0\14\xcb\0\x71\7\xc0\0\2\1\xc3\xca\7\x8f"), -EBADMSG, NULL },
	{ BYTES(V2 "\x22\x11\0\14\xcb\0\x71\7\xc0\0\2\1\xc3\xca\7\x8f"), -EBADMSG, NULL },
	{ BYTES(V2 "\x21\x11\0\13\xcb\0\x71\7\xc0\0\2\1\xc3\xca\7"), -EBADMSG, NULL }, /* too short */
	{ BYTES(V2 "\x21\x11\x10\0"), -EBADMSG, NULL }, /* too long */
};

/* As a reader does: what follows the header is never asked for. */
static void
reads_no_further_than_the_header(void **state)
{
	uint8_t head[PROXY_MAX];
	char got[128];
	struct proxy p;
	size_t i, n, some, step;
	int want;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		for (step = 1; step < 300; step += 149) {
			for (n = 0; (want = proxy_want(head, n)) > 0; n += some) {
				some = (size_t)want < step ? (size_t)want : step;
				if (n + some > table[i].n && table[i].error)
					break; /* it would wait for more, in vain */
				assert_true(n + some <= table[i].n);
				memcpy(head + n, table[i].bytes + n, some);
			}
			if (!want)
				want = proxy_parse(head, n, &p);
			if (table[i].error) {
				assert_int_not_equal(want, 0);
				continue;
			}
			assert_int_equal(want, 0);
			assert_int_equal(n, table[i].n);
			assert_int_equal(p.known, table[i].want != NULL);
			snprintf(got, sizeof(got), "%s %u %s %u", p.ip, p.port, p.local_ip, p.local_port);
			if (p.known)
				assert_string_equal(got, table[i].want);
		}
}

static void
blocks_hold_their_addresses(void **state)
{
	static const struct {
		const char *block, *ip;
		bool holds;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", true }, { "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true }, { "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.200", true }, { "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false }, { "0.0.0.0/0", "198.51.100.1", true },
		{ "0.0.0.0/0", "2001:db8::1", false }, { "::/0", "198.51.100.1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true }, { "::1", "unknown", false },
	};
	static const char *const bad[] = { "", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
		"::/129", "10.0.0/8", "/8" };
	struct cidr c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(cidr_parse(&c, cases[i].block), 0);
		if (cidr_holds(&c, cases[i].ip) != cases[i].holds)
			fail_msg("%s %s", cases[i].block, cases[i].ip);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(cidr_parse(&c, bad[i]), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_no_further_than_the_header),
		cmocka_unit_test(blocks_hold_their_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
