#include "db.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "clock.h"

#define IN_FLIGHT 256 /* questions on the wire at a time */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000

/* A statement that hangs, or waits for a lock, fails there before we give the connection up here. */
static const char *const setup[] = { "set statement_timeout = '2s'", "set lock_timeout = '1s'" };

struct question {
	struct question *next;
	int query;
	int64_t until_ms; /* for a connection; then, for the answer */
	db_answer *answer;
	void *arg;
	const char *params[DB_PARAMS];
	char text[]; /* what params point to */
};

enum state { DOWN, CONNECTING, PREPARING, UP };

struct db {
	struct db_owner owner;
	char *url;
	PGconn *conn;
	enum state state;
	short events;
	int64_t until_ms; /* DOWN: the next attempt; CONNECTING, PREPARING: the end of this one */
	int64_t backoff_ms;
	char why[256];
	unsigned failures;
	struct question *head, **tail; /* in order; the first in_flight are on the wire */
	size_t count, in_flight;
	struct question **first; /* inside up: where the next question goes, before what waits */
};

/* libpq's messages may have several lines and end in a newline; people get the first. */
static void
keep_why(struct db *d, const char *text)
{
	size_t n = strcspn(text, "\n");

	if (!strncmp(text, "ERROR:  ", 8)) {
		text += 8;
		n -= 8;
	}
	if (!n) {
		text = "the connection was lost";
		n = strlen(text);
	}
	snprintf(d->why, sizeof(d->why), "%.*s", (int)(n < 255 ? n : 255), text);
}

int
db_new(struct db **out, const char *url, const struct db_owner *owner, const char **why)
{
	static char message[256];
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &error), *o;
	struct db *d;
	int r = 0;

	*why = message;
	snprintf(message, sizeof(message), "%.*s", error ? (int)strcspn(error, "\n") : 0, error ? error : "");
	PQfreemem(error);
	if (!options)
		return -EINVAL;
	for (o = options; o->keyword; o++)
		if (o->val && *o->val && (!strcmp(o->keyword, "password") || !strcmp(o->keyword, "sslpassword")))
			r = -EACCES;
	PQconninfoFree(options);
	if (r)
		return r;
	if (!(d = calloc(1, sizeof(*d))) || !(d->url = strdup(url))) {
		free(d);
		return -ENOMEM;
	}
	d->owner = *owner;
	d->tail = &d->head;
	*out = d;
	return 0;
}

static void
question_free(struct question *q)
{
	const char *p;
	size_t i;

	for (i = 0; i < DB_PARAMS; i++) /* it may have been a key's digest, or what a person wrote */
		if ((p = q->params[i]))
			explicit_bzero((char *)p, strlen(p));
	free(q);
}

/* The first question is answered and gone. */
static void
answer_first(struct db *d, int err, const PGresult *rows)
{
	struct question *q = d->head;

	d->head = q->next;
	if (d->tail == &q->next)
		d->tail = &d->head;
	d->count--;
	if (d->in_flight)
		d->in_flight--;
	q->answer(q->arg, err, (const struct db_rows *)rows);
	question_free(q);
}

static void
went_down(struct db *d, const char *why, const char *state)
{
	size_t asked = d->in_flight;
	int64_t wait;

	keep_why(d, why);
	PQfinish(d->conn);
	d->conn = NULL;
	d->state = DOWN;
	d->failures++;
	wait = d->backoff_ms;
	d->backoff_ms = !wait ? RETRY_MIN_MS : 2 * wait < RETRY_MAX_MS ? 2 * wait : RETRY_MAX_MS;
	d->until_ms = clock_mono_ms() + wait + clock_wall_ms() % (wait / 4 + 1); /* not all at once */
	d->in_flight = 0;
	if (d->owner.down)
		d->owner.down(d->owner.arg, d->why, state);
	while (asked--)
		answer_first(d, -ENOTCONN, NULL);
}

void
db_free(struct db **dp)
{
	struct db *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	while (d->head)
		answer_first(d, d->in_flight ? -ENOTCONN : -ETIMEDOUT, NULL);
	PQfinish(d->conn);
	free(d->url);
	free(d);
}

