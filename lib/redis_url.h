/*
 * redis_url: where a Redis is, as a command line says it: redis://HOST[:PORT][/NUMBER], HOST in brackets
 * when it is an IPv6 address, or unix:PATH.  No I/O.
 *
 * Owner:  the fields are parts of text, which is freed by redis_url_free.
 * Errors: -EINVAL, *why says how; -EACCES: it holds a password, which others would see there; -ENOMEM.
 */
#ifndef LV_REDIS_URL_H
#define LV_REDIS_URL_H

struct redis_url {
	char *text;
	const char *host, *path; /* one of them is NULL */
	int port, number;
};

int redis_url_read(struct redis_url *, const char *url, const char **why);
void redis_url_free(struct redis_url *); /* zeroed is fine */

#endif
