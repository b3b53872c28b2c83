/* lv-auth: say who may publish, from a keys file or a database; keep the keys. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "backend.h"
#include "die.h"
#include "event.h"
#include "jsonwipe.h"
#include "metricsd.h"
#include "opt.h"
#include "sig.h"

static char *keys_path, *db_url, *state_path, *box;
static int hold_s = 120, cache_s, takeover;
static char *hook_url;
static struct hand hand;
static char *user, *app, *until;
static long max_kbps;
static int adobe;

static const struct poptOption options[] = {
	{ "keys", 'k', POPT_ARG_STRING, &keys_path, 0, "the keys are in FILE", "FILE" },
	{ "db", 'd', POPT_ARG_STRING, &db_url, 0, "the keys and broadcasts are in the database at URL",
		"URL" },
	{ "state", 's', POPT_ARG_STRING, &state_path, 0,
		"keep the broadcasts in PATH (default: the keys' FILE.state); with --db, what the "
		"database has yet to hear", "PATH" },
	{ "box", 'b', POPT_ARG_STRING, &box, 0, "--db: call this box NAME (default: its host and door)",
		"NAME" },
	{ "hold-s", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hold_s, 0,
		"after a restart, resume broadcasts that were open S seconds ago", "S" },
	{ "cache-s", 0, POPT_ARG_INT, &cache_s, 0,
		"--db: while it is away, let in whom it let in S seconds ago or later", "S" },
	{ "takeover", 0, POPT_ARG_NONE, &takeover, 0, "--db: a stream that another box publishes is taken over",
		NULL },
	{ "user", 'u', POPT_ARG_STRING, &user, 0, "add, token: it belongs to user ID", "ID" },
	{ "app", 'a', POPT_ARG_STRING, &app, 0, "add: the key is good for app NAME only", "NAME" },
	{ "max-kbps", 0, POPT_ARG_LONG, &max_kbps, 0, "add: allow at most N kbit/s", "N" },
	{ "until", 0, POPT_ARG_STRING, &until, 0, "add, ban, gift: good until DATE (RFC 3339)",
		"DATE" },
	{ "adobe", 0, POPT_ARG_NONE, &adobe, 0,
		"add: the key is also the password of a user named STREAM (authmod=adobe)", NULL },
	{ "hook", 0, POPT_ARG_STRING, &hook_url, 0, "ask the back end at URL as well", "URL" },
	{ NULL, '\0', POPT_ARG_INCLUDE_TABLE, (void *)backend_options, 0, "The back end, with --hook:", NULL },
	{ NULL, '\0', POPT_ARG_INCLUDE_TABLE, (void *)people_options, 0, "People, with --db:", NULL },
	{ NULL, '\0', POPT_ARG_INCLUDE_TABLE, (void *)token_options, 0, "Tokens, for the chat and private streams:", NULL },
	OPT_METRICS,
	OPT_COMMON
};

/* How many operands each command takes beside its name. */
static const struct command {
	const char *name;
	int min, max;
} commands[] = { { "add", 1, 1 }, { "list", 0, 1 }, { "revoke", 1, 1 }, { "rotate", 1, 1 },
	{ "check", 0, 0 }, { "schema", 0, 0 } };

static void
usage_check(char **args)
{
	size_t i, n = sizeof(commands) / sizeof(*commands);
	int given = 0;

	for (i = 0; i < n && strcmp(args[0], commands[i].name); i++)
		;
	if (i == n)
		die(EX_USAGE, 0, "no command \"%s\": \"man lv-auth\" lists them", args[0]);
	while (args[1 + given])
		given++;
	if (given < commands[i].min)
		die(EX_USAGE, 0, "%s what? name a stream", args[0]);
	if (given > commands[i].max)
		die(EX_USAGE, 0, "unexpected operand after %s%s", args[0],
			commands[i].max ? " STREAM" : ": a key is read from standard input");
	if (args[1] && !keys_stream_good(args[1]))
		die(EX_USAGE, 0, "\"%.80s\" is no stream name: 1 to 64 of A-Z a-z 0-9 _ -", args[1]);
	if (strcmp(args[0], "add") && (user || max_kbps || until))
		die(EX_USAGE, 0, "--user, --max-kbps and --until go with add only");
	if (strcmp(args[0], "add") && strcmp(args[0], "check") && app)
		die(EX_USAGE, 0, "--app goes with add and check only");
	if (adobe && strcmp(args[0], "add"))
		die(EX_USAGE, 0, "--adobe goes with add only");
	if (user && !keys_word_good(user))
		die(EX_USAGE, 0, "--user: 1 to 128 printable characters without blanks and #");
	if (app && !keys_word_good(app))
		die(EX_USAGE, 0, "--app: 1 to 128 printable characters without blanks and #");
	if (max_kbps < 0 || max_kbps > INT32_MAX)
		die(EX_USAGE, 0, "--max-kbps: a number of kbit/s");
	if (until && keys_date(until) < 0)
		die(EX_USAGE, 0, "--until: a date like 2030-12-31T23:59:59Z");
}

