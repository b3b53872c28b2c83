#include "nal.h"

size_t
nal_next(const uint8_t **at, const uint8_t *end, int nal_len, const uint8_t **nal)
{
	size_t n = 0;
	int i;

	if (end - *at < nal_len)
		return 0;
	for (i = 0; i < nal_len; i++)
		n = n << 8 | (*at)[i];
	*at += nal_len;
	if (!n || n > (size_t)(end - *at))
		return 0;
	*nal = *at;
	*at += n;
	return n;
}

size_t
nal_unescape(uint8_t *to, size_t cap, const uint8_t *nal, size_t size)
{
	size_t i, n = 0;
	int zeros = 0;

	for (i = 0; i < size && n < cap; i++) {
		if (zeros >= 2 && nal[i] == 3) {
			zeros = 0;
			continue;
		}
		zeros = nal[i] ? 0 : zeros + 1;
		to[n++] = nal[i];
	}
	return n;
}
