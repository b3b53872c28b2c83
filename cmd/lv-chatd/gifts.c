/*
 * Subscriptions that somebody gives: what an operator writes into the database is told in the room, as
 * one event for all of them and by one box; what a back end tells a room is written there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "db.h"
#include "die.h"

#define CLAIM_MS 2500
#define WRITE_MS 3600000

const struct db_query gifts_claim = {
	"with mine as (select id from gifts where told_at is null and created_at > now() - interval '10 minutes' "
	"and stream = any($1::text[]) and octet_length(user_id) between 1 and 128 "
	"order by id limit 50 for update skip locked) "
	"update gifts g set told_at = now() from mine where g.id = mine.id "
	"returning g.stream, g.user_id, g.tier, g.count, (select name from users u where u.id = g.user_id)",
	1
};
const struct db_query gifts_insert = {
	"insert into gifts (stream, user_id, tier, count, told_at) values ($1, $2, $3, $4, now())", 4
};

static void
on_claimed(void *arg, int err, const struct db_rows *rows)
{
	struct hall *h = arg;
	struct place *p;
	const char *name;
	int i;

	if (err)
		return; /* they are asked for again */
	for (i = 0; i < db_count(rows); i++) {
		struct chat_ask a = { .kind = CHAT_GIFT, .tier = (int)db_int(rows, i, 2),
			.count = (int)db_int(rows, i, 3) };

		snprintf(a.user, sizeof(a.user), "%s", db_text(rows, i, 1));
		name = db_text(rows, i, 4);
		if (ticket_word_good(name, strlen(name), TICKET_NAME_MAX))
			snprintf(a.name, sizeof(a.name), "%s", name);
		if ((p = table_find(&h->places, db_text(rows, i, 0))))
			hall_announce(h, p, &a);
	}
}

/* Rooms where somebody is, as an array of PostgreSQL's: their names need no quotes. */
static void
list_rooms(struct buf *to, const struct hall *h)
{
	const struct place *p;

	for (p = table_next(&h->places, NULL); p; p = table_next(&h->places, p))
		if (p->count && p->known && *room_name(p->room))
			buf_printf(to, "%c%s", buf_len(to) ? ',' : '{', room_name(p->room));
}

void
gifts_look(struct hall *h, struct db *db, int query)
{
	struct buf rooms = { 0 };

	if (h->remote && remote_is_away(h->remote))
		return;
	list_rooms(&rooms, h);
	if (buf_len(&rooms) && buf_append(&rooms, "}", 2) >= 0)
		db_ask(db, query, (const char *const[]){ (char *)buf_data(&rooms) }, CLAIM_MS, on_claimed, h);
	buf_free(&rooms);
}

static void
on_written(void *arg, int err, const struct db_rows *rows)
{
	(void)arg;
	if (err)
		warning(0, "a gift was not written to the database: %s", err == -EPROTO ? db_why(rows) : strerror(-err));
}

void
gifts_write(struct db *db, int query, const struct post *p)
{
	char tier[16], count[16];
	int r;

	snprintf(tier, sizeof(tier), "%d", p->tier);
	snprintf(count, sizeof(count), "%d", p->count);
	r = db_ask(db, query, (const char *const[]){ p->stream, p->user, tier, count }, WRITE_MS, on_written, NULL);
	if (r < 0)
		on_written(NULL, r, NULL);
}
