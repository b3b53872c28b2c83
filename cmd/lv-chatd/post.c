/* Posts: an entry's way into a room, and what becomes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "clock.h"
#include "event.h"

static struct person *
person_of(struct place *p, const char *user)
{
	struct person *who = table_find(&p->people, user);
	size_t n = strlen(user) + 1;

	if (who || !(who = calloc(1, sizeof(*who) + n)))
		return who;
	memcpy(who->name, user, n);
	if (table_add(&p->people, &who->item, who->name) < 0) {
		free(who);
		return NULL;
	}
	return who;
}

static void
tell_moderation(const struct post *post)
{
	struct event e;

	event_begin(&e, "chat.moderated");
	event_str(&e, "stream", post->stream);
	event_str(&e, "kind", chat_kind_text(post->kind));
	event_str(&e, "user", *post->user ? post->user : NULL);
	event_str(&e, "by", post->by);
	event_str(&e, "reason", *post->reason ? post->reason : NULL);
	event_send(&e);
}

static bool
is_moderation(enum chat_kind kind)
{
	return kind >= CHAT_DELETE && kind < CHAT_SUB;
}

static struct post *
post_new(const char *stream, const char *by, const struct chat_ask *a)
{
	struct post *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kind = a->kind;
	if (a->kind == CHAT_TIMEOUT)
		p->until_ms = clock_wall_ms() + a->seconds * 1000;
	memcpy(p->ref, a->ref, sizeof(p->ref));
	snprintf(p->stream, sizeof(p->stream), "%s", stream);
	memcpy(p->user, a->user, sizeof(p->user));
	snprintf(p->by, sizeof(p->by), "%s", by);
	memcpy(p->reason, a->reason, sizeof(p->reason));
	p->tier = a->tier;
	p->count = a->count;
	return p;
}

static struct post *
post_of(struct guest *g, const struct chat_ask *a)
{
	struct post *p = post_new(g->stream, g->ticket->user, a);

	if (!p)
		return NULL;
	p->guest = g;
	p->next = g->posts;
	p->prev = &g->posts;
	if (p->next)
		p->next->prev = &p->next;
	g->posts = p;
	g->post_count++;
	return p;
}

void
hall_posted(struct hall *h, struct post *p, const struct chat_id *id, int64_t wait_ms, const char *notice)
{
	struct guest *g = p->guest;
	bool accepted = id && !notice;

	if (g) {
		*p->prev = p->next;
		if (p->next)
			p->next->prev = p->prev;
		g->post_count--;
	}
	if (accepted && h->books && !p->announced &&
		(p->kind == CHAT_BAN || p->kind == CHAT_TIMEOUT || p->kind == CHAT_UNBAN || p->kind == CHAT_GIFT))
		books_write(h->books, p);
	if (accepted && p->kind == CHAT_APPROVE && g)
		guest_approved(g, p->ref, *id); /* the message has its author's ref */
	if (accepted && p->kind == CHAT_HELD && g)
		guest_notice(g, "held", p->ref, &(struct room_verdict){ .twin = *id });
	else if (accepted && is_moderation(p->kind))
		tell_moderation(p);
	else if (accepted)
		h->messages++;
	else if (g && notice)
		guest_notice(g, notice, p->ref, id ? &(struct room_verdict){ .twin = *id } : NULL);
	else if (g)
		guest_wait(g, wait_ms, p->ref);
	free(p);
}

void
hall_tell_author(struct place *place, const struct room_held *h, const char *notice)
{
	const struct guest *g;
	size_t i;

	for (i = 0; i < place->count; i++) {
		g = place->guests[i];
		if (g->greeted && g->ticket && !strcmp(g->ticket->user, h->user))
			guest_notice(place->guests[i], notice, NULL, &(struct room_verdict){ .twin = h->id });
	}
}

int
hall_apply(struct hall *h, struct place *place, struct chat_id id, const char *body, size_t n)
{
	struct room_held denied;
	int r = room_apply(place->room, id, body, n);

	if (r >= 0 && room_denied(place->room, &denied))
		hall_tell_author(place, &denied, "held_denied");
	if (r >= 0)
		hall_said(h, place);
	return r;
}

/* In this box alone: the limit is counted here, and the entry is in the room at once. */
static void
post_here(struct hall *h, struct place *place, struct post *p, const char *body, size_t n, bool limited,
	int64_t pause_ms)
{
	struct chat_id id;
	int64_t wait_ms = 0;
	struct person *who = limited ? person_of(place, p->by) : NULL;

	if (who)
		wait_ms = rate_take(&who->rate, clock_mono_ms(), (unsigned)h->config.messages,
			h->config.window_ms, pause_ms);
	if (wait_ms) {
		hall_posted(h, p, NULL, wait_ms, NULL);
	} else if ((limited && !who) ||
		hall_apply(h, place, (id = room_next_id(place->room, clock_wall_ms())), body, n) < 0) {
		hall_posted(h, p, NULL, 0, "unavailable");
	} else {
		hall_posted(h, p, &id, 0, NULL);
	}
}

void
hall_post(struct guest *g, const struct chat_ask *a, const char *body, size_t n)
{
	struct hall *h = g->hall;
	bool limited = !is_moderation(a->kind) && g->ticket->role != TICKET_SERVICE;
	int64_t pause_ms = room_pause_ms(g->place->room, g->ticket);
	struct post *p;

	if (h->remote && g->post_count >= POSTS_MAX && g->ticket->role != TICKET_SERVICE)
		guest_notice(g, "busy", a->ref, NULL);
	else if (!(p = post_of(g, a)))
		guest_notice(g, "unavailable", a->ref, NULL);
	else if (!h->remote)
		post_here(h, g->place, p, body, n, limited, pause_ms);
	else if (remote_post(h->remote, g->place, p, body, n, limited, pause_ms, a) < 0)
		hall_posted(h, p, NULL, 0, "unavailable");
}

void
hall_announce(struct hall *h, struct place *place, const struct chat_ask *a)
{
	struct ticket operator = { .user = "operator", .role = TICKET_OWNER };
	char body[ROOM_BODY_MAX];
	int n = room_body(place->room, body, a, &operator, clock_wall_ms());
	struct post *p = n < 0 ? NULL : post_new(room_name(place->room), operator.user, a);

	if (!p)
		return;
	p->announced = true;
	if (!h->remote)
		post_here(h, place, p, body, (size_t)n, false, 0);
	else if (remote_post(h->remote, place, p, body, (size_t)n, false, 0, a) < 0)
		hall_posted(h, p, NULL, 0, "unavailable");
}
