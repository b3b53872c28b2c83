#include "names.h"

#include <errno.h>
#include <string.h>

int
names_find(const char *const names[], size_t n, const char *text)
{
	size_t i;

	for (i = 0; text && i < n; i++)
		if (names[i] && !strcmp(names[i], text))
			return (int)i;
	return -EINVAL;
}
