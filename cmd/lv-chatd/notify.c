/* /notify: what lv-notify tells a person, to whoever has logged in as that person. */
#include <stdlib.h>
#include <string.h>

#include "chatd.h"

struct listeners { /* of one person */
	struct table_item item;
	struct guest *first;
	char user[TICKET_USER_MAX + 1];
};

void
notify_enter(struct guest *g)
{
	struct table *all = &g->hall->listeners;
	struct listeners *l = table_find(all, g->ticket->user);

	if (!l) {
		if (!(l = calloc(1, sizeof(*l)))) {
			ws_drop(g->conn);
			return;
		}
		memcpy(l->user, g->ticket->user, sizeof(l->user));
		if (table_add(all, &l->item, l->user) < 0) {
			free(l);
			ws_drop(g->conn);
			return;
		}
		remote_follow(g->hall->remote, l->user);
	}
	g->listeners = l;
	g->next_listener = l->first;
	l->first = g;
	remote_inbox(g->hall->remote, l->user);
}

void
notify_leave(struct guest *g)
{
	struct listeners *l = g->listeners;
	struct guest **at;

	if (!l)
		return;
	for (at = &l->first; *at != g; at = &(*at)->next_listener)
		;
	*at = g->next_listener;
	g->listeners = NULL;
	if (l->first)
		return;
	remote_unfollow(g->hall->remote, l->user);
	table_drop(&g->hall->listeners, &l->item);
	free(l);
}

void
notify_heard(struct hall *h, const char *user, const char *text, size_t n, bool inbox)
{
	struct listeners *l = table_find(&h->listeners, user);
	struct guest *g;

	for (g = l ? l->first : NULL; g; g = g->next_listener) {
		if (inbox && g->had_inbox)
			continue;
		g->had_inbox |= inbox;
		guest_say(g, text, n);
	}
}

/* The link to Redis is new. */
void
notify_again(struct hall *h)
{
	struct listeners *l;

	for (l = table_next(&h->listeners, NULL); l; l = table_next(&h->listeners, l)) {
		remote_follow(h->remote, l->user);
		remote_inbox(h->remote, l->user);
	}
}
