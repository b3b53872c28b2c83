/* lv-serve: hand out what lv-segment writes, and the page that plays it, over HTTP. */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "child.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "figures.h"
#include "httpd.h"
#include "json.h"
#include "list.h"
#include "listen.h"
#include "notify.h"
#include "opt.h"
#include "origin.h"
#include "sandbox.h"
#include "sig.h"
#include "viewers.h"
#include "web.h"
#include "whole.h"

#define DRAIN_S 10
#define FILE_MAX (1 << 20)

static char *root_path, **listens, *player_path, *cert_path, *key_path, *secret_path, *chat_where;
static char **referers, *play_hook;
static int max_connections = 10000, proxied, archive;

static const struct poptOption options[] = {
	{ "root", 'r', POPT_ARG_STRING, &root_path, 0, "serve DIR/live under /live", "DIR" },
	{ "listen", 'l', POPT_ARG_ARGV, &listens, 0, "listen here; port 0 picks one", "ADDR:PORT" },
	{ "player", 'p', POPT_ARG_STRING, &player_path, 0, "take the player's files from DIR", "DIR" },
	{ "cert", 'c', POPT_ARG_STRING, &cert_path, 0, "speak TLS with this PEM chain", "FILE" },
	{ "key", 'k', POPT_ARG_STRING, &key_path, 0, "the certificate's private key, PEM", "FILE" },
	{ "max-connections", 'm', POPT_ARG_INT, &max_connections, 0, "keep at most N open (10000)", "N" },
	{ "token-secret", 't', POPT_ARG_STRING, &secret_path, 0,
		"serve streams below signed prefixes only, /p/EXP/HMAC", "FILE" },
	{ "referer", '\0', POPT_ARG_ARGV, &referers, 0,
		"serve streams to pages of this host only: HOST, *.HOST, .HOST or none; may be repeated", "NAME" },
	{ "play-hook", '\0', POPT_ARG_STRING, &play_hook, 0, "ask the back end at URL who may watch", "URL" },
	{ NULL, '\0', POPT_ARG_INCLUDE_TABLE, (void *)backend_options, 0, "The back end, with --play-hook:", NULL },
	{ "archive", 'a', POPT_ARG_NONE, &archive, 0, "serve DIR/archive under /archive too", NULL },
	{ "chat", '\0', POPT_ARG_STRING, &chat_where, 0,
		"the page's chat: a /PATH here, :PORT of this host, or a ws:// URL", "WHERE" },
	{ "proxied", 'x', POPT_ARG_NONE, &proxied, 0, "believe the last X-Forwarded-For", NULL },
	OPT_METRICS,
	OPT_COMMON
};

static struct server {
	struct httpd *httpd;
	struct origin *origin;
	struct viewers *viewers;
	struct list *list;
	int64_t started_ms, drain_until_ms;
	struct viewlink_key key;
	struct gate gate;
	bool draining;
	ev_signal term, intr;
	ev_timer tick;
} server;

static const char *
peer_text(const struct sockaddr *sa, char *text, size_t cap)
{
	socklen_t len = sa && sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
	                                                 : sizeof(struct sockaddr_in);

	if (!sa || getnameinfo(sa, len, text, (socklen_t)cap, NULL, 0, NI_NUMERICHOST))
		snprintf(text, cap, "unknown");
	return text;
}

/* Whoever asks; behind a proxy of ours, the address that the proxy saw, which is the last one. */
static void
remote_of(struct httpd_request *req, char *text, size_t cap)
{
	const char *list = proxied ? httpd_header_last(req, "X-Forwarded-For") : NULL, *last;

	if (!list) {
		peer_text(req->peer, text, cap);
		return;
	}
	last = strrchr(list, ',');
	last = last ? last + 1 : list;
	last += strspn(last, " \t");
	snprintf(text, cap, "%.*s", (int)strcspn(last, " \t"), last);
}

static void
say_health(struct httpd_request *req)
{
	struct json j;
	char text[256];
	int n;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "status", server.draining ? "draining" : "ok");
	json_int(&j, "connections", (int64_t)httpd_connections(server.httpd));
	json_int(&j, "viewers", (int64_t)viewers_of(server.viewers, NULL));
	json_int(&j, "uptime_ms", clock_mono_ms() - server.started_ms);
	n = json_end(&j);
	origin_say(req, server.draining ? 503 : 200, "application/json", "no-store", text, (size_t)n);
}

