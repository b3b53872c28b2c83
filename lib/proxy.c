#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define LINE_MIN 15 /* "PROXY UNKNOWN" and its end: shorter than any */
#define LINE_MAX_1 107
#define FIXED 16

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool
begins(const uint8_t *head, size_t n, const void *with, size_t m)
{
	return !memcmp(head, with, n < m ? n : m);
}

int
proxy_want(const uint8_t *head, size_t n)
{
	size_t whole;

	if (begins(head, n, signature, sizeof(signature))) {
		if (n < FIXED)
			return (int)(n < LINE_MIN ? LINE_MIN - n : FIXED - n);
		whole = FIXED + get_be16(head + 14);
		return whole > PROXY_MAX ? -EBADMSG : (int)(whole - n);
	}
	if (!begins(head, n, "PROXY ", 6))
		return -EBADMSG;
	if (n < LINE_MIN)
		return (int)(LINE_MIN - n);
	if (head[n - 1] == '\n')
		return 0;
	return n < LINE_MAX_1 ? 1 : -EBADMSG;
}

/* A word up to the next blank, which is left out. */
static bool
take_word(char **line, char *to, size_t cap)
{
	char *word = strsep(line, " ");
	size_t n = word ? strlen(word) : 0;

	if (!n || n >= cap)
		return false;
	memcpy(to, word, n + 1);
	return true;
}

/* IPv4 in the guise of IPv6, as sockets for both have it, is IPv4: an address has one name. */
static void
name_ip(int family, const uint8_t *bytes, char to[48])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family == AF_INET6 && !memcmp(bytes, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, bytes + sizeof(mapped), to, 48);
	else
		inet_ntop(family, bytes, to, 48);
}

static bool
take_ip(char **line, int family, char to[48])
{
	uint8_t bytes[16];

	if (!take_word(line, to, 48) || inet_pton(family, to, bytes) != 1)
		return false;
	name_ip(family, bytes, to);
	return true;
}

static bool
take_port(char **line, uint16_t *to)
{
	char word[6];
	long v;

	if (!take_word(line, word, sizeof(word)) || strspn(word, "0123456789") != strlen(word))
		return false;
	v = strtol(word, NULL, 10);
	*to = (uint16_t)v;
	return v <= UINT16_MAX;
}

static int
parse_line(const uint8_t *head, size_t n, struct proxy *p)
{
	char text[LINE_MAX_1 + 1], word[8], *line = text;
	int family;

	if (n < LINE_MIN || n > LINE_MAX_1 || head[n - 2] != '\r' || head[n - 1] != '\n' ||
		memchr(head, '\0', n))
		return -EBADMSG;
	memcpy(text, head, n - 2);
	text[n - 2] = '\0';
	if (!take_word(&line, word, sizeof(word)) || !take_word(&line, word, sizeof(word)))
		return -EBADMSG;
	if (!strcmp(word, "UNKNOWN"))
		return 0;
	family = !strcmp(word, "TCP4") ? AF_INET : !strcmp(word, "TCP6") ? AF_INET6 : 0;
	if (!family || !take_ip(&line, family, p->ip) || !take_ip(&line, family, p->local_ip) ||
		!take_port(&line, &p->port) || !take_port(&line, &p->local_port) || line)
		return -EBADMSG;
	p->known = true;
	return 0;
}

static int
parse_binary(const uint8_t *head, size_t n, struct proxy *p)
{
	const uint8_t *at = head + FIXED;
	int command = head[12] & 15, family = head[13] == 0x11 ? AF_INET : head[13] == 0x21 ? AF_INET6 : 0;
	size_t bytes = family == AF_INET ? 4 : 16;

	if (head[12] >> 4 != 2 || command > 1 || n != FIXED + (size_t)get_be16(head + 14))
		return -EBADMSG;
	if (command == 0 || !family) /* LOCAL: a look at our health; or no TCP */
		return 0;
	if (n < FIXED + 2 * bytes + 4)
		return -EBADMSG;
	name_ip(family, at, p->ip);
	name_ip(family, at + bytes, p->local_ip);
	p->port = (uint16_t)get_be16(at + 2 * bytes);
	p->local_port = (uint16_t)get_be16(at + 2 * bytes + 2);
	p->known = true;
	return 0;
}

int
proxy_parse(const uint8_t *head, size_t n, struct proxy *p)
{
	memset(p, 0, sizeof(*p));
	if (n >= FIXED && begins(head, n, signature, sizeof(signature)))
		return parse_binary(head, n, p);
	return begins(head, n, "PROXY ", 6) ? parse_line(head, n, p) : -EBADMSG;
}
