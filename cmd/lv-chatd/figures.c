/* What --metrics tells of the chat. */
#include <stdio.h>

#include "chatd.h"

static const double redis_bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5 };

struct chat_figures chat_figures = { .redis = { .bounds = redis_bounds,
	.n = sizeof(redis_bounds) / sizeof(*redis_bounds) } };
static struct metrics_counts handshakes; /* that were refused, by status */

int
figures_open(void *ctx, struct ws_conn *c, void **guest)
{
	int status = guest_open(ctx, c, guest);
	char code[12];

	if (status) {
		snprintf(code, sizeof(code), "%d", status);
		metrics_count(&handshakes, code, 1);
	}
	return status;
}

static void
tell_rooms(struct metrics *m, const struct hall *h)
{
	const struct place *p;

	metrics_family(m, "lv_chat_viewers", METRICS_GAUGE, "Who is in a room, on all boxes.");
	for (p = table_next(&h->places, NULL); p; p = table_next(&h->places, p))
		if (*room_name(p->room) && p->count)
			metrics_sample(m, (double)hall_viewers(p), "stream", room_name(p->room), NULL);
}

void
figures_fill(void *ctx, struct metrics *m)
{
	const struct hall *h = ctx;

	metrics_gauge(m, "lv_chat_connections", ws_connections(h->ws), "Connections that are open.");
	metrics_gauge(m, "lv_chat_rooms", (double)h->places.count, "Rooms that are remembered.");
	metrics_counter(m, "lv_chat_messages_total", (double)h->messages, "Messages that this box took.");
	metrics_counter(m, "lv_chat_messages_delivered_total", (double)chat_figures.delivered,
		"Messages and what else happens in a room, times those who got it.");
	metrics_family(m, "lv_chat_refused_total", METRICS_COUNTER, "What was said and not taken, by the notice answered.");
	metrics_counted(m, &chat_figures.refused, "notice", NULL);
	metrics_family(m, "lv_chat_dropped_total", METRICS_COUNTER, "Guests sent away or cut off, by reason.");
	metrics_counted(m, &chat_figures.dropped, "reason", NULL);
	metrics_family(m, "lv_chat_handshakes_refused_total", METRICS_COUNTER, "Who was not let in, by status.");
	metrics_counted(m, &handshakes, "code", NULL);
	if (h->remote) {
		metrics_gauge(m, "lv_chat_redis_up", !remote_is_away(h->remote), "1 while Redis answers.");
		metrics_family(m, "lv_chat_redis_seconds", METRICS_HISTOGRAM, "How long Redis takes to answer.");
		metrics_histogram(m, &chat_figures.redis, NULL);
	}
	tell_rooms(m, h);
}
