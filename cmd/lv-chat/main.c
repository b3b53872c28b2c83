/* lv-chat: a chat room as a pipe: read it, write to it, moderate it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <jansson.h>

#include "chat.h"
#include "die.h"
#include "event.h"
#include "opt.h"
#include "sig.h"
#include "talk.h"
#include "web.h"

#define LINE_MAX_BYTES (64 << 10)

static char default_url[] = "ws://127.0.0.1:8090", *url = default_url, *token_path, *offset;
static long count;

static const struct poptOption options[] = {
	{ "url", 'u', POPT_ARG_STRING | POPT_ARGFLAG_SHOW_DEFAULT, &url, 0, "the chat is at URL", "URL" },
	{ "token-file", 't', POPT_ARG_STRING, &token_path, 0, "log in with the token in FILE", "FILE" },
	{ "offset", 'o', POPT_ARG_STRING, &offset, 0, "read: begin after the entry ID", "ID" },
	{ "count", 'n', POPT_ARG_LONG, &count, 0, "read: end after N lines", "N" },
	OPT_COMMON
};

enum how { HOW_READ, HOW_SEND, HOW_DO, HOW_ONE };

/* What each command takes beside the room. */
static const struct command {
	const char *name, *operands;
	enum how how;
	int min, max;
} commands[] = {
	{ "read", "", HOW_READ, 0, 0 },
	{ "send", "", HOW_SEND, 0, 0 },
	{ "do", "", HOW_DO, 0, 0 },
	{ "delete", " ID", HOW_ONE, 1, 1 },
	{ "timeout", " USER SECONDS [REASON]", HOW_ONE, 2, 3 },
	{ "ban", " USER [REASON]", HOW_ONE, 1, 2 },
	{ "unban", " USER", HOW_ONE, 1, 1 },
	{ "clear", "", HOW_ONE, 0, 0 },
	{ "modes", " NAME=VALUE...", HOW_ONE, 1, 6 },
	{ "pin", " ID", HOW_ONE, 1, 1 },
	{ "unpin", "", HOW_ONE, 0, 0 },
	{ "approve", " ID", HOW_ONE, 1, 1 },
	{ "deny", " ID", HOW_ONE, 1, 1 },
};

static struct source {
	enum how how;
	struct talk *talk;
	struct buf in, one; /* of standard input; the one thing to say */
	ev_io readable;
	bool eof;
} source; /* what is to be said */

/* A line of standard input that has come whole. */
static int
next_line(struct buf *line)
{
	const char *text = (const char *)buf_data(&source.in);
	size_t n = buf_len(&source.in);
	const char *end = n ? memchr(text, '\n', n) : NULL;
	size_t len = end ? (size_t)(end - text) : n;

	if (!end && n >= LINE_MAX_BYTES) {
		complain(0, "a line is longer than %d bytes", LINE_MAX_BYTES);
		source.eof = true;
		return -1;
	}
	if (!end && (!source.eof || !n)) {
		if (!source.eof)
			ev_io_start(EV_DEFAULT_ &source.readable);
		return source.eof ? -1 : 0;
	}
	buf_clear(line);
	buf_append(line, text, len && text[len - 1] == '\r' ? len - 1 : len);
	buf_consume(&source.in, len + (end != NULL));
	return 1;
}

static int
next_message(struct buf *ask)
{
	struct buf line = { 0 };
	json_t *o;
	char *text;
	int r;

	while ((r = next_line(&line)) > 0 && !buf_len(&line))
		;
	if (r <= 0)
		goto out;
	o = json_pack("{ss ss%}", "type", "message", "text", (const char *)buf_data(&line), buf_len(&line));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (text)
		buf_append(ask, text, strlen(text));
	else
		buf_append(ask, "no UTF-8", 8); /* which is complained of */
	free(text);
out:
	buf_free(&line);
	return r;
}

static int
next(void *ctx, struct buf *ask)
{
	int r;

	(void)ctx;
	switch (source.how) {
	case HOW_SEND:
		return next_message(ask);
	case HOW_DO:
		while ((r = next_line(ask)) > 0 && !buf_len(ask))
			;
		return r;
	case HOW_ONE:
		if (!buf_len(&source.one))
			return -1;
		buf_append(ask, buf_data(&source.one), buf_len(&source.one));
		buf_clear(&source.one);
		return 1;
	default:
		return 0;
	}
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	uint8_t *p = buf_reserve(&source.in, 4096);
	ssize_t n = p ? read(0, p, 4096) : -1;

	(void)events;
	if (n > 0)
		buf_grew(&source.in, (size_t)n);
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		source.eof = true;
	if (source.eof || buf_len(&source.in) >= LINE_MAX_BYTES)
		ev_io_stop(loop, w); /* until it is needed */
	talk_more(source.talk);
}

static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	talk_end(source.talk);
}

