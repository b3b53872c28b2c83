/* m3u8refs: any playlist; no URI leads above the root, or to a hidden way of writing ".." */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "m3u8refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
on_ref(void *ctx, const struct m3u8_ref *ref)
{
	char path[64];
	int n = m3u8_resolve(path, sizeof(path), "a/b/index.m3u8", ref->uri, ref->len);

	(void)ctx;
	if (n > 0 && (strlen(path) != (size_t)n || !strcmp(path, "..") || !strncmp(path, "../", 3) ||
			     strstr(path, "/../")))
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1); /* no NUL at its end, on purpose */

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	m3u8_refs(text, size, on_ref, NULL);
	free(text);
	return 0;
}
