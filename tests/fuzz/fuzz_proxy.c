/* A front end that says anything, a few bytes at a time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cidr.h"
#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *head = malloc(PROXY_MAX);
	struct cidr c = { 0 };
	struct proxy p;
	size_t n = 0;
	int want;

	while (head && (want = proxy_want(head, n)) > 0 && n < size) {
		if ((size_t)want > size - n)
			want = (int)(size - n);
		if (n + (size_t)want > PROXY_MAX)
			abort();
		memcpy(head + n, data + n, (size_t)want);
		n += (size_t)want;
	}
	if (head && !proxy_parse(head, n, &p) && p.known && (strlen(p.ip) >= sizeof(p.ip) || !cidr_holds(&c, p.ip)))
		abort(); /* an address it is, and everything holds it */
	free(head);
	return 0;
}
