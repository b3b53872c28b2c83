/* A token that says who somebody is in a chat room: lv-chatd believes what is signed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "clock.h"
#include "die.h"
#include "ticket.h"

static char *secret_path, *name, *role, **badges, *followed;
static int tier, for_s = 600;

const struct poptOption token_options[] = {
	{ "token-secret", 0, POPT_ARG_STRING, &secret_path, 0, "token: sign with the key in FILE", "FILE" },
	{ "name", 0, POPT_ARG_STRING, &name, 0, "token: the name that is shown", "NAME" },
	{ "role", 0, POPT_ARG_STRING, &role, 0, "token: viewer, mod, owner or service", "ROLE" },
	{ "badge", 0, POPT_ARG_ARGV, &badges, 0, "token: a badge; may be repeated", "BADGE" },
	{ "tier", 0, POPT_ARG_INT, &tier, 0, "token: subscribed at tier N", "N" },
	{ "followed", 0, POPT_ARG_STRING, &followed, 0, "token: follows since DATE (RFC 3339)", "DATE" },
	{ "for-s", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &for_s, 0, "token: good for S seconds", "S" },
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

int
token_run(char **args, const char *user)
{
	struct ticket ticket = { 0 };
	struct ticket_key *key;
	struct buf token = { 0 };
	int status, r;

	if (!args[0] || args[1])
		die(EX_USAGE, 0, "token for which room? name one stream, or * for all");
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
	if (!fflush(stdout) && !fclose(stdout))
		return EX_OK;
	complain(0, "cannot write to standard output");
	return EX_IOERR;
}
