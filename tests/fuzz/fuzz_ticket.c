/* The first byte picks: a whole token from a stranger, or claims that are signed with the right key. */
#include <stdlib.h>

#include "../lib/forge.h"
#include "text.h"
#include "ticket.h"

#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ticket_key *key;
	struct buf token = { 0 };
	struct ticket t;
	const char *why;

	if (!size || (!key && ticket_key_new(&key, SECRET, sizeof(SECRET) - 1) < 0))
		return 0;
	if (*data & 1)
		forge_token(&token, "{\"alg\":\"HS256\"}", data + 1, size - 1, SECRET, sizeof(SECRET) - 1);
	else
		buf_append(&token, data + 1, size - 1);
	if (ticket_read(&t, key, (const char *)buf_data(&token), buf_len(&token), "lv-chatd", 1764000000,
		    &why) == 0 &&
		(!text_plain(t.name, strlen(t.name)) || !*t.user || t.badge_count > TICKET_BADGES))
		abort();
	buf_free(&token);
	return 0;
}
