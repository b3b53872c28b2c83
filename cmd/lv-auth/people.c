/* People, as an operator types them: who follows, who was given a subscription, who may not write. */
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "airing.h"
#include "dbhand.h"
#include "die.h"

static char *by, *reason;

const struct poptOption people_options[] = {
	{ "by", 0, POPT_ARG_STRING, &by, 0, "ban: on the word of user ID (default: operator)", "ID" },
	{ "reason", 0, POPT_ARG_STRING, &reason, 0, "ban: why, as the chat may show it", "TEXT" },
	POPT_TABLEEND
};

#define REASON_MAX 500

static const char ban_sql[] =
	"insert into chat_bans (stream, user_id, by_user, reason, until) "
	"values ($1, $2, $3, $4, to_timestamp(nullif($5::bigint, 0) / 1000.0)) "
	"on conflict (stream, user_id) where lifted_at is null do update set by_user = excluded.by_user, "
	"reason = excluded.reason, until = excluded.until, created_at = now() returning 1";
static const char unban_sql[] =
	"update chat_bans set lifted_at = now() where stream = $1 and user_id = $2 and lifted_at is null "
	"and (until is null or until > now()) returning 1";
static const char follow_sql[] =
	"insert into followers (stream, user_id) values ($1, $2) on conflict do nothing returning 1";
static const char unfollow_sql[] =
	"delete from followers where stream = $1 and user_id = $2 returning 1";
/* One gift, however many it is for; what is left of a subscription is kept. */
static const char gift_sql[] =
	"with given as (select distinct unnest($3::text[]) as name), "
	"gift as (insert into gifts (stream, user_id, count) "
	"select $1, $2, count(*) from given returning id) "
	"insert into subscriptions as s (stream, user_id, ends_at, gift_id) select $1, given.name, "
	"coalesce(to_timestamp(nullif($4::bigint, 0) / 1000.0), now() + interval '1 month'), gift.id "
	"from given, gift on conflict (stream, user_id) do update set "
	"ends_at = case when s.ends_at is null then null "
	"else greatest(s.ends_at, now()) + (excluded.ends_at - now()) end, "
	"gift_id = excluded.gift_id returning gift_id";
static const char vod_sql[] = "update live_streams set vod_path = $2 where broadcast = $1 returning 1";

static const struct person_command {
	const char *name, *what; /* what: its operands, for a message */
	int min, max;
	const char *sql;
	const char *no; /* when nothing was changed, which is status 1: said before the first operand */
} commands[] = {
	{ "ban", "STREAM USER", 2, 2, ban_sql, NULL },
	{ "unban", "STREAM USER", 2, 2, unban_sql, "no such user is banned from " },
	{ "follow", "STREAM USER", 2, 2, follow_sql, NULL },
	{ "unfollow", "STREAM USER", 2, 2, unfollow_sql, "no such user follows " },
	{ "gift", "STREAM GIVER USER...", 3, PEOPLE_GIFTS_MAX + 2, gift_sql, NULL },
	{ "vod", "BROADCAST PATH", 2, 2, vod_sql, "there is no broadcast " },
};

static const struct person_command *
find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

bool
people_command(const char *name)
{
	return find(name) != NULL;
}

bool
people_options_given(void)
{
	return by || reason;
}

static void
usage_check(const struct person_command *c, char **args, const char *until)
{
	bool ban = !strcmp(c->name, "ban"), vod = !strcmp(c->name, "vod");
	bool every = ban || !strcmp(c->name, "unban");
	int n = 0, i;

	while (args[n])
		n++;
	if (n < c->min || n > c->max)
		die(EX_USAGE, 0, "%s takes %s", c->name, c->what);
	if (vod ? !airing_id_good(args[0]) : !keys_stream_good(args[0]) && !(every && !strcmp(args[0], "*")))
		die(EX_USAGE, 0, "\"%.80s\" is no %s", args[0], vod ? "broadcast" : every ?
			"stream name, and not * for all" : "stream name: 1 to 64 of A-Z a-z 0-9 _ -");
	for (i = 1; i < n && !vod; i++)
		if (!keys_word_good(args[i]))
			die(EX_USAGE, 0, "\"%.80s\" is no user: 1 to 128 printable characters without "
				"blanks and #", args[i]);
	if (!ban && people_options_given())
		die(EX_USAGE, 0, "--by and --reason go with ban only");
	if (by && !keys_word_good(by))
		die(EX_USAGE, 0, "--by: 1 to 128 printable characters without blanks and #");
	if (reason && strlen(reason) > REASON_MAX)
		die(EX_USAGE, 0, "--reason: %d bytes at most", REASON_MAX);
	if (until && ((!ban && strcmp(c->name, "gift")) || keys_date(until) < 0))
		die(EX_USAGE, 0, "--until: a date like 2030-12-31T23:59:59Z, with ban and gift");
}

/* Users as an array of the database. */
static int
list(struct buf *to, char **users)
{
	const char *s;

	buf_append(to, "{", 1);
	for (; *users; users++) {
		buf_append(to, "\"", 1);
		for (s = *users; *s; s++)
			buf_printf(to, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
		buf_append(to, users[1] ? "\"," : "\"", users[1] ? 2 : 1);
	}
	buf_append(to, "}", 2);
	return to->error;
}

struct answer {
	int rows;
	int64_t id;
};

static void
take(void *arg, const struct db_rows *rows)
{
	struct answer *a = arg;

	a->rows = db_count(rows);
	a->id = a->rows ? db_int(rows, 0, 0) : 0;
}

static int
gift(const char *url, char **args, const char *until, struct answer *a)
{
	struct buf users = { 0 };
	int r = list(&users, args + 2), status = EX_OSERR;

	if (r < 0)
		complain(r, "cannot give");
	else
		status = dbhand_run(url, gift_sql, 4, (const char *const[]){ args[0], args[1],
			(char *)buf_data(&users), until }, take, a);
	buf_free(&users);
	return status;
}

int
people_run(const char *url, char **args, const char *until)
{
	const struct person_command *c = find(*args++);
	struct answer a = { 0 };
	char until_ms[24];
	int status;

	usage_check(c, args, until);
	snprintf(until_ms, sizeof(until_ms), "%lld", until ? (long long)keys_date(until) : 0LL);
	if (!strcmp(c->name, "gift")) {
		if ((status = gift(url, args, until_ms, &a)))
			return status;
		printf("%lld\n", (long long)a.id);
		return hand_finish("");
	}
	if (!strcmp(c->name, "ban"))
		status = dbhand_run(url, ban_sql, 5, (const char *const[]){ args[0], args[1],
			by ? by : "operator", reason, until_ms }, take, &a);
	else
		status = dbhand_run(url, c->sql, 2, (const char *const *)args, take, &a);
	if (!status && !a.rows && c->no) {
		complain(0, "%s%s", c->no, args[0]);
		status = 1;
	}
	return status;
}
