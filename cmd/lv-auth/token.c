/* Tokens: who somebody is in a chat room, which lv-chatd believes; who may watch, which lv-serve does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "clock.h"
#include "die.h"
#include "ticket.h"
#include "viewlink.h"

static char *secret_path, *name, *role, **badges, *followed;
static char *address;
static int tier, for_s = 600, view;

const struct poptOption token_options[] = {
	{ "token-secret", 0, POPT_ARG_STRING, &secret_path, 0, "token: sign with the key in FILE", "FILE" },
	{ "name", 0, POPT_ARG_STRING, &name, 0, "token: the name that is shown", "NAME" },
	{ "role", 0, POPT_ARG_STRING, &role, 0, "token: viewer, mod, owner or service", "ROLE" },
	{ "badge", 0, POPT_ARG_ARGV, &badges, 0, "token: a badge; may be repeated", "BADGE" },
	{ "tier", 0, POPT_ARG_INT, &tier, 0, "token: subscribed at tier N", "N" },
	{ "followed", 0, POPT_ARG_STRING, &followed, 0, "token: follows since DATE (RFC 3339)", "DATE" },
	{ "for-s", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &for_s, 0, "token: good for S seconds", "S" },
	{ "view", 0, POPT_ARG_NONE, &view, 0, "token: a signed prefix for the paths of lv-serve, to watch STREAM", NULL },
	{ "address", 0, POPT_ARG_STRING, &address, 0, "token --view: good for a viewer at IP only", "IP" },
	POPT_TABLEEND
};

static void
word(char *to, size_t max, const char *from, const char *option)
{
	size_t n = strlen(from);

	if (!ticket_word_good(from, n, max))
		die(EX_USAGE, 0, "%s: 1 to %zu bytes of text without control characters", option, max);
	memcpy(to, from, n + 1);
}

static void
fill(struct ticket *t, const char *stream, const char *user)
{
	int r = role ? ticket_role(role) : TICKET_VIEWER;
	int64_t since = followed ? keys_date(followed) : 0;

	if (strcmp(stream, "*") && !keys_stream_good(stream))
		die(EX_USAGE, 0, "\"%.80s\" is no stream name: 1 to 64 of A-Z a-z 0-9 _ -, or *", stream);
	if (!user)
		die(EX_USAGE, 0, "whose token? give --user ID");
	if (r < 0)
		die(EX_USAGE, 0, "--role %s: viewer, mod, owner or service", role);
	if (since < 0)
		die(EX_USAGE, 0, "--followed: a date like 2020-12-31T23:59:59Z");
	if (tier < 0 || tier > 100)
		die(EX_USAGE, 0, "--tier %d: not between 0 and 100", tier);
	if (for_s < 1)
		die(EX_USAGE, 0, "--for-s %d: a number of seconds", for_s);
	word(t->stream, TICKET_STREAM_MAX, stream, "the stream");
	word(t->user, TICKET_USER_MAX, user, "--user");
	if (name)
		word(t->name, TICKET_NAME_MAX, name, "--name");
	for (; badges && badges[t->badge_count]; t->badge_count++) {
		if (t->badge_count == TICKET_BADGES)
			die(EX_USAGE, 0, "--badge: %d at most", TICKET_BADGES);
		word(t->badges[t->badge_count], TICKET_BADGE_MAX, badges[t->badge_count], "--badge");
	}
	t->role = (enum ticket_role)r;
	t->tier = tier;
	t->followed_s = since / 1000;
	t->exp_s = clock_wall_ms() / 1000 + for_s;
}

/* NULL after a message, with the exit status. */
static struct ticket_key *
key_open(int *status)
{
	struct ticket_key *key;
	struct buf text = { 0 };
	int r;

	if (!secret_path)
		die(EX_USAGE, 0, "signed with what? give --token-secret FILE");
	if ((r = whole_read(secret_path, TICKET_KEY_MAX, true, &text, NULL)) < 0) {
		keyring_complain(r, "open", secret_path);
		*status = keyring_status(r);
		return NULL;
	}
	if ((r = ticket_key_new(&key, buf_data(&text), buf_len(&text))) < 0) {
		complain(0, "%s is no secret of %d bytes or more, nor a PEM file", secret_path, TICKET_SECRET_MIN);
		key = NULL;
		*status = EX_DATAERR;
	}
	if (buf_len(&text))
		explicit_bzero(buf_data(&text), buf_len(&text));
	buf_free(&text);
	return key;
}

static int
finish(void)
{
	if (!fflush(stdout) && !fclose(stdout))
		return EX_OK;
	complain(0, "cannot write to standard output");
	return EX_IOERR;
}

/* The prefix of a path, as lv-serve --token-secret takes it. */
static int
run_view(const char *stream)
{
	char text[VIEWLINK_TEXT], from[VIEWLINK_ADDRESS];
	struct buf secret = { 0 };
	int r;

	if (!keys_stream_good(stream))
		die(EX_USAGE, 0, "\"%.80s\" is no stream name: 1 to 64 of A-Z a-z 0-9 _ -", stream);
	if (address && !viewlink_address(from, address))
		die(EX_USAGE, 0, "--address %s: no address; expected as 203.0.113.9 or 2001:db8::1", address);
	if (for_s < 1)
		die(EX_USAGE, 0, "--for-s %d: a number of seconds", for_s);
	if (!secret_path)
		die(EX_USAGE, 0, "signed with what? give --token-secret FILE, the one of lv-serve");
	if ((r = whole_secret(secret_path, VIEWLINK_SECRET_MAX, &secret)) < 0) {
		keyring_complain(r, "open", secret_path);
		return keyring_status(r);
	}
	r = buf_len(&secret) < VIEWLINK_SECRET_MIN ? -EINVAL : viewlink_make(text, &(struct viewlink_key){
		(const char *)buf_data(&secret), buf_len(&secret) }, stream, clock_wall_ms() / 1000 + for_s,
		address ? from : NULL);
	explicit_bzero(buf_data(&secret), buf_len(&secret));
	buf_free(&secret);
	if (r < 0) {
		complain(0, "%s is no secret of %d bytes or more", secret_path, VIEWLINK_SECRET_MIN);
		return EX_DATAERR;
	}
	printf("%s\n", text);
	return finish();
}

int
token_run(char **args, const char *user)
{
	struct ticket ticket = { 0 };
	struct ticket_key *key;
	struct buf token = { 0 };
	int status, r;

	if (!args[0] || args[1])
		die(EX_USAGE, 0, view ? "token --view for which stream? name one" :
			"token for which room? name one stream, or * for all");
	if (view && (user || name || role || badges || tier || followed))
		die(EX_USAGE, 0, "--view goes with --token-secret, --for-s and --address only");
	if (view)
		return run_view(args[0]);
	if (address)
		die(EX_USAGE, 0, "--address goes with --view only");
	fill(&ticket, args[0], user);
	if (!(key = key_open(&status)))
		return status;
	r = ticket_write(&token, key, &ticket, "lv-chatd", clock_wall_ms() / 1000);
	ticket_key_free(&key);
	if (r < 0) {
		complain(r == -EINVAL ? 0 : r, "cannot sign with %s%s", secret_path,
			r == -EINVAL ? ": it is no private key for ES256" : "");
		return r == -EMSGSIZE ? EX_USAGE : EX_DATAERR;
	}
	printf("%.*s\n", (int)buf_len(&token), (const char *)buf_data(&token));
	buf_free(&token);
	return finish();
}
