/* A publisher that says anything; an odd first byte spares it the handshake. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rtmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct adobe asker = { .app = "secure", .now_s = 1764000000 };
	static uint8_t shake[1 + 1536 * 2] = { 3 };
	struct rtmp *r;
	struct rtmp_event e;
	size_t at = 1, n;
	volatile uint8_t last;
	int got = 0;

	if (!size || rtmp_new(&r, 1 << 16, "http://h/%s") < 0)
		return 0;
	if (data[0] & 8)
		rtmp_ask_password(r, &asker);
	if (data[0] & 1) {
		rtmp_feed(r, shake, sizeof(shake));
		got = rtmp_next(r, &e);
	}
	for (; got >= 0 && at < size; at += n) {
		n = data[0] & 2 ? 1 + at % 97 : size - at;
		if (n > size - at)
			n = size - at;
		rtmp_feed(r, data + at, n);
		while ((got = rtmp_next(r, &e)) > 0) {
			if (e.kind == RTMP_PUBLISH && (data[0] & 4))
				rtmp_refuse(r, RTMP_DENIED, "no");
			else if (e.kind == RTMP_PUBLISH)
				rtmp_allow(r);
			else if (e.kind == RTMP_MEDIA && e.size)
				last = e.body[e.size - 1]; /* the last byte is inside the message */
		}
		buf_clear(rtmp_out(r));
	}
	(void)last;
	rtmp_finish(r, *rtmp_why(r) ? "over" : "");
	rtmp_free(&r);
	return 0;
}
