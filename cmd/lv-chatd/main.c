/* lv-chatd: chat rooms over WebSocket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "chatd.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "listen.h"
#include "notify.h"
#include "opt.h"
#include "sig.h"
#include "whole.h"

#define DRAIN_MS 10000
#define LIST_MAX (10000 * 256) /* bytes of a file of words or emotes */

static char **listens, *secret_path, *redis_url, *redis_password_path, *db_url, *blocked_path, *hold_path,
	*emotes_path;
static int max_connections = 10000, proxied, login;
static struct hall hall = { .config = { .history = 50, .per_address = 100, .per_user = 10,
	.messages = RATE_MAX, .window_ms = 5000, .ping_s = 25 } };

static const struct poptOption options[] = {
	{ "listen", 'l', POPT_ARG_ARGV, &listens, 0, "listen here; port 0 picks one", "ADDR:PORT" },
	{ "token-secret", 't', POPT_ARG_STRING, &secret_path, 0,
		"tokens are signed with this secret, or checked with this public key", "FILE" },
	{ "redis", 'r', POPT_ARG_STRING, &redis_url, 0, "share the rooms with other boxes by the Redis at URL",
		"URL" },
	{ "redis-password-file", 0, POPT_ARG_STRING, &redis_password_path, 0, "its password is in FILE", "FILE" },
	{ "db", 'd', POPT_ARG_STRING, &db_url, 0, "keep bans in the database at URL", "URL" },
	{ "blocked", 'b', POPT_ARG_STRING, &blocked_path, 0, "refuse messages with a word of FILE", "FILE" },
	{ "hold", 'H', POPT_ARG_STRING, &hold_path, 0, "hold messages with a word of FILE for moderators", "FILE" },
	{ "emotes", 'E', POPT_ARG_STRING, &emotes_path, 0, "the emotes of the rooms are in FILE", "FILE" },
	{ "origin", 'o', POPT_ARG_ARGV, &hall.config.origins, 0,
		"let pages of this origin in; may be repeated (default: all)", "URL" },
	{ "login", 'L', POPT_ARG_NONE, &login, 0, "nobody reads without a token", NULL },
	{ "history", 'n', POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.history, 0,
		"show newcomers the last N messages", "N" },
	{ "messages", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.messages, 0,
		"so many messages of a person in --window-ms", "N" },
	{ "window-ms", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.window_ms, 0,
		"the time for --messages", "MS" },
	{ "per-address", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.per_address, 0,
		"at most N connections from an address", "N" },
	{ "per-user", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.per_user, 0,
		"at most N connections of a person", "N" },
	{ "ping-s", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &hall.config.ping_s, 0,
		"ask who is silent for S seconds for a sign of life", "S" },
	{ "max-connections", 'm', POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &max_connections, 0,
		"keep at most N open", "N" },
	{ "proxied", 'x', POPT_ARG_NONE, &proxied, 0, "believe the last X-Forwarded-For", NULL },
	OPT_METRICS,
	OPT_COMMON
};

static int64_t started_ms;

/* A secret is for its owner's eyes; a public key may be read by all. */
static int
key_text(struct buf *text)
{
	static const char public[] = "-----BEGIN PUBLIC KEY-----";
	int r = whole_read(secret_path, TICKET_KEY_MAX, true, text, NULL);

	if (r != -EPERM)
		return r;
	r = whole_read(secret_path, TICKET_KEY_MAX, false, text, NULL);
	if (r == 0 && (buf_len(text) < sizeof(public) || memcmp(buf_data(text), public, sizeof(public) - 1)))
		return -EPERM;
	return r;
}

/* The key of all tokens; NULL after a message, and *status says how bad that is. */
static struct ticket_key *
key_read(int *status)
{
	struct ticket_key *key = NULL;
	struct buf text = { 0 };
	int r = key_text(&text);

	if (r == -EPERM) {
		complain(0, "%s can be read by others: chmod 600 %s", secret_path, secret_path);
		*status = EX_NOPERM;
	} else if (r < 0) {
		complain(r, "cannot open %s", secret_path);
		*status = EX_NOINPUT;
	} else if (ticket_key_new(&key, buf_data(&text), buf_len(&text)) < 0) {
		complain(0, "%s is no secret of %d bytes or more, nor a PEM file", secret_path,
			TICKET_SECRET_MIN);
		*status = EX_DATAERR;
	}
	if (buf_len(&text))
		explicit_bzero(buf_data(&text), buf_len(&text));
	buf_free(&text);
	return key;
}

