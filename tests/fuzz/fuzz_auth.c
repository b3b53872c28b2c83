/* The first byte picks: a line from the door, a keys file and its edits, or a saved state. */
#include <stdlib.h>
#include <string.h>

#include "airing.h"
#include "ask.h"
#include "keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
door(const char *text, size_t n)
{
	const struct airing *x;
	struct airings *a;
	struct ask ask;
	bool resumed;
	int64_t now_ms = 1764000000000;

	if (airings_new(&a, 1000) < 0)
		return;
	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : n;

		if (ask_parse(&ask, text, len) == 0) {
			if (ask.kind == ASK_PUBLISH)
				airings_ask(a, "alice", ask.session, now_ms, &x, &resumed);
			else
				airings_tell(a, &ask, now_ms);
			now_ms += 7000;
		}
		len += end != NULL;
		text += len;
		n -= len;
	}
	airings_close(a, now_ms);
	airings_free(&a);
}

/* What an edit writes is as good as what it read, and a revoked stream is off. */
static void
file(const char *text, size_t n)
{
	struct keys *before, *after;
	struct buf out = { 0 };

	if (keys_parse(&before, text, n) < 0)
		return;
	if (keys_edit_revoke(&out, text, n, "alice") >= 0 &&
		keys_parse(&after, (const char *)buf_data(&out), buf_len(&out)) == 0) {
		if (after->bad_count > before->bad_count || after->count != before->count ||
			keys_stream_on(after, "alice"))
			abort();
		keys_free(&after);
	}
	keys_free(&before);
	buf_free(&out);
}

/* What was saved loads, and saves the same again. */
static void
state(const char *text, size_t n)
{
	struct buf out = { 0 }, again = { 0 };
	struct airings *a, *b;

	if (airings_new(&a, 1000) < 0 || airings_new(&b, 1000) < 0)
		return;
	airings_load(a, text, n, 1764000000000);
	if (airings_text(a, &out) == 0) {
		if (airings_load(b, (const char *)buf_data(&out), buf_len(&out), 0) != 0)
			abort();
		if (airings_text(b, &again) != 0 || buf_len(&out) != buf_len(&again))
			abort();
	}
	airings_free(&a);
	airings_free(&b);
	buf_free(&out);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n || n > ASK_LINE_MAX)
		return 0;
	(data[0] == 'k' ? file : data[0] == 's' ? state : door)((const char *)data + 1, n - 1);
	return 0;
}