/* slow=30 followers=off subs=on emote=off unique=on */
static void
take_mode(json_t *ask, const char *word)
{
	const char *value = strchr(word, '=');
	char name[16], *end;
	long n;

	if (!value || (size_t)(value - word) >= sizeof(name))
		die(EX_USAGE, 0, "modes: \"%s\": like slow=30, followers=10, subs=on, emote=on, unique=off, links=hold", word);
	snprintf(name, sizeof(name), "%.*s", (int)(value - word), word);
	value++;
	n = strtol(value, &end, 10);
	if (!strcmp(name, "slow") || !strcmp(name, "followers")) {
		if (!strcmp(value, "off"))
			n = !strcmp(name, "slow") ? 0 : -1;
		else if (*end || end == value)
			die(EX_USAGE, 0, "modes: %s: a number, or off", name);
		json_object_set_new(ask, name, json_integer(n));
	} else if (!strcmp(name, "links")) {
		if (chat_links(value) < 0)
			die(EX_USAGE, 0, "modes: links: all, subs, mods or hold");
		json_object_set_new(ask, name, json_string(value));
	} else if (!strcmp(value, "on") || !strcmp(value, "off")) {
		json_object_set_new(ask, name, json_boolean(!strcmp(value, "on")));
	} else {
		die(EX_USAGE, 0, "modes: %s: on or off", name);
	}
}

static void
take_one(const struct command *c, char **args)
{
	json_t *ask = json_pack("{ss}", "type", c->name);
	bool by_id = !strcmp(c->operands, " ID");
	const char *reason = NULL;
	char *end, *text;

	if (!strcmp(c->name, "modes")) {
		for (; *args; args++)
			take_mode(ask, *args);
	} else if (*args) {
		json_object_set_new(ask, by_id ? "id" : "user", json_string(args[0]));
		if (!strcmp(c->name, "timeout")) {
			json_object_set_new(ask, "seconds", json_integer(strtol(args[1], &end, 10)));
			if (*end || end == args[1])
				die(EX_USAGE, 0, "timeout: \"%s\" is no number of seconds", args[1]);
			args++;
		}
		reason = args[1];
	}
	if (reason)
		json_object_set_new(ask, "reason", json_string(reason));
	if (!(text = json_dumps(ask, JSON_COMPACT)))
		die(EX_USAGE, 0, "what is said has to be UTF-8");
	buf_append(&source.one, text, strlen(text));
	free(text);
	json_decref(ask);
}

static const struct command *
usage_check(char **args)
{
	const struct command *c = commands, *end = commands + sizeof(commands) / sizeof(*commands);
	struct chat_id id;
	int given = 0;

	while (c < end && strcmp(c->name, args[0]))
		c++;
	if (c == end)
		die(EX_USAGE, 0, "no command \"%s\"; try \"lv-chat --help\"", args[0]);
	if (!args[1] || !web_stream_name(args[1], strlen(args[1])))
		die(EX_USAGE, 0, "%s where? name a stream: 1 to 64 of A-Z a-z 0-9 _ -", c->name);
	while (args[2 + given])
		given++;
	if (given < c->min || given > c->max)
		die(EX_USAGE, 0, "%s takes ROOM%s", c->name, c->operands);
	if ((offset || count) && c->how != HOW_READ)
		die(EX_USAGE, 0, "--offset and --count go with read only");
	if (offset && chat_id_read(&id, offset) < 0)
		die(EX_USAGE, 0, "--offset %s: the id of an entry, like 1764000000000-0", offset);
	if (count < 0)
		die(EX_USAGE, 0, "--count: a number of lines");
	if (c->how != HOW_READ && !token_path)
		die(EX_USAGE, 0, "%s needs --token-file FILE; \"lv-auth token\" makes one", c->name);
	return c;
}

int
main(int argc, char **argv)
{
	struct talk_config config = { .next = next };
	const struct command *c;
	ev_signal term, intr;
	struct ev_loop *loop;
	char **args;
	int status;

	opt_mixed = true;
	args = opt_parse(argc, argv, options,
		"read|send|do|clear|unpin ROOM\n"
		"       lv-chat [OPTION...] delete|pin|approve|deny ROOM ID | ban|unban ROOM USER [REASON] |\n"
		"               timeout ROOM USER SECONDS [REASON] | modes ROOM NAME=VALUE...", 2, 8);
	c = usage_check(args);
	source.how = c->how;
	if (c->how == HOW_ONE)
		take_one(c, args + 2);
	sig_pipe();
	if (!(loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	config.url = url;
	config.room = args[1];
	config.offset = offset;
	config.token_path = token_path;
	config.print = c->how == HOW_READ;
	config.answers = c->how == HOW_DO || c->how == HOW_ONE;
	config.count = count;
	if (!(status = talk_new(&source.talk, loop, &config))) {
		ev_signal_init(&term, on_signal, SIGTERM);
		ev_signal_init(&intr, on_signal, SIGINT);
		ev_signal_start(loop, &term);
		ev_signal_start(loop, &intr);
		if (c->how == HOW_SEND || c->how == HOW_DO) {
			ev_io_init(&source.readable, on_readable, 0, EV_READ);
			ev_io_start(loop, &source.readable);
		}
		ev_run(loop, 0);
		status = talk_status(source.talk);
	}
	talk_free(&source.talk);
	buf_free(&source.in);
	buf_free(&source.one);
	events_close(1000);
	return status;
}
