/* Sequence headers: what decoders need, repeated now and then for those that come late. */
#include "media_parts.h"

#include <string.h>

#include "buf.h"

#define HEADERS 16 /* kinds that are kept */

static struct header {
	uint8_t type, track;
	struct buf body;
} headers[HEADERS];
static int nheaders;

static struct header *
find_header(uint8_t type, uint8_t track)
{
	int i;

	for (i = 0; i < nheaders; i++)
		if (headers[i].type == type && headers[i].track == track)
			return &headers[i];
	return NULL;
}

bool
headers_known(const struct flv_tag *tag, uint8_t track)
{
	struct header *h = find_header(tag->type, track);

	if (h && buf_len(&h->body) == tag->size && !memcmp(buf_data(&h->body), tag->data, tag->size))
		return true;
	if (h)
		media_mark(MARK_PARAMS, NULL);
	else if (nheaders < HEADERS)
		(h = &headers[nheaders++])->type = tag->type;
	if (h) {
		h->track = track;
		h->body.max = 1 << 20;
		buf_clear(&h->body);
		buf_append(&h->body, tag->data, tag->size);
	}
	return false;
}

bool
headers_get(int i, struct flv_tag *tag)
{
	if (i < nheaders)
		*tag = (struct flv_tag){ headers[i].type, 0, buf_data(&headers[i].body), buf_len(&headers[i].body) };
	return i < nheaders;
}
