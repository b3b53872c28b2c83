#include "order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct item *next;
	int64_t dts;
	size_t size;
	uint8_t data[];
};

struct order {
	struct item *first, *last; /* by dts, then by arrival */
	size_t bytes;
};

int
order_new(struct order **o)
{
	*o = calloc(1, sizeof(**o));
	return *o ? 0 : -ENOMEM;
}

int
order_put(struct order *o, int64_t dts, struct buf *tag)
{
	struct item *it, **at = &o->first;

	if (tag->error)
		return tag->error;
	if (!(it = malloc(sizeof(*it) + buf_len(tag))))
		return -ENOMEM;
	it->dts = dts;
	it->size = buf_len(tag);
	memcpy(it->data, buf_data(tag), it->size);
	buf_clear(tag);
	o->bytes += it->size;
	if (o->last && o->last->dts <= dts)
		at = &o->last->next;
	else
		while (*at && (*at)->dts <= dts)
			at = &(*at)->next;
	it->next = *at;
	*at = it;
	if (!it->next)
		o->last = it;
	return 0;
}

int
order_release(struct order *o, int64_t low, struct buf *out)
{
	struct item *it;

	while ((it = o->first) && (it->dts <= low || o->bytes > ORDER_BYTES ||
					  o->last->dts - it->dts > ORDER_MS)) {
		if (!(o->first = it->next))
			o->last = NULL;
		o->bytes -= it->size;
		buf_append(out, it->data, it->size);
		free(it);
	}
	return out->error;
}

void
order_free(struct order **o)
{
	struct item *it;

	if (!*o)
		return;
	while ((it = (*o)->first)) {
		(*o)->first = it->next;
		free(it);
	}
	free(*o);
	*o = NULL;
}
