#include "redis_url.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PORT 6379
#define NUMBER_MAX 1023

static bool
number(int *to, const char *s, long min, long max)
{
	char *end;
	long n = strtol(s, &end, 10);

	*to = (int)n;
	return end != s && !*end && n >= min && n <= max;
}

/* Of a URL without its scheme. */
static const char *
take(struct redis_url *u, char *s)
{
	char *slash = strchr(s, '/'), *bracket = NULL, *colon;

	if (slash) {
		*slash++ = '\0';
		if (*slash && !number(&u->number, slash, 0, NUMBER_MAX))
			return "the database behind the / is a number";
	}
	if (*s == '[' && (bracket = strchr(s, ']')))
		*bracket++ = '\0';
	colon = bracket ? bracket : strrchr(s, ':');
	if (colon && *colon && (*colon != ':' || !number(&u->port, colon + 1, 1, 65535)))
		return "the port is a number";
	if (colon && !bracket)
		*colon = '\0';
	u->host = bracket ? s + 1 : s;
	return *u->host ? NULL : "no host";
}

int
redis_url_read(struct redis_url *u, const char *url, const char **why)
{
	static const char tcp[] = "redis://", local[] = "unix:";

	*u = (struct redis_url){ .port = PORT };
	*why = NULL;
	if (strchr(url, '@'))
		return -EACCES;
	if (!(u->text = strdup(url)))
		return -ENOMEM;
	if (!strncmp(u->text, local, sizeof(local) - 1)) {
		u->path = u->text + sizeof(local) - 1;
		u->path += !strncmp(u->path, "//", 2) ? 2 : 0;
		*why = *u->path == '/' ? NULL : "unix: and a path";
	} else if (!strncmp(u->text, tcp, sizeof(tcp) - 1)) {
		*why = take(u, u->text + sizeof(tcp) - 1);
	} else {
		*why = "redis://HOST[:PORT][/NUMBER] or unix:PATH";
	}
	if (!*why)
		return 0;
	redis_url_free(u);
	return -EINVAL;
}

void
redis_url_free(struct redis_url *u)
{
	free(u->text);
	*u = (struct redis_url){ 0 };
}
