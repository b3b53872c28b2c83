/* lv-notify: tell every follower of a stream that a broadcast began. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include <jansson.h>

#include "clock.h"
#include "db.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "keys.h"
#include "metricsd.h"
#include "notify.h"
#include "opt.h"
#include "sig.h"
#include "whole.h"

#define LINE_MAX_BYTES (64 << 10)
#define PASSWORD_MAX 512
#define WAKE_MS 1000 /* how often the database is looked after while nothing happens */

static char *db_url, *redis_url, *password_path;
static int fresh_s = 600;

static const struct poptOption options[] = {
	{ "db", 'd', POPT_ARG_STRING, &db_url, 0, "the followers are in the database at URL", "URL" },
	{ "redis", 'r', POPT_ARG_STRING, &redis_url, 0, "tell them by the Redis at URL", "URL" },
	{ "redis-password-file", 0, POPT_ARG_STRING, &password_path, 0, "its password is in FILE", "FILE" },
	{ "fresh-s", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &fresh_s, 0,
		"say nothing of a broadcast that began over S seconds ago", "S" },
	OPT_METRICS,
	OPT_COMMON
};

static bool
text_of(const json_t *o, const char *name, char *to, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, name));

	if (!s || strlen(s) >= cap)
		return false;
	memcpy(to, s, strlen(s) + 1);
	return true;
}

/* Any event but the one is passed over, and so is what is no event. */
static bool
take_event(const char *line, size_t n, struct broadcast *b)
{
	json_t *o = json_loadb(line, n, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "event"));
	bool good = false;

	if (!o) {
		complain(0, "a line on standard input is no event");
	} else if (name && !strcmp(name, "broadcast.started")) {
		good = text_of(o, "stream", b->stream, sizeof(b->stream)) && keys_stream_good(b->stream) &&
			text_of(o, "broadcast", b->id, sizeof(b->id)) && airing_id_good(b->id) &&
			text_of(o, "ts", b->ts, sizeof(b->ts)) && keys_date(b->ts) >= 0;
		if (!good)
			complain(0, "an event broadcast.started without stream, broadcast and ts");
	}
	json_decref(o);
	return good;
}

/* Events come one a line and at most 4 KB long; what is longer is none. */
static void
take_lines(struct buf *in, struct box *box, struct db *db)
{
	struct broadcast b;
	char *data, *end;
	size_t n;

	while (buf_len(in) && (end = memchr(data = (char *)buf_data(in), '\n', buf_len(in)))) {
		n = (size_t)(end - data);
		if (n && take_event(data, n, &b)) {
			if (clock_wall_ms() - keys_date(b.ts) > (int64_t)fresh_s * 1000)
				inform("the broadcast %s of %s began too long ago", b.id, b.stream);
			else if (!tell_followers(box, db, &b))
				warning(0, "not all followers of %s were told", b.stream);
			events_flush();
		}
		buf_consume(in, n + 1);
	}
	if (buf_len(in) > LINE_MAX_BYTES) {
		complain(0, "a line on standard input is over %d KB", LINE_MAX_BYTES >> 10);
		buf_clear(in);
	}
}

static void
fill_metrics(void *ctx, struct metrics *m)
{
	const struct telling_counts *c = &telling_counts;

	metrics_gauge(m, "lv_notify_database_up", db_up(ctx), "1 while the database answers.");
	metrics_gauge(m, "lv_notify_stalled", c->stalled, "1 while followers cannot be told.");
	metrics_counter(m, "lv_notify_broadcasts_total", (double)c->broadcasts,
		"Broadcasts whose followers have all been told.");
	metrics_counter(m, "lv_notify_followers_told_total", (double)c->followers, "Followers told.");
	metrics_counter(m, "lv_notify_failures_total", (double)c->failures,
		"Attempts that Redis or the database did not let through.");
}

static int
serve(struct box *box, struct db *db)
{
	struct buf in = { 0 };
	uint8_t *room;
	ssize_t n = 0;

	while ((room = buf_reserve(&in, LINE_MAX_BYTES))) {
		metricsd_poll(&(struct pollfd){ 0, POLLIN, 0 }, 1, WAKE_MS);
		if ((n = input_read(0, room, LINE_MAX_BYTES, 0)) == 0)
			break;
		if (n < 0 && n != -EAGAIN)
			break;
		if (n > 0) {
			buf_grew(&in, (size_t)n);
			take_lines(&in, box, db);
		}
		db_turn(db);
	}
	buf_free(&in);
	if (!room || n < 0) {
		complain(room ? (int)n : -ENOMEM, "cannot read standard input");
		return room ? EX_IOERR : EX_OSERR;
	}
	return EX_OK;
}

static void
open_box(struct box **box)
{
	struct buf text = { 0 };
	const char *why = NULL;
	char *password = NULL;
	int r;

	if (password_path) {
		if ((r = whole_secret(password_path, PASSWORD_MAX, &text)) == -EPERM)
			die(EX_NOPERM, 0, "%s is open to others; \"chmod 600 %s\"", password_path, password_path);
		if (r < 0 || buf_append(&text, "", 1) < 0)
			die(EX_NOINPUT, r, "cannot read %s", password_path);
		password = (char *)buf_data(&text);
	}
	r = box_new(box, redis_url, password, &why);
	if (password)
		explicit_bzero(buf_data(&text), buf_len(&text));
	buf_free(&text);
	if (r == -EACCES)
		die(EX_USAGE, 0, "--redis: no password on a command line, where others see it; use "
			"--redis-password-file");
	if (r == -EINVAL)
		die(EX_USAGE, 0, "--redis: %s", why);
	if (r < 0)
		die(EX_OSERR, r, "cannot begin");
}

static void
open_db(struct db **db)
{
	const char *why;
	int r = db_new(db, db_url, &(struct db_owner){ .queries = &follower_query, .query_count = 1,
		.name = "lv-notify" }, &why);

	if (r == -EACCES)
		die(EX_USAGE, 0, "--db: no password on a command line, where others see it; put it into a "
			"file that PGPASSFILE names, or a service");
	if (r == -EINVAL)
		die(EX_USAGE, 0, "--db: %s", why);
	if (r < 0)
		die(EX_OSERR, r, "cannot begin");
}

int
main(int argc, char **argv)
{
	struct box *box;
	struct db *db;
	int status;

	opt_parse(argc, argv, options, "", 0, 0);
	if (!db_url || !redis_url)
		die(EX_USAGE, 0, "whose followers, and where? give --db URL and --redis URL");
	if (fresh_s < 1)
		die(EX_USAGE, 0, "--fresh-s: a number of seconds");
	sig_setup();
	open_box(&box);
	open_db(&db);
	metricsd_open(fill_metrics, db);
	metricsd_ready();
	status = serve(box, db);
	metricsd_close();
	db_free(&db);
	box_free(&box);
	events_close(1000);
	return status;
}