/* A word in a file of its owner's: the first line. */
static void
share(void)
{
	char *password = NULL;
	struct buf text = { 0 };
	int r;

	if (redis_password_path) {
		if ((r = whole_read(redis_password_path, 1024, true, &text, NULL)) == -EPERM)
			die(EX_NOPERM, 0, "%s can be read by others: chmod 600 %s", redis_password_path,
				redis_password_path);
		if (r < 0)
			die(EX_NOINPUT, r, "cannot open %s", redis_password_path);
		buf_u8(&text, 0);
		password = (char *)buf_data(&text);
		password[strcspn(password, "\r\n")] = '\0';
	}
	r = remote_new(&hall.remote, &hall, redis_url, password);
	if (password)
		explicit_bzero(password, strlen(password));
	buf_free(&text);
	if (r == -EINVAL || r == -EACCES)
		die(EX_USAGE, 0, "--redis: redis://HOST[:PORT][/NUMBER] or unix:PATH, without a password");
	if (r < 0)
		die(EX_OSERR, r, "cannot start");
}

/* A list, a line each; no path is no list.  An exit status, after a message. */
static int
list_read(const char *path, const char *form, int (*make)(void *list, const char *, size_t, int *line), void *list)
{
	struct buf text = { 0 };
	int line = 0, status = EX_OK, r;

	if (!path)
		return EX_OK;
	if ((r = whole_read(path, LIST_MAX, false, &text, NULL)) < 0) {
		complain(r, "cannot open %s", path);
		status = EX_NOINPUT;
	} else if ((r = make(list, (const char *)buf_data(&text), buf_len(&text), &line)) < 0) {
		status = r == -ENOMEM ? EX_OSERR : EX_CONFIG;
		complain(r == -EBADMSG ? 0 : r, "%s:%d: %s", path, line,
			r == -EBADMSG ? form : "one line too many");
	}
	buf_free(&text);
	return status;
}

static int
words_make(void *list, const char *text, size_t n, int *line)
{
	return words_new(list, text, n, line);
}

static int
emotes_make(void *list, const char *text, size_t n, int *line)
{
	return emotes_new(list, text, n, line);
}

/* The lists as the files have them now; those that are faulty stay as they were. */
static int
lists_read(void)
{
	static const char words[] = "no word, or @ROOM and a word";
	struct words *blocked = NULL, *suspect = NULL;
	struct emotes *emotes = NULL;
	int no_blocked = list_read(blocked_path, words, words_make, &blocked);
	int no_suspect = list_read(hold_path, words, words_make, &suspect);
	int no_emotes = list_read(emotes_path, "not NAME, NAME /PATH, or these behind @ROOM", emotes_make, &emotes);

	if (!no_blocked) {
		words_free(&hall.blocked);
		hall.blocked = blocked;
	}
	if (!no_suspect) {
		words_free(&hall.suspect);
		hall.suspect = suspect;
	}
	if (!no_emotes) {
		emotes_free(&hall.emotes);
		hall.emotes = emotes;
	}
	return no_blocked ? no_blocked : no_suspect ? no_suspect : no_emotes;
}

static void
on_reload(struct ev_loop *loop, ev_signal *w, int events)
{
	struct ticket_key *key;
	int status;

	(void)loop;
	(void)w;
	(void)events;
	notify_reloading();
	if ((key = key_read(&status))) { /* otherwise the old one stays */
		ticket_key_free(&hall.key);
		hall.key = key;
	}
	lists_read();
	notify_ready();
}

static void
on_late(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	static ev_timer late;

	(void)events;
	if (hall.draining)
		_exit(128 + w->signum);
	ev_timer_init(&late, on_late, DRAIN_MS / 1000.0, 0);
	ev_timer_start(loop, &late);
	notify_stopping();
	hall_drain(&hall);
}

static size_t
on_page(void *ctx, const char *path, char *body, size_t cap)
{
	struct json j;
	int n;

	(void)ctx;
	if (strcmp(path, "/healthz"))
		return 0;
	json_begin(&j, body, cap);
	json_str(&j, "status", "ok");
	json_int(&j, "connections", ws_connections(hall.ws));
	json_int(&j, "rooms", (int64_t)hall.places.count);
	json_int(&j, "messages", hall.messages);
	json_int(&j, "uptime_ms", clock_mono_ms() - started_ms);
	n = json_end(&j);
	return n > 0 ? (size_t)n : 0;
}