static void
on_request(void *ctx, struct httpd_request *req)
{
	size_t path = strcspn(req->target, "?#"), len;
	bool get = !strcmp(req->method, "GET") || !strcmp(req->method, "HEAD");
	struct origin_seen seen;
	static const char none[] = "{\"streams\":[]}";
	const char *agent, *text;
	char remote[INET6_ADDRSTRLEN];

	(void)ctx;
	if (get && path == 8 && !strncmp(req->target, "/healthz", path)) {
		say_health(req);
	} else if (get && path == 13 && !strncmp(req->target, "/streams.json", path)) {
		if (server.key.secret) /* who has no link to a stream is not told of it */
			origin_say(req, 200, "application/json", "public, max-age=60", none, sizeof(none) - 1);
		else if ((text = list_text(server.list, server.viewers, &len)))
			origin_say(req, 200, "application/json", "public, max-age=1", text, len);
	} else {
		remote_of(req, remote, sizeof(remote));
		origin_answer(server.origin, req, remote, &seen);
		if (!seen.playlist)
			return;
		agent = httpd_header(req, "User-Agent");
		viewers_seen(server.viewers, seen.stream, remote, agent ? agent : "");
	}
}

static void
on_cut(void *ctx, const struct sockaddr *peer, const char *why, uint64_t bytes)
{
	struct event e;
	char remote[INET6_ADDRSTRLEN];

	(void)ctx;
	figures_cut(why);
	event_begin(&e, "client.cut");
	event_str(&e, "remote", peer_text(peer, remote, sizeof(remote)));
	event_str(&e, "reason", why);
	event_int(&e, "size_bytes", (int64_t)bytes);
	event_send(&e);
}

static void
on_replied(void *ctx, const struct httpd_request *req, unsigned status, uint64_t bytes)
{
	(void)ctx;
	figures_reply(req->target, status, strcmp(req->method, "HEAD") ? bytes : 0);
}

static void
fill_metrics(void *ctx, struct metrics *m)
{
	(void)ctx;
	figures_fill(m, server.httpd, server.viewers);
}

static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)events;
	if (server.draining)
		_exit(128 + w->signum);
	server.draining = true;
	server.drain_until_ms = clock_mono_ms() + DRAIN_S * 1000;
	notify_stopping();
	httpd_drain(server.httpd);
	ev_timer_stop(loop, &server.tick);
	ev_timer_set(&server.tick, 0, 0.02);
	ev_timer_start(loop, &server.tick);
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	int64_t now = clock_mono_ms();

	(void)w;
	(void)events;
	viewers_tick(server.viewers, now);
	if (server.gate.judge)
		judge_tick(server.gate.judge, now);
	origin_sweep(server.origin, now);
	notify_tick(now);
	events_flush();
	if (server.draining && (!httpd_in_flight(server.httpd) || now >= server.drain_until_ms))
		ev_break(loop, EVBREAK_ALL);
}

static int
folder_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A file, whole; one with a secret may be read by its owner only. */
static char *
file_read(const char *path, bool secret, size_t min, const char *what)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(EX_NOINPUT, -errno, "cannot open %s", path);
	if (secret && !whole_private(path, &st))
		die(EX_NOPERM, 0, "%s can be read by others: chmod 600 %s", path, path);
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)min || st.st_size > FILE_MAX)
		die(EX_DATAERR, 0, "%s is not %s", path, what);
	if (!(text = calloc(1, (size_t)st.st_size + 1)))
		die(EX_OSERR, -ENOMEM, "cannot start");
	if ((n = read(fd, text, (size_t)st.st_size)) < 0)
		die(EX_IOERR, -errno, "cannot read %s", path);
	close(fd);
	return text;
}

static void
take_secret(void)
{
	char *text = file_read(secret_path, true, VIEWLINK_SECRET_MIN, "a secret of 16 bytes or more");

	server.key.size = strcspn(text, "\r\n");
	server.key.secret = text;
	if (server.key.size < VIEWLINK_SECRET_MIN)
		die(EX_DATAERR, 0, "%s is not a secret of 16 bytes or more", secret_path);
}

static int
player_open(void)
{
	char path[4096];
	int fd;

	if (player_path) {
		if ((fd = folder_open(player_path)) < 0)
			die(EX_NOINPUT, fd, "cannot open %s", player_path);
		return fd;
	}
	if (child_beside(path, sizeof(path), "share/lv", "player") < 0 || (fd = folder_open(path)) < 0) {
		warning(0, "no player beside this command: / and /watch are not served (see --player)");
		return -1;
	}
	return fd;
}

/* As many descriptors as the system lets us have: a client is one, a file being sent another. */
static void
raise_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max != RLIM_INFINITY && lim.rlim_max < (rlim_t)max_connections + 2048) {
		max_connections = lim.rlim_max > 4096 ? (int)lim.rlim_max - 2048 : (int)lim.rlim_max / 2;
		inform("the limit of open files, %lu, allows %d connections", (unsigned long)lim.rlim_max,
			max_connections);
	}
}

