/* From page to page of a stream's followers: Redis is told of one while PostgreSQL looks up the next. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "db.h"
#include "die.h"
#include "event.h"
#include "json.h"
#include "metricsd.h"
#include "notify.h"
#include "sig.h"

#define PAGE 10000 /* also in the query */
#define BATCH 500  /* followers a script: Redis does nothing else for about two milliseconds */
#define PAGE_MS 4000
#define OTHER_MS 5000 /* another lv-notify tells them; it has this long for its next batch */

const struct db_query follower_query = {
	"select user_id from followers where stream = $1 and user_id > $2 and octet_length(user_id) <= 128 "
	"order by user_id limit 10000", 2
};

struct telling_counts telling_counts;

struct page {
	struct buf users; /* one behind the other */
	int count, err;
	bool waits;
	char why[160];
};

struct telling {
	struct box *box;
	struct db *db;
	const struct broadcast *b;
	char message[256];
	char mark[BOX_MARK];
	struct page page, next;
	int64_t told;
};

static void
take_page(void *arg, int err, const struct db_rows *rows)
{
	struct page *p = arg;
	int i;

	p->waits = false;
	p->err = err;
	if (err) {
		snprintf(p->why, sizeof(p->why), "the database: %s", err == -EPROTO ? db_why(rows) :
			"no connection");
		return;
	}
	p->count = db_count(rows);
	for (i = 0; i < p->count; i++)
		buf_append(&p->users, db_text(rows, i, 0), strlen(db_text(rows, i, 0)) + 1);
	p->err = p->users.error;
}

static void
ask_page(struct telling *t, struct page *p, const char *behind)
{
	buf_clear(&p->users);
	p->count = 0;
	p->waits = true;
	if ((p->err = db_ask(t->db, 0, (const char *const[]){ t->b->stream, behind }, PAGE_MS, take_page, p)) < 0)
		p->waits = false;
	else
		db_turn(t->db); /* it goes out now, to be looked up while Redis is told */
}

static int
await_page(struct telling *t, struct page *p)
{
	while (p->waits) {
		db_turn(t->db);
		if (p->waits)
			metricsd_poll(&(struct pollfd){ db_fd(t->db), db_events(t->db), 0 }, 1,
				db_wait_ms(t->db, 1000));
	}
	return p->err;
}

static const char *
last_of(const char *users, int count)
{
	while (--count > 0)
		users += strlen(users) + 1;
	return users;
}

/* A page in batches, each from the mark that the one before it leaves.  1, 0 when not alone, -errno. */
static int
tell_page(struct telling *t)
{
	const struct page *p = &t->page;
	const char *users = (char *)buf_data(&p->users), *last;
	int left, n, asked = 0, r = 1, answer;
	char from[BOX_MARK], to[BOX_MARK];

	memcpy(from, t->mark, sizeof(from));
	for (left = p->count; left > 0; left -= n, asked++) {
		n = left < BATCH ? left : BATCH;
		last = last_of(users, n);
		snprintf(to, sizeof(to), "=%s", last);
		if ((r = box_tell(t->box, t->b->id, from, to, t->message, users, n)) < 0)
			return r;
		memcpy(from, to, sizeof(from));
		users = last + strlen(last) + 1;
	}
	if (p->count < PAGE) {
		if ((r = box_tell(t->box, t->b->id, from, BOX_ALL, t->message, users, 0)) < 0)
			return r;
		snprintf(from, sizeof(from), BOX_ALL);
		asked++;
	} else {
		ask_page(t, &t->next, from + 1);
	}
	for (r = 1; asked > 0; asked--) {
		if ((answer = box_told(t->box)) < 0)
			return answer;
		r &= answer;
	}
	if (r) {
		t->told += p->count;
		memcpy(t->mark, from, sizeof(from));
	}
	return r;
}

/* From the mark on.  1 when all are told, 0 when another tells them, -errno. */
static int
tell_on(struct telling *t)
{
	struct page swap;
	int r;

	if ((r = box_open(t->box)) < 0 || (r = box_mark(t->box, t->b->id, t->mark)) < 0)
		return r;
	if (!strcmp(t->mark, BOX_ALL))
		return 1;
	ask_page(t, &t->next, *t->mark ? t->mark + 1 : "");
	for (;;) {
		if ((r = await_page(t, &t->next)) < 0)
			return r;
		swap = t->page;
		t->page = t->next;
		t->next = swap;
		if ((r = tell_page(t)) <= 0 || !strcmp(t->mark, BOX_ALL))
			break;
		if (sig_drain_left_ms() == 0)
			return 0;
	}
	(void)await_page(t, &t->next);
	return r;
}

/* Another lv-notify moves the mark: until it has done, or has not moved it for a while. */
static void
watch_other(struct telling *t)
{
	int64_t until = clock_mono_ms() + OTHER_MS;
	char mark[BOX_MARK];

	while (clock_mono_ms() < until && sig_drain_left_ms() != 0) {
		metricsd_poll(NULL, 0, 200);
		if (box_open(t->box) < 0 || box_mark(t->box, t->b->id, mark) < 0 || !strcmp(mark, BOX_ALL))
			return;
		if (strcmp(mark, t->mark)) {
			memcpy(t->mark, mark, sizeof(mark));
			until = clock_mono_ms() + OTHER_MS;
		}
	}
}

static void
say_told(const struct telling *t, int64_t dur_ms)
{
	struct event ev;

	telling_counts.broadcasts++;
	telling_counts.followers += (uint64_t)t->told;
	event_begin(&ev, "followers.told");
	event_str(&ev, "stream", t->b->stream);
	event_str(&ev, "broadcast", t->b->id);
	event_int(&ev, "count", t->told);
	event_int(&ev, "dur_ms", dur_ms);
	event_send(&ev);
}

bool
tell_followers(struct box *box, struct db *db, const struct broadcast *b)
{
	struct telling t = { .box = box, .db = db, .b = b };
	int64_t began = clock_mono_ms();
	int r, wait_ms = 100;
	bool said = false;
	struct json j;

	json_begin(&j, t.message, sizeof(t.message));
	json_str(&j, "type", "stream_started");
	json_str(&j, "stream", b->stream);
	json_str(&j, "broadcast", b->id);
	json_str(&j, "ts", b->ts);
	json_end(&j);
	while ((r = tell_on(&t)) <= 0 && sig_drain_left_ms() != 0) {
		if (r == 0) {
			watch_other(&t);
			continue;
		}
		(void)await_page(&t, &t.next);
		if (!said)
			complain(0, "cannot tell the followers of %s: %s; trying on", b->stream,
				r == -EIO ? box_why(box) : *t.next.why ? t.next.why : strerror(-r));
		said = telling_counts.stalled = true;
		telling_counts.failures++;
		metricsd_poll(NULL, 0, wait_ms);
		wait_ms = wait_ms < 2500 ? 2 * wait_ms : 5000;
	}
	telling_counts.stalled = false;
	if (r > 0)
		say_told(&t, clock_mono_ms() - began);
	buf_free(&t.page.users);
	buf_free(&t.next.users);
	return r > 0;
}