int
db_ask(struct db *d, int query, const char *const params[], int wait_ms, db_answer *answer, void *arg)
{
	int n = d->owner.queries[query].params, i;
	struct question *q, **place = d->first ? d->first : d->tail;
	size_t size = 0, len;
	char *to;

	if (d->count >= DB_QUEUE)
		return -EAGAIN;
	for (i = 0; i < n; i++)
		size += params[i] ? strlen(params[i]) + 1 : 0;
	if (!(q = calloc(1, sizeof(*q) + size)))
		return -ENOMEM;
	for (i = 0, to = q->text; i < n; i++)
		if (params[i]) {
			len = strlen(params[i]) + 1;
			q->params[i] = memcpy(to, params[i], len);
			to += len;
		}
	q->query = query;
	q->until_ms = clock_mono_ms() + wait_ms;
	q->answer = answer;
	q->arg = arg;
	q->next = *place;
	*place = q;
	if (d->tail == place)
		d->tail = &q->next;
	if (d->first)
		d->first = &q->next;
	d->count++;
	return 0;
}

static void
name_query(char name[16], int query)
{
	snprintf(name, 16, "q%d", query);
}

/* Every question is closed by a sync of its own, so that an error is its own too. */
static bool
send_questions(struct db *d)
{
	struct question *q = d->head;
	char name[16];
	size_t i;

	for (i = 0; i < d->in_flight; i++)
		q = q->next;
	for (; q && d->in_flight < IN_FLIGHT; q = q->next, d->in_flight++) {
		name_query(name, q->query);
		if (!PQsendQueryPrepared(d->conn, name, d->owner.queries[q->query].params, q->params, NULL,
				NULL, 0) || !PQpipelineSync(d->conn))
			return false;
		q->until_ms = clock_mono_ms() + DB_ANSWER_MS;
	}
	return true;
}

static bool
flush(struct db *d)
{
	int r = PQflush(d->conn);

	d->events = (short)(POLLIN | (r > 0 ? POLLOUT : 0));
	return r >= 0;
}

/* Connected: time limits, statements and the channel go out at once, and are awaited together. */
static bool
prepare(struct db *d)
{
	char name[16], listen[80];
	int i;

	if (PQsetnonblocking(d->conn, 1) < 0 || !PQenterPipelineMode(d->conn))
		return false;
	for (i = 0; i < (int)(sizeof(setup) / sizeof(*setup)); i++)
		if (!PQsendQueryParams(d->conn, setup[i], 0, NULL, NULL, NULL, NULL, 0))
			return false;
	for (i = 0; i < d->owner.query_count; i++) {
		name_query(name, i);
		if (!PQsendPrepare(d->conn, name, d->owner.queries[i].sql, 0, NULL))
			return false;
	}
	if (d->owner.listen) {
		snprintf(listen, sizeof(listen), "listen %s", d->owner.listen);
		if (!PQsendQueryParams(d->conn, listen, 0, NULL, NULL, NULL, NULL, 0))
			return false;
	}
	d->state = PREPARING;
	return PQpipelineSync(d->conn) && flush(d);
}

static void
begin(struct db *d)
{
	const char *const keys[] = { "dbname", "fallback_application_name", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "client_encoding", NULL };
	const char *const values[] = { d->url, d->owner.name, "10", "5", "3", "UTF8", NULL };

	d->until_ms = clock_mono_ms() + DB_CONNECT_MS;
	d->state = CONNECTING;
	d->events = POLLOUT;
	d->conn = PQconnectStartParams(keys, values, 1);
	if (!d->conn || PQstatus(d->conn) == CONNECTION_BAD)
		went_down(d, d->conn ? PQerrorMessage(d->conn) : "out of memory", "");
}

static void
go_on_connecting(struct db *d)
{
	struct pollfd p = { PQsocket(d->conn), d->events, 0 };

	if (poll(&p, 1, 0) <= 0)
		return;
	switch (PQconnectPoll(d->conn)) {
	case PGRES_POLLING_OK:
		if (!prepare(d))
			went_down(d, PQerrorMessage(d->conn), "");
		break;
	case PGRES_POLLING_READING:
		d->events = POLLIN;
		break;
	case PGRES_POLLING_WRITING:
		d->events = POLLOUT;
		break;
	default:
		went_down(d, PQerrorMessage(d->conn), "");
	}
}

static void
came_up(struct db *d)
{
	d->state = UP;
	d->backoff_ms = 0;
	d->first = &d->head;
	if (d->owner.up)
		d->owner.up(d->owner.arg);
	d->first = NULL;
}

/* One result of the set-up, or its closing sync; false when the set-up has failed. */
static bool
take_preparation(struct db *d, const PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
		return true;
	case PGRES_PIPELINE_SYNC:
		came_up(d);
		return true;
	default:
		return false;
	}
}

static void
take_answer(struct db *d, const PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_PIPELINE_SYNC:
		break;
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		answer_first(d, 0, r);
		break;
	default:
		answer_first(d, -EPROTO, r);
	}
}