static void
usage_check(void)
{
	char **o;

	if (!listens || !secret_path)
		die(EX_USAGE, 0, "--listen ADDR:PORT and --token-secret FILE are needed; try \"lv-chatd --help\"");
	if (hall.config.history < 0 || hall.config.history > ROOM_KEEP)
		die(EX_USAGE, 0, "--history %d: not between 0 and %d", hall.config.history, ROOM_KEEP);
	if (hall.config.messages < 1 || hall.config.messages > RATE_MAX)
		die(EX_USAGE, 0, "--messages %d: not between 1 and %d", hall.config.messages, RATE_MAX);
	if (hall.config.window_ms < 0 || hall.config.window_ms > 60000)
		die(EX_USAGE, 0, "--window-ms %d: not between 0 and 60000", hall.config.window_ms);
	if (hall.config.ping_s < 1 || hall.config.ping_s > 3600)
		die(EX_USAGE, 0, "--ping-s %d: not between 1 and 3600", hall.config.ping_s);
	if (hall.config.per_address < 1 || hall.config.per_user < 1 || max_connections < 1)
		die(EX_USAGE, 0, "--per-address, --per-user and --max-connections: 1 or more");
	if (redis_password_path && !redis_url)
		die(EX_USAGE, 0, "--redis-password-file goes with --redis");
	for (o = hall.config.origins; o && *o; o++)
		if (!strstr(*o, "://") || strchr(strstr(*o, "://") + 3, '/'))
			die(EX_USAGE, 0, "--origin %s: an origin is like https://example.org, without a path", *o);
}

/* A descriptor for each connection, and some for us. */
static void
raise_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	lim.rlim_cur = lim.rlim_max < (rlim_t)max_connections + 64 ? lim.rlim_max : (rlim_t)max_connections + 64;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < (rlim_t)max_connections + 64) {
		max_connections = lim.rlim_cur > 128 ? (int)lim.rlim_cur - 64 : 64;
		warning(0, "only %lu open files allow %d connections; raise the limit with \"ulimit -n\"",
			(unsigned long)lim.rlim_cur, max_connections);
	}
}

int
main(int argc, char **argv)
{
	struct ws_config config = { .ctx = &hall, .message_max = CHAT_FRAME_MAX, .open = figures_open,
		.opened = guest_opened, .message = guest_message, .writable = guest_writable,
		.closed = guest_closed, .page = on_page };
	ev_signal term, intr, hup;
	struct ev_loop *loop;
	const char *why = "cannot start";
	int status, fd, i, r;

	opt_parse(argc, argv, options, "", 0, 0);
	usage_check();
	sig_pipe();
	raise_files();
	if (!(hall.key = key_read(&status)) || (status = lists_read()))
		return status;
	if (!(loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	started_ms = clock_mono_ms();
	hall.config.login = login;
	config.max_connections = (unsigned)max_connections;
	config.proxied = proxied;
	config.arrived = proxied ? NULL : door_arrived; /* they all arrive from the proxy */
	config.left = door_left;
	if ((r = ws_new(&hall.ws, loop, &config)) == -ENOTSUP)
		die(EX_OSERR, 0, "cannot start: is libwebsockets' libev plugin (libwebsockets-evlib-ev) installed?");
	if (r < 0 || (r = hall_open(&hall, loop)) < 0)
		die(EX_OSERR, r, "cannot start");
	if (redis_url)
		share();
	if (db_url && (r = books_new(&hall.books, &hall, db_url, &why)) < 0)
		die(r == -ENOMEM ? EX_OSERR : EX_USAGE, r == -ENOMEM ? r : 0, "--db: %s",
			r == -EACCES ? "no password on a command line, where others see it; use PGPASSFILE" : why);
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&intr, on_signal, SIGINT);
	ev_signal_init(&hup, on_reload, SIGHUP);
	ev_signal_start(loop, &term);
	ev_signal_start(loop, &intr);
	ev_signal_start(loop, &hup);
	for (i = 0; listens[i]; i++) {
		fd = listen_or_die(listens[i]);
		if (ws_listen(hall.ws, fd) < 0)
			die(EX_USAGE, 0, "--listen: too many addresses");
		listen_ready(fd, "ws");
	}
	notify_ready();
	metricsd_open(figures_fill, &hall);
	metricsd_start(loop);
	ev_run(loop, 0);
	metricsd_close();
	hall_close(&hall);
	ticket_key_free(&hall.key);
	words_free(&hall.blocked);
	words_free(&hall.suspect);
	emotes_free(&hall.emotes);
	events_close(1000);
	return EX_OK;
}
