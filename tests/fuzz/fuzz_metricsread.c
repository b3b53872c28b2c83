/* metricsread: any text; what it says of a line lies within the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metricsread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct metricsread_line l;
	struct metricsread r;
	char value[16];

	metricsread_begin(&r, text, size);
	while (metricsread_next(&r, &l) > 0) {
		if (l.text < text || l.text + l.text_len > text + size || strlen(l.name) >= METRICSREAD_NAME)
			abort();
		if (l.kind == METRICSREAD_SAMPLE && metricsread_label(&l, "stream", value, sizeof(value)) &&
			strlen(value) >= sizeof(value))
			abort();
	}
	return 0;
}
