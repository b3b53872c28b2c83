#include "holdings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

int
holdings_new(struct holdings *h)
{
	return (h->all = calloc(HOLDINGS_MAX, sizeof(*h->all))) ? 0 : -ENOMEM;
}

void
holdings_free(struct holdings *h)
{
	free(h->all);
	*h = (struct holdings){ 0 };
}

static struct holding *
find(const struct holdings *h, size_t field, const char *value)
{
	size_t i;

	for (i = 0; *value && i < h->count; i++)
		if (!strcmp((char *)&h->all[i] + field, value))
			return &h->all[i];
	return NULL;
}

struct holding *
holdings_of(const struct holdings *h, const char *stream)
{
	return find(h, offsetof(struct holding, stream), stream);
}

struct holding *
holdings_at(const struct holdings *h, const char *broadcast)
{
	return find(h, offsetof(struct holding, broadcast), broadcast);
}

struct holding *
holdings_take(struct holdings *h, const char *stream, const char *broadcast, const char *session)
{
	struct holding *x = *stream ? holdings_of(h, stream) : holdings_at(h, broadcast);

	if (!x) {
		if (h->count == HOLDINGS_MAX)
			return NULL;
		x = &h->all[h->count++];
	}
	memset(x, 0, sizeof(*x));
	snprintf(x->stream, sizeof(x->stream), "%s", stream);
	snprintf(x->broadcast, sizeof(x->broadcast), "%s", broadcast);
	snprintf(x->session, sizeof(x->session), "%s", session);
	x->since_ms = clock_wall_ms();
	return x;
}

void
holdings_drop(struct holdings *h, struct holding *x)
{
	*x = h->all[--h->count];
}

void
holdings_release(struct holdings *h, struct holding *x)
{
	if (x->fresh) {
		holdings_drop(h, x);
		return;
	}
	x->state = AIRING_HELD;
	x->session[0] = '\0';
}

/* Names hold nothing to escape. */
int
holdings_lists(const struct holdings *h, unsigned states, struct buf lists[3])
{
	size_t i, n = 0;

	for (i = 0; i < h->count; i++) {
		const struct holding *x = &h->all[i];
		const char *comma = n ? "," : "{";

		if (!(states & 1u << x->state) || ((states & HOLDINGS_LEASED) && x->untold))
			continue;
		buf_printf(&lists[0], "%s\"%s\"", comma, x->stream); /* it may not be known yet */
		buf_printf(&lists[1], "%s%s", comma, x->broadcast);
		buf_printf(&lists[2], "%s%" PRId64, comma, x->epoch);
		n++;
	}
	for (i = 0; i < 3; i++)
		buf_append(&lists[i], n ? "}" : "{}", n ? 2 : 3);
	return lists[0].error ? lists[0].error : lists[1].error ? lists[1].error : lists[2].error;
}

void
holdings_lists_free(struct buf lists[3])
{
	buf_free(&lists[0]);
	buf_free(&lists[1]);
	buf_free(&lists[2]);
}