static int
run_hand(char **args)
{
	usage_check(args);
	hand = (struct hand){ keys_path, db_url, user, app, until, max_kbps, adobe };
	if (!strcmp(args[0], "add"))
		return db_url ? dbhand_add(&hand, args[1]) : hand_add(&hand, args[1]);
	if (!strcmp(args[0], "list"))
		return db_url ? dbhand_list(&hand, args[1]) : hand_list(&hand, args[1]);
	if (!strcmp(args[0], "revoke"))
		return db_url ? dbhand_revoke(&hand, args[1]) : hand_revoke(&hand, args[1]);
	if (!strcmp(args[0], "rotate"))
		return db_url ? dbhand_rotate(&hand, args[1]) : hand_rotate(&hand, args[1]);
	return db_url ? dbhand_check(&hand) : hand_check(&hand);
}

static int
run_filter(void)
{
	char state[PATH_MAX];
	struct store *store;
	int status;

	if (keys_path && !state_path) {
		if (snprintf(state, sizeof(state), "%s.state", keys_path) >= (int)sizeof(state))
			die(EX_USAGE, 0, "the name of the keys file is too long");
		state_path = state;
	}
	sig_setup();
	status = db_url ? dbstore_open(&store, &(struct dbstore_config){ db_url, state_path, box, hold_s, cache_s,
			takeover }) :
		filestore_open(&store, keys_path, state_path, hold_s);
	if (!status && hook_url)
		status = hookstore_open(&store, hook_url);
	if (status)
		return status;
	status = filter_run(store);
	store->close(&store);
	events_close(1000);
	return status;
}

int
main(int argc, char **argv)
{
	const char *wrong;
	char **args;

	json_wipe(); /* requests hold keys */
	opt_mixed = true;
	args = opt_parse(argc, argv, options,
		"[add STREAM | list [STREAM] | revoke STREAM | rotate STREAM | check | schema |\n"
		"        ban STREAM USER | unban STREAM USER | follow STREAM USER | unfollow STREAM USER |\n"
		"        gift STREAM GIVER USER... | vod BROADCAST PATH | token STREAM]", 0, PEOPLE_GIFTS_MAX + 3);
	if (args[0] && !strcmp(args[0], "schema") && !args[1])
		return schema_print();
	if (args[0] && !strcmp(args[0], "token"))
		return token_run(args + 1, user);
	if ((wrong = backend_check("--hook", hook_url)))
		die(EX_USAGE, 0, "%s", wrong);
	if ((!keys_path || !*keys_path) && !db_url && !(hook_url && !args[0]))
		die(EX_USAGE, 0, "which keys? give --keys FILE or --db URL");
	if (!keys_path && !db_url && !state_path)
		die(EX_USAGE, 0, "--hook alone: where are the broadcasts kept? give --state PATH");
	if (keys_path && db_url)
		die(EX_USAGE, 0, "--keys or --db: the keys are in one of them");
	if (box && (!db_url || !keys_word_good(box)))
		die(EX_USAGE, 0, "--box: a word of 1 to 128 characters, with --db");
	if (cache_s < 0 || (cache_s && (!db_url || !state_path)))
		die(EX_USAGE, 0, "--cache-s: a number of seconds, with --db and --state PATH (the cache is PATH.cache)");
	if (takeover && !db_url)
		die(EX_USAGE, 0, "--takeover goes with --db; a door has its own, rtmp-accept --duplicate takeover");
	if (hold_s < 0)
		die(EX_USAGE, 0, "--hold-s: a number of seconds");
	if (args[0] && people_command(args[0])) {
		if (!db_url || user || app || max_kbps || adobe)
			die(EX_USAGE, 0, "%s: with --db, and --until, --by and --reason only", args[0]);
		return people_run(db_url, args, until);
	}
	if (people_options_given())
		die(EX_USAGE, 0, "--by and --reason go with ban only");
	if (args[0])
		return run_hand(args);
	if (user || app || until || max_kbps || adobe)
		die(EX_USAGE, 0, "--user, --app, --max-kbps, --until and --adobe go with add only");
	return run_filter();
}
