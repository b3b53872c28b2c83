/* What the database is told: notices from the outbox, in order, each until it is taken. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dbstore.h"
#include "die.h"

#define AGAIN_MS 1000 /* after a fault that passes */

/* A fault that passes by itself: the server is busy, stopping, starting, or not yet the new one. */
static bool
passes(const char *state)
{
	return !strncmp(state, "40", 2) || !strncmp(state, "53", 2) || !strncmp(state, "55", 2) ||
		!strncmp(state, "57", 2) || !strncmp(state, "58", 2) || !strcmp(state, "25006");
}

struct telling {
	struct dbstore *s;
	struct note *note;
};

/* The database says whose a stream is, and its name and epoch where a notice did not. */
static void
learn(struct dbstore *s, const struct note *n, const struct db_rows *rows)
{
	struct holding *h = holdings_at(&s->held, n->broadcast);

	if (!h || h->epoch > n->epoch)
		return;
	if (!db_count(rows)) { /* nobody knows it */
		holdings_drop(&s->held, h);
		return;
	}
	if (!strcmp(db_text(rows, 0, 0), "lost")) {
		dbstore_kick(s, h, "published elsewhere");
		holdings_drop(&s->held, h);
		return;
	}
	snprintf(h->stream, sizeof(h->stream), "%s", db_text(rows, 0, 1));
	h->epoch = db_int(rows, 0, 2);
	h->untold = false;
	h->origin_ms = db_int(rows, 0, 3);
}

static void
told(void *arg, int err, const struct db_rows *rows)
{
	struct telling *t = arg;
	struct dbstore *s = t->s;
	struct note *n = t->note;

	free(t);
	if (err == -EPROTO && !passes(db_state(rows))) {
		complain(0, "the database did not take a notice: %s", db_why(rows));
	} else if (err) {
		s->again_ms = clock_mono_ms() + AGAIN_MS;
		s->outbox.sent--;
		return;
	} else if (!err && (n->kind == ASK_STARTED || n->kind == ASK_LIVE)) {
		learn(s, n, rows);
	}
	outbox_answer(&s->outbox, n);
}

int
dbnotes_tell(struct dbstore *s, struct note *n, db_answer *answer, void *arg)
{
	char epoch[24], origin[24], at[24];
	struct buf l[3] = { 0 };
	int r;

	dbstore_number(epoch, n->epoch);
	dbstore_number(origin, n->origin_ms);
	dbstore_number(at, n->at_ms);
	switch (n->kind) {
	case ASK_STARTED:
	case ASK_LIVE:
		return db_ask(s->db, Q_PUBLISHING, (const char *const[]){ n->stream, n->broadcast, n->session,
			epoch, origin, s->box, at }, WAIT_MS, answer, arg);
	case ASK_BROADCAST_ENDED:
		return db_ask(s->db, Q_BROADCAST_OVER, (const char *const[]){ n->broadcast, epoch, s->box, at },
			WAIT_MS, answer, arg);
	case ASK_SYNC:
		if ((r = holdings_lists(&s->held, 1u << AIRING_LIVE | 1u << AIRING_RESERVED, l)) == 0)
			r = db_ask(s->db, Q_SYNC, (const char *const[]){ s->box, (char *)buf_data(&l[1]) },
				WAIT_MS, answer, arg);
		holdings_lists_free(l);
		return r;
	default:
		return db_ask(s->db, Q_SESSION_OVER, (const char *const[]){ n->broadcast, n->session, s->box, at },
			WAIT_MS, answer, arg);
	}
}

/* What is in the outbox goes out, for as long as there is a connection. */
void
dbnotes_send(struct dbstore *s)
{
	struct telling *t;
	struct note *n;

	while (!s->again_ms && (n = outbox_next(&s->outbox))) {
		if (!(t = malloc(sizeof(*t))) || (*t = (struct telling){ s, n }, dbnotes_tell(s, n, told, t)) < 0) {
			free(t);
			s->outbox.sent--;
			s->again_ms = clock_mono_ms() + AGAIN_MS;
		}
	}
}

int
dbnotes_post(struct dbstore *s, struct note *n)
{
	int r;

	if (!n->at_ms)
		n->at_ms = clock_wall_ms();
	r = outbox_add(&s->outbox, n);
	if (!r && db_up(s->db))
		dbnotes_send(s);
	return r;
}

static void
synced(struct dbstore *s)
{
	size_t i;

	for (i = s->held.count; i-- > 0;) {
		struct holding *h = &s->held.all[i];
		bool proved = h->proved;

		h->proved = false;
		if (h->state == AIRING_LIVE && !proved)
			holdings_release(&s->held, h);
	}
}

int
dbnotes_take(struct store *store, const struct ask *a)
{
	struct dbstore *s = (struct dbstore *)store;
	struct holding *h = holdings_at(&s->held, a->broadcast);
	struct note n = { .kind = a->kind, .epoch = a->epoch ? a->epoch : h ? h->epoch : 0,
		.origin_ms = a->origin_ms ? a->origin_ms : h ? h->origin_ms : airing_id_ms(a->broadcast) };
	bool same = h && !strcmp(h->session, a->session), told = same && !h->untold;
	int r;

	if (a->kind != ASK_SYNC && !airing_id_good(a->broadcast))
		return 0;
	snprintf(n.stream, sizeof(n.stream), "%s", h ? h->stream : a->stream);
	memcpy(n.broadcast, a->broadcast, sizeof(n.broadcast));
	memcpy(n.session, a->session, sizeof(n.session));
	switch (a->kind) {
	case ASK_STARTED:
	case ASK_LIVE:
		if (*n.stream && !keys_stream_good(n.stream))
			return 0;
		if (same && n.epoch < h->epoch)
			n.epoch = h->epoch; /* which the database has raised meanwhile */
		if (h && n.epoch < h->epoch)
			break; /* an earlier owner's, for the history */
		if (!(h = holdings_take(&s->held, n.stream, n.broadcast, n.session)))
			return -ENOMEM;
		h->epoch = n.epoch;
		h->origin_ms = n.origin_ms;
		h->state = AIRING_LIVE;
		h->untold = !told;
		h->proved = true;
		break;
	case ASK_ENDED:
	case ASK_ABANDONED:
		if (h && !strcmp(h->session, n.session))
			holdings_release(&s->held, h);
		break;
	case ASK_BROADCAST_ENDED:
		if (h && h->state != AIRING_RESERVED)
			holdings_drop(&s->held, h);
		break;
	default:
		synced(s);
	}
	return (r = dbnotes_post(s, &n)) < 0 ? r : 1;
}
