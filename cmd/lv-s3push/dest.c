#include "dest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

static int
set(struct dest *d, const char *name, const char *value)
{
	const struct {
		const char *name, **to;
	} texts[] = { { "region", &d->region }, { "endpoint", &d->endpoint }, { "addressing", &d->addressing },
		{ "credentials", &d->credentials } };
	char *end;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(name, texts[i].name)) {
			*texts[i].to = value;
			return 0;
		}
	if (strcmp(name, "max-kbps"))
		return -EINVAL;
	d->max_kbps = (int)strtol(value, &end, 10);
	return *value && !*end ? 0 : -EINVAL;
}

int
dest_parse(struct dest *d, char *text, const char **why)
{
	char *part = strchr(text, ','), *next, *value;

	if (part)
		*part++ = '\0';
	*why = "not s3://BUCKET/PREFIX";
	if (s3_url(text, d->bucket, sizeof(d->bucket), d->prefix, sizeof(d->prefix)) < 0)
		return -EINVAL;
	for (; part; part = next) {
		if ((next = strchr(part, ',')))
			*next++ = '\0';
		*why = "after a comma there is one of region=, endpoint=, addressing=, credentials=, max-kbps=";
		if (!(value = strchr(part, '=')))
			return -EINVAL;
		*value++ = '\0';
		if (set(d, part, value) < 0)
			return -EINVAL;
	}
	*why = "its addressing is neither path nor virtual";
	if (d->addressing && strcmp(d->addressing, "path") && strcmp(d->addressing, "virtual"))
		return -EINVAL;
	*why = "less than 64 kilobits a second";
	if (d->max_kbps < 0 || (d->max_kbps && d->max_kbps < 64))
		return -EINVAL;
	return dest_below(d, "");
}

int
dest_below(struct dest *d, const char *prefix)
{
	size_t n = strlen(d->prefix), more = strlen(prefix);

	while (more && prefix[more - 1] == '/')
		more--;
	if (*prefix == '/' || n + 1 + more >= sizeof(d->prefix))
		return -EINVAL;
	snprintf(d->prefix + n, sizeof(d->prefix) - n, "%s%.*s", n && more ? "/" : "", (int)more, prefix);
	snprintf(d->name, sizeof(d->name), "s3://%s%s%s", d->bucket, *d->prefix ? "/" : "", d->prefix);
	return 0;
}
