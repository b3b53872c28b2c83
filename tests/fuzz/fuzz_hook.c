/* The first byte picks: a back end's answer, or what a publisher has us say to one. */
#include <stdlib.h>
#include <string.h>

#include "hook.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A form of ours never has a field of ours twice. */
static void
form(const char *text)
{
	const char *name = strstr(text, "&name=");

	if (!name || strstr(name + 1, "&name=") || strstr(text, "&call=play"))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[HOOK_TEXT], query[1024], reason[HOOK_REASON];
	struct hook_facts f = { .query = query, .remote = query, .stream = "alice", .app = query };
	int format;

	if (!n)
		return 0;
	format = data[0] % 3;
	if (data[0] & 0x80) {
		hook_allows((enum hook_format)format, 200, (const char *)data + 1, n - 1, reason);
		return 0;
	}
	if (--n >= sizeof(query))
		n = sizeof(query) - 1;
	memcpy(query, data + 1, n);
	query[n] = '\0';
	if (hook_body(text, (enum hook_format)format, HOOK_PUBLISH, &f) >= 0 && format == HOOK_NGINX)
		form(text);
	return 0;
}
