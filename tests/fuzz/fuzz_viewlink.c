/* viewlink: a path that a viewer made up never leads to a stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "viewlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct viewlink_key key = { "0123456789abcdef", 16 };
	char *path = malloc(size + 1), address[VIEWLINK_ADDRESS];
	const char *why;

	if (!path)
		return 0;
	if (size)
		memcpy(path, data, size);
	path[size] = '\0';
	if (viewlink_strip(&key, path, "203.0.113.9", INT64_C(1) << 60, &why))
		abort();
	viewlink_address(address, path);
	free(path);
	return 0;
}