static void
usage_check(void)
{
	const char *wrong = backend_check("--play-hook", play_hook);
	char **name;

	if (!root_path || !listens)
		die(EX_USAGE, 0, "--root DIR and --listen ADDR:PORT are needed; try \"lv-serve --help\"");
	if (max_connections < 1 || max_connections > 1000000)
		die(EX_USAGE, 0, "--max-connections %d: not between 1 and 1000000", max_connections);
	if (chat_where && !origin_chat_good(chat_where))
		die(EX_USAGE, 0, "--chat %s: expected as /chat, :8090 or wss://HOST/chat", chat_where);
	if (!cert_path != !key_path)
		die(EX_USAGE, 0, "--cert and --key go together");
	for (name = referers; name && *name; name++)
		if (!gate_referer_good(*name))
			die(EX_USAGE, 0, "--referer %s: expected a host as example.org, *.example.org or .example.org, "
				"or none", *name);
	if (wrong)
		die(EX_USAGE, 0, "%s", wrong);
}

static void
open_gate(struct ev_loop *loop)
{
	int status;

	server.gate = (struct gate){ .key = server.key.secret ? &server.key : NULL, .referers = referers };
	if (play_hook && (status = judge_new(&server.gate.judge, loop, play_hook)))
		exit(status);
}

/* Whoever asks a back end looks its name up, and reads whose certificates are good. */
static void
shut_in(int root, int player)
{
	static const char *const for_names[] = { "/etc", "/usr/lib", "/usr/share/ca-certificates", "/run/systemd/resolve",
		"/run/resolvconf" };
	int folders[2 + sizeof(for_names) / sizeof(*for_names)] = { root }, n = 1, mine, r;
	size_t i;

	if (player >= 0)
		folders[n++] = player;
	mine = n;
	for (i = 0; play_hook && i < sizeof(for_names) / sizeof(*for_names); i++)
		if ((folders[n] = open(for_names[i], O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0)
			n++;
	if ((r = sandbox_read_only(folders, n, metricsd_folder())) < 0)
		inform("no sandbox: %s", strerror(-r));
	while (n > mine)
		close(folders[--n]);
}

int
main(int argc, char **argv)
{
	struct httpd_config config = { .handle = on_request, .cut = on_cut, .replied = on_replied };
	struct ev_loop *loop;
	int root, player, fds[HTTPD_LISTENERS], n, i, r;

	opt_parse(argc, argv, options, "", 0, 0);
	usage_check();
	for (n = 0; listens[n]; n++)
		if (n == HTTPD_LISTENERS)
			die(EX_USAGE, 0, "more than %d addresses to listen on", HTTPD_LISTENERS);
	sig_pipe();
	raise_files();
	if ((root = folder_open(root_path)) < 0)
		die(EX_NOINPUT, root, "cannot open %s", root_path);
	player = player_open();
	config.max_connections = (unsigned)(max_connections < n ? 1 : max_connections / n);
	config.cert = cert_path ? file_read(cert_path, false, 1, "a PEM file") : NULL;
	config.key = key_path ? file_read(key_path, true, 1, "a PEM file") : NULL;
	if (secret_path)
		take_secret();
	for (i = 0; i < n; i++)
		fds[i] = listen_or_die(listens[i]);
	if (!(loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	server.started_ms = clock_mono_ms();
	open_gate(loop);
	if ((r = httpd_new(&server.httpd, loop, &config)) < 0 ||
		(r = origin_new(&server.origin, root, player, &server.gate, archive, chat_where)) < 0 ||
		(r = viewers_new(&server.viewers)) < 0 || (r = list_new(&server.list, root)) < 0)
		die(EX_OSERR, r, "cannot start");
	for (i = 0; i < n; i++)
		if ((r = httpd_listen(server.httpd, fds[i])) < 0)
			die(cert_path ? EX_CONFIG : EX_OSERR, r,
				cert_path ? "cannot use %s for TLS" : "cannot serve %s",
				cert_path ? cert_path : listens[i]);
	metricsd_open(fill_metrics, NULL);
	shut_in(root, player);
	ev_signal_init(&server.term, on_signal, SIGTERM);
	ev_signal_init(&server.intr, on_signal, SIGINT);
	ev_signal_start(loop, &server.term);
	ev_signal_start(loop, &server.intr);
	ev_timer_init(&server.tick, on_tick, 1, 1);
	ev_timer_start(loop, &server.tick);
	for (i = 0; i < n; i++)
		listen_ready(fds[i], cert_path ? "https" : "http");
	metricsd_start(loop);
	notify_ready();
	ev_run(loop, 0);
	metricsd_close();
	if (server.gate.judge)
		judge_leave(server.gate.judge);
	judge_free(&server.gate.judge);
	httpd_free(&server.httpd);
	viewers_free(&server.viewers);
	list_free(&server.list);
	origin_free(&server.origin);
	free((char *)config.cert);
	free((char *)config.key);
	free((char *)server.key.secret);
	events_close(1000);
	return EX_OK;
}