/* NULL stands between the results of one question and those of the next. */
static bool
take_results(struct db *d)
{
	PGresult *r;
	bool good = true;
	int nulls = 0;

	while (good && nulls < 2 && !PQisBusy(d->conn)) {
		if (!(r = PQgetResult(d->conn))) {
			nulls++;
			continue;
		}
		nulls = 0;
		if (d->state == UP)
			take_answer(d, r);
		else if (!(good = take_preparation(d, r)))
			went_down(d, PQresultErrorMessage(r), db_state((const struct db_rows *)r));
		PQclear(r);
	}
	return good;
}

static void
take_notifications(struct db *d)
{
	PGnotify *n;
	bool any = false;

	while ((n = PQnotifies(d->conn))) {
		any = true;
		PQfreemem(n);
	}
	if (any && d->owner.woken)
		d->owner.woken(d->owner.arg);
}

static void
talk(struct db *d)
{
	if (!PQconsumeInput(d->conn)) {
		went_down(d, PQerrorMessage(d->conn), "");
		return;
	}
	if (!take_results(d))
		return;
	take_notifications(d);
	if (PQstatus(d->conn) == CONNECTION_BAD || (d->state == UP && !send_questions(d)) || !flush(d))
		went_down(d, PQerrorMessage(d->conn), "");
}

/* The first question that waits is the one that has waited longest, but for those asked in up. */
static void
give_up_waiting(struct db *d, int64_t now)
{
	while (d->state != UP && d->head && now >= d->head->until_ms)
		answer_first(d, -ETIMEDOUT, NULL);
}

void
db_turn(struct db *d)
{
	int64_t now = clock_mono_ms();

	if (d->state == DOWN && now >= d->until_ms)
		begin(d);
	if (d->state == CONNECTING)
		go_on_connecting(d);
	if (d->state == PREPARING || d->state == UP)
		talk(d);
	if ((d->state == CONNECTING || d->state == PREPARING) && now >= d->until_ms)
		went_down(d, "no answer in time", "");
	if (d->state == UP && d->in_flight && now >= d->head->until_ms)
		went_down(d, "no answer in time", "");
	give_up_waiting(d, now);
}

int
db_fd(const struct db *d)
{
	return d->state == DOWN ? -1 : PQsocket(d->conn);
}

short
db_events(const struct db *d)
{
	return d->events;
}

int
db_wait_ms(const struct db *d, int most_ms)
{
	int64_t now = clock_mono_ms(), until = now + most_ms;

	if (d->state == UP && d->count > d->in_flight && d->in_flight < IN_FLIGHT)
		return 0;
	if (d->state != UP && d->until_ms < until)
		until = d->until_ms;
	if (d->head && (d->state != UP || d->in_flight) && d->head->until_ms < until)
		until = d->head->until_ms;
	return until > now ? (int)(until - now) : 0;
}

bool
db_up(const struct db *d)
{
	return d->state == UP;
}

size_t
db_waiting(const struct db *d)
{
	return d->count;
}

int
db_settle(struct db *d, int ms)
{
	int64_t until = clock_mono_ms() + ms, left;
	unsigned failures = d->failures;

	for (;;) {
		db_turn(d);
		if (!d->count)
			return 0;
		if (d->failures != failures)
			return -ENOTCONN;
		if ((left = until - clock_mono_ms()) <= 0)
			return -ETIMEDOUT;
		poll(&(struct pollfd){ db_fd(d), db_events(d), 0 }, 1, db_wait_ms(d, (int)left));
	}
}

static const PGresult *
rows_of(const struct db_rows *r)
{
	return (const PGresult *)r;
}

int
db_count(const struct db_rows *r)
{
	return PQntuples(rows_of(r));
}

const char *
db_text(const struct db_rows *r, int row, int column)
{
	return PQgetvalue(rows_of(r), row, column);
}

int64_t
db_int(const struct db_rows *r, int row, int column)
{
	return strtoll(db_text(r, row, column), NULL, 10);
}

bool
db_null(const struct db_rows *r, int row, int column)
{
	return PQgetisnull(rows_of(r), row, column);
}

bool
db_bool(const struct db_rows *r, int row, int column)
{
	return *db_text(r, row, column) == 't';
}

const char *
db_why(const struct db_rows *r)
{
	const char *text = r ? PQresultErrorField(rows_of(r), PG_DIAG_MESSAGE_PRIMARY) : NULL;

	return text ? text : "no reason given";
}

const char *
db_state(const struct db_rows *r)
{
	const char *text = r ? PQresultErrorField(rows_of(r), PG_DIAG_SQLSTATE) : NULL;

	return text ? text : "";
}
