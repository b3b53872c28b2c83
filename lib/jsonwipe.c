#include "jsonwipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static void
wipe(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void
json_wipe(void)
{
	json_set_alloc_funcs(malloc, wipe);
}
