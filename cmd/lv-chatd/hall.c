/* The hall: its rooms, who is in them, and when what was said goes out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "clock.h"
#include "event.h"
#include "notify.h"

#define HOT 10000        /* deliveries a second, from which a room's messages are collected */
#define COLLECT_MS 40    /* for so long */
#define VIEWERS_S 5      /* how often their number is told when it changes */
#define COUNTED_S 5      /* and to readers of events */
#define EMPTY_MS 3600000 /* how long the history of an empty room is kept */
#define EMPTY_REMOTE_MS 60000 /* with Redis, which keeps it too */
#define PLACES_MAX 20000 /* rooms with a history */

int
hall_count(struct table *t, struct count **out, const char *name, int max)
{
	struct count *c = table_find(t, name);
	size_t n = strlen(name) + 1;

	if (c && c->n >= max)
		return -EMFILE;
	if (!c) {
		if (!(c = calloc(1, sizeof(*c) + n)))
			return -ENOMEM;
		memcpy(c->name, name, n);
		if (table_add(t, &c->item, c->name) < 0) {
			free(c);
			return -ENOMEM;
		}
	}
	c->n++;
	*out = c;
	return 0;
}

void
hall_uncount(struct table *t, struct count **count)
{
	struct count *c = *count;

	*count = NULL;
	if (!c || --c->n)
		return;
	table_drop(t, &c->item);
	free(c);
}

static void
place_free(void *place)
{
	struct place *p = place;

	room_free(&p->room);
	table_empty(&p->people, free);
	free(p->guests);
	free(p);
}

static struct place *
place_new(struct hall *h, const char *stream)
{
	struct chat_id floor = { (uint64_t)clock_wall_ms() - 1, 0 };
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (room_new(&p->room, stream, floor) < 0 || table_add(&h->places, &p->item, room_name(p->room)) < 0) {
		place_free(p);
		return NULL;
	}
	if (!*stream) /* not a room: those at /notify */
		return p;
	p->known = !h->remote || remote_is_away(h->remote);
	if (h->remote)
		remote_enter(h->remote, p);
	return p;
}

void
hall_known(struct place *p)
{
	size_t i;

	p->known = true;
	for (i = 0; i < p->count; i++)
		if (!p->guests[i]->greeted && !p->guests[i]->notify && !p->guests[i]->must_login)
			guest_greet(p->guests[i]);
}

int
hall_enter(struct guest *g)
{
	struct place *p = table_find(&g->hall->places, g->stream);
	struct guest **guests;
	size_t cap;

	if (!p && !(p = place_new(g->hall, g->stream)))
		return -ENOMEM;
	if (p->count == p->cap) {
		cap = p->cap ? p->cap * 2 : 4;
		if (!(guests = realloc(p->guests, cap * sizeof(*guests))))
			return -ENOMEM;
		p->guests = guests;
		p->cap = cap;
	}
	g->index = p->count;
	p->guests[p->count++] = g;
	g->place = p;
	return 0;
}

void
hall_leave(struct guest *g)
{
	struct place *p = g->place;

	p->guests[g->index] = p->guests[--p->count];
	p->guests[g->index]->index = g->index;
	g->place = NULL;
	if (!p->count)
		p->empty_ms = clock_mono_ms();
}

/* A guest who is dropped on the way is gone later, from the loop: the list stays as it is. */
static void
place_send(struct place *p, int64_t now_ms)
{
	size_t i;

	p->flushed_ms = now_ms;
	for (i = 0; i < p->count; i++)
		guest_pump(p->guests[i]);
}

/* Before the loop sleeps: rooms in which something was said; hot ones have to wait a little. */
static void
on_flush(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct hall *h = w->data;
	struct place *p, *hot = NULL;
	int64_t now_ms = clock_mono_ms(), wait_ms = COLLECT_MS, left;

	(void)events;
	while ((p = h->dirty)) {
		h->dirty = p->next_dirty;
		left = p->flushed_ms + COLLECT_MS - now_ms;
		if (left > 0 && (p->said_now + p->said_before) * (int64_t)p->count > HOT) {
			p->next_dirty = hot;
			hot = p;
			wait_ms = left < wait_ms ? left : wait_ms;
			continue;
		}
		p->dirty = false;
		place_send(p, now_ms);
	}
	h->dirty = hot;
	if (hot && !ev_is_active(&h->later)) {
		ev_timer_set(&h->later, (double)wait_ms / 1000, 0);
		ev_timer_start(loop, &h->later);
	}
}

static void
on_later(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events; /* on_flush follows */
}

void
hall_said(struct hall *h, struct place *p)
{
	int64_t second = clock_mono_ms() / 1000;

	if (second != p->second) {
		p->said_before = second == p->second + 1 ? p->said_now : 0;
		p->said_now = 0;
		p->second = second;
	}
	p->said_now++;
	if (p->dirty)
		return;
	p->dirty = true;
	p->next_dirty = h->dirty;
	h->dirty = p;
}

