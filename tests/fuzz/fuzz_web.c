/* web: everything a client writes into a request, read as each of the things it may be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "web.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), path[256], date[WEB_DATE];
	uint64_t first, last;
	int64_t when;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (web_path(text, path, sizeof(path)) >= 0 &&
		(path[0] == '/' || path[0] == '.' || strstr(path, "/.") || strstr(path, "//")))
		abort(); /* a way out */
	if (web_range(text, 1000, &first, &last) == WEB_RANGE_PART && (first > last || last > 999))
		abort();
	if (!web_date(text, &when))
		web_date_text(date, when);
	web_tag_in(text, "\"a-b\"");
	web_takes_gzip(text);
	free(text);
	return 0;
}