size_t
hall_viewers(const struct place *p)
{
	int64_t now_ms = clock_mono_ms();
	size_t i, n = p->count;

	for (i = 0; i < BOXES_MAX; i++)
		if (p->boxes[i].id && now_ms - p->boxes[i].seen_ms < 3 * VIEWERS_S * 1000)
			n += p->boxes[i].viewers;
	return n;
}

static void
tell_viewers(struct place *p)
{
	char text[96];
	uint8_t frame[FRAME_HEAD + sizeof(text)];
	size_t i, n = (size_t)snprintf(text, sizeof(text), "{\"type\":\"viewers\",\"count\":%zu}", hall_viewers(p));
	size_t head = frame_head(frame, n);

	memcpy(frame + head, text, n);
	p->told = hall_viewers(p);
	for (i = 0; i < p->count; i++) /* who is behind learns it another time */
		if (p->guests[i]->greeted && !p->guests[i]->behind_ms && !ws_behind(p->guests[i]->conn))
			ws_send(p->guests[i]->conn, frame, head + n);
}

static void
tell_count(const struct hall *h)
{
	struct event e;

	event_begin(&e, "chat.counted");
	event_int(&e, "rooms", (int64_t)h->places.count);
	event_int(&e, "connections", ws_connections(h->ws));
	event_int(&e, "messages", h->messages);
	event_send(&e);
}

static void
forget_people(struct place *p, int64_t now_ms)
{
	struct person *who, *next;

	for (who = table_next(&p->people, NULL); who; who = next) {
		next = table_next(&p->people, who);
		if (rate_last_ms(&who->rate) + CHAT_SLOW_MAX_S * 1000 < now_ms) {
			table_drop(&p->people, &who->item);
			free(who);
		}
	}
}

/* Nobody looked at it in time. */
static void
held_over(struct place *p)
{
	struct room_held h;
	size_t i;

	while (room_held_over(p->room, clock_wall_ms(), &h)) {
		hall_tell_author(p, &h, "held_expired");
		for (i = 0; i < p->count; i++)
			guest_show_held(p->guests[i], &h, "expired");
	}
}

static void
place_tick(struct hall *h, struct place *p, int64_t now_ms)
{
	if (!*room_name(p->room))
		return;
	if (h->ticks % VIEWERS_S == 0 && p->told != hall_viewers(p))
		tell_viewers(p);
	if (h->remote && (p->count != p->published || (p->count && h->ticks % VIEWERS_S == 0)))
		remote_tell_viewers(h->remote, p);
	held_over(p);
	if (h->ticks % 60 == 0)
		forget_people(p, now_ms);
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct hall *h = w->data;
	int64_t now_ms = clock_mono_ms();
	struct place *p, *next;

	(void)events;
	h->ticks++;
	for (p = table_next(&h->places, NULL); p; p = next) {
		next = table_next(&h->places, p);
		place_tick(h, p, now_ms);
		if (p->count || p->dirty)
			continue;
		if (h->remote ? now_ms - p->empty_ms > EMPTY_REMOTE_MS : room_head(p->room) == 0 || now_ms - p->empty_ms > EMPTY_MS || h->places.count > PLACES_MAX) {
			if (h->remote && *room_name(p->room))
				remote_leave(h->remote, p);
			table_drop(&h->places, &p->item);
			place_free(p);
		}
	}
	if (h->ticks % COUNTED_S == 0)
		tell_count(h);
	notify_tick(now_ms);
	events_flush();
	if (h->draining && !ws_connections(h->ws))
		ev_break(loop, EVBREAK_ALL);
}

int
hall_open(struct hall *h, struct ev_loop *loop)
{
	h->loop = loop;
	ev_prepare_init(&h->flush, on_flush);
	ev_set_priority(&h->flush, EV_MAXPRI);
	ev_timer_init(&h->later, on_later, 0, 0);
	ev_timer_init(&h->tick, on_tick, 1, 1);
	h->flush.data = h->later.data = h->tick.data = h;
	ev_prepare_start(loop, &h->flush);
	ev_timer_start(loop, &h->tick);
	return 0;
}

void
hall_drain(struct hall *h)
{
	struct place *p;
	size_t i;

	h->draining = true;
	ws_drain(h->ws);
	for (p = table_next(&h->places, NULL); p; p = table_next(&h->places, p)) {
		place_send(p, clock_mono_ms());
		for (i = 0; i < p->count; i++)
			guest_end(p->guests[i], 1012, "restart");
	}
	ev_timer_stop(h->loop, &h->tick);
	ev_timer_set(&h->tick, 0.05, 0.05);
	ev_timer_start(h->loop, &h->tick);
}

void
hall_close(struct hall *h)
{
	ev_prepare_stop(h->loop, &h->flush);
	ev_timer_stop(h->loop, &h->later);
	ev_timer_stop(h->loop, &h->tick);
	ws_free(&h->ws); /* every guest leaves */
	remote_free(&h->remote);
	books_free(&h->books);
	table_empty(&h->places, place_free);
	table_empty(&h->addresses, free);
	table_empty(&h->arrivals, free);
	table_empty(&h->users, free);
}
