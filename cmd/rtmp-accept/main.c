/* rtmp-accept: let the right publishers in and run a program for each broadcast. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "door.h"
#include "event.h"
#include "file.h"
#include "fourcc.h"
#include "jsonwipe.h"
#include "metricsd.h"
#include "notify.h"
#include "opt.h"
#include "sig.h"

#define TICK_S 0.25
#define SECRET ".secret" /* in the run directory */

static char **listens, **tls_listens, **agents, **proxies, **allow, **deny, *cert, *key, *auth, *run_dir, *play_url, *sandbox_how, *control, *password_app;
static int max_connections = 1000, max_pending = 200, max_pending_address = 10, drain_s = 10;
static int max_rate_address = 120, max_failures_address = 20;
static char *duplicate, *codecs;
static int grace_ms = 90000, publish_ms = 10000, silence_ms = 10000, merge_ms = -1, lag_ms = 8000;
static int queue_kb = 16384, health_ms = 10000, inetd;

static const struct poptOption options[] = {
	{ "listen", 'l', POPT_ARG_ARGV, &listens, 0, "listen here; port 0 picks one", "ADDR:PORT" },
	{ "tls-listen", '\0', POPT_ARG_ARGV, &tls_listens, 0, "listen here for RTMPS", "ADDR:PORT" },
	{ "cert", '\0', POPT_ARG_STRING, &cert, 0, "its certificate chain, as PEM", "FILE" },
	{ "key", '\0', POPT_ARG_STRING, &key, 0, "and the private key", "FILE" },
	{ "agent-listen", '\0', POPT_ARG_ARGV, &agents, 0, "tell HAProxy's agent check here how busy we are",
		"ADDR:PORT" },
	{ "proxy-from", '\0', POPT_ARG_ARGV, &proxies, 0,
		"connections from there begin with a PROXY header", "CIDR" },
	{ "auth", 'a', POPT_ARG_STRING, &auth, 0, "the coprocess that knows stream keys", "COMMAND" },
	{ "password-app", '\0', POPT_ARG_STRING, &password_app, 0,
		"publishers to app NAME have user and password (authmod=adobe)", "NAME" },
	{ "run-dir", 'r', POPT_ARG_STRING, &run_dir, 0, "the sockets of broadcasts are in DIR", "DIR" },
	{ "control", 'c', POPT_ARG_STRING, &control, 0,
		"take an operator's requests at PATH (RUNDIR/control) or, with -, from standard input", "PATH" },
	{ "play-url", 'u', POPT_ARG_STRING, &play_url, 0, "tell players to go to URL (%s: the stream)",
		"URL" },
	{ "grace-ms", 'g', POPT_ARG_INT, &grace_ms, 0,
		"a broadcast waits so long for its publisher (90000)", "MS" },
	{ "duplicate", '\0', POPT_ARG_STRING, &duplicate, 0,
		"a second publisher: reject, or takeover from the first (reject)", "HOW" },
	{ "max-connections", 'm', POPT_ARG_INT, &max_connections, 0, "connections in all (1000)", "N" },
	{ "max-pending", '\0', POPT_ARG_INT, &max_pending, 0, "of them without a verdict (200)", "N" },
	{ "max-pending-address", '\0', POPT_ARG_INT, &max_pending_address, 0,
		"of them from one address (10)", "N" },
	{ "max-rate-address", '\0', POPT_ARG_INT, &max_rate_address, 0,
		"connections from one address in a minute (120)", "N" },
	{ "max-failures-address", '\0', POPT_ARG_INT, &max_failures_address, 0,
		"wrong keys from one address in a minute (20)", "N" },
	{ "codecs", '\0', POPT_ARG_STRING, &codecs, 0, "take these codecs only: avc1,mp4a", "LIST" },
	{ "allow", '\0', POPT_ARG_ARGV, &allow, 0, "let nobody in but from there", "CIDR" },
	{ "deny", '\0', POPT_ARG_ARGV, &deny, 0, "let nobody in from there", "CIDR" },
	{ "publish-ms", '\0', POPT_ARG_INT, &publish_ms, 0, "publish within this time (10000)", "MS" },
	{ "silence-ms", '\0', POPT_ARG_INT, &silence_ms, 0, "send something within this time (10000)",
		"MS" },
	{ "merge-ms", '\0', POPT_ARG_INT, &merge_ms, 0,
		"read at most every MS milliseconds (0), and less often while many publish", "MS" },
	{ "lag-ms", '\0', POPT_ARG_INT, &lag_ms, 0,
		"a program that is later drops to a key frame (8000)", "MS" },
	{ "queue-kb", '\0', POPT_ARG_INT, &queue_kb, 0, "or one that has more to read (16384)", "KB" },
	{ "health-ms", '\0', POPT_ARG_INT, &health_ms, 0, "say what publishers send, so often (10000)", "MS" },
	{ "drain-s", '\0', POPT_ARG_INT, &drain_s, 0,
		"at SIGTERM wait so long for publishers to leave (10)", "S" },
	{ "inetd", 'i', POPT_ARG_NONE, &inetd, 0, "the one connection is descriptor 0", NULL },
	{ "sandbox", '\0', POPT_ARG_STRING, &sandbox_how, 0, "of the sessions: on, off or log (on)", "HOW" },
	OPT_METRICS,
	OPT_COMMON
};

struct door door;
static ev_signal term, intr, hup, upgrade, leave;
static ev_timer tick;
static ev_child reaper;
static int64_t drain_until_ms;

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_DEFAULT "off" /* the leak checker needs calls that no session has */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_DEFAULT "off"
#endif
#endif
#ifndef SANDBOX_DEFAULT
#define SANDBOX_DEFAULT "on"
#endif

static void
bound(const char *name, int value, int min, int max)
{
	if (value < min || value > max)
		die(EX_USAGE, 0, "--%s %d: not between %d and %d", name, value, min, max);
}

static void
check_options(void)
{
	static const char *const hows[] = { "off", "on", "log" };
	char all[128];
	unsigned i = 0;

	if (!auth)
		die(EX_USAGE, 0, "--auth COMMAND is needed; try \"rtmp-accept --help\"");
	bound("max-connections", max_connections, 1, DOOR_LIMIT_MAX);
	bound("max-pending", max_pending, 1, DOOR_LIMIT_MAX);
	bound("max-pending-address", max_pending_address, 1, DOOR_LIMIT_MAX);
	bound("max-rate-address", max_rate_address, 1, DOOR_LIMIT_MAX);
	bound("max-failures-address", max_failures_address, 1, DOOR_LIMIT_MAX);
	bound("grace-ms", grace_ms, 0, 3600000);
	bound("publish-ms", publish_ms, 100, 600000);
	bound("silence-ms", silence_ms, 100, 600000);
	door.takeover = duplicate && !strcmp(duplicate, "takeover");
	if (duplicate && !door.takeover && strcmp(duplicate, "reject"))
		die(EX_USAGE, 0, "--duplicate is reject or takeover, not %s", duplicate);
	if (merge_ms != -1) /* the default, which nobody has to name */
		bound("merge-ms", merge_ms, 0, 1000);
	door.codecs = FOURCCS_ALL;
	if (codecs && fourccs_parse(codecs, &door.codecs) < 0) {
		fourccs_text(FOURCCS_ALL, all, sizeof(all));
		die(EX_USAGE, 0, "--codecs %s: names of %s, with commas between", codecs, all);
	}
	bound("lag-ms", lag_ms, 100, 60000);
	bound("queue-kb", queue_kb, 64, 1 << 20);
	bound("health-ms", health_ms, 500, 600000);
	bound("drain-s", drain_s, 0, 3600);
	while (i < 3 && strcmp(sandbox_how ? sandbox_how : SANDBOX_DEFAULT, hows[i]))
		i++;
	if (i == 3)
		die(EX_USAGE, 0, "--sandbox %s: not on, off or log", sandbox_how);
	door.sandbox = (int)i;
	if (password_app && (!*password_app || strlen(password_app) >= sizeof(door.adobe.app)))
		die(EX_USAGE, 0, "--password-app: a name of 1 to %d bytes", (int)sizeof(door.adobe.app) - 1);
	if (password_app)
		snprintf(door.adobe.app, sizeof(door.adobe.app), "%s", password_app);
	if (play_url && strlen(play_url) >= sizeof(((struct ipc_hello *)0)->play_url))
		die(EX_USAGE, 0, "--play-url is longer than 511 bytes");
}

static void
open_listeners(void)
{
	bool rtmp, rtmps;

	if (!listeners_inherited()) {
		listeners_passed(); /* first, before their descriptors are anything else's */
		listeners_open(listens, "--listen", LISTENER_RTMP);
		listeners_open(tls_listens, "--tls-listen", LISTENER_RTMPS);
		listeners_open(agents, "--agent-listen", LISTENER_AGENT);
	}
	rtmp = listeners_want(LISTENER_RTMP);
	rtmps = listeners_want(LISTENER_RTMPS);
	if (!(rtmp || rtmps) == !inetd)
		die(EX_USAGE, 0, "--listen ADDR:PORT, --tls-listen ADDR:PORT or --inetd is needed; try "
			"\"rtmp-accept --help\"");
	if (!cert != !key || (rtmps && !cert))
		die(EX_USAGE, 0, "RTMPS needs --cert FILE and --key FILE");
	if (cert && !rtmps && !inetd)
		die(EX_USAGE, 0, "--cert is for --tls-listen or --inetd");
	if (cert)
		cert_open(cert, key);
}

/* A session and a keeper take a descriptor of ours each, a TLS process another one. */
static void
raise_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	door.nofile = (int64_t)lim.rlim_cur;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max != RLIM_INFINITY && lim.rlim_max < (rlim_t)max_connections * (cert ? 3 : 2) + 64)
		warning(0, "the limit of open files, %lu, is too low for %d connections (see ulimit -n)",
			(unsigned long)lim.rlim_max, max_connections);
}

/* Given, or one of our own for this port below where such things live. */
static void
open_run_dir(uint16_t port)
{
	static char path[256];
	const char *base;
	char name[32];
	bool open_to_all = false;
	struct stat st;

	if (!run_dir) {
		if (inetd)
			snprintf(name, sizeof(name), "rtmp-inetd");
		else
			snprintf(name, sizeof(name), "rtmp-%u", port);
		if ((base = getenv("RUNTIME_DIRECTORY")))
			snprintf(path, sizeof(path), "%s", base);
		else if ((base = getenv("XDG_RUNTIME_DIR")))
			snprintf(path, sizeof(path), "%s/%s", base, name);
		else
			open_to_all = snprintf(path, sizeof(path), "/tmp/lv-%u-%s", (unsigned)getuid(), name) > 0;
		run_dir = path;
	}
	if (strlen(run_dir) >= sizeof(((struct keep_hello *)0)->run_dir))
		die(EX_USAGE, 0, "--run-dir %s: longer than 255 bytes", run_dir);
	if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
		die(EX_CANTCREAT, -errno, "cannot make %s", run_dir);
	/* Whoever made it first could answer for keepers, and would be handed their publishers. */
	if (open_to_all && (lstat(run_dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
		die(EX_NOPERM, 0, "%s is somebody else's; name a folder of your own with --run-dir", run_dir);
	if (access(run_dir, W_OK | X_OK) < 0)
		die(EX_CANTCREAT, -errno, "cannot write to %s", run_dir);
	door.run_dir = run_dir;
}

/*
 * One for all doors of a run directory, so that one that takes over understands what the one before
 * has said: challenges, and the marks of keys that keepers hold.
 */
static void
open_secret(void)
{
	uint8_t fresh[sizeof(door.adobe.secret)];
	struct buf b = { 0 };
	mode_t mask;
	int dir = open(door.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh))
		die(EX_OSERR, -errno, "no random bytes");
	mask = umask(0177);
	r = dir < 0 ? -errno : file_put(dir, SECRET, false, fresh, sizeof(fresh));
	umask(mask);
	if (r == -EEXIST)
		r = 0;
	if (r >= 0)
		r = file_get(dir, SECRET, sizeof(fresh), &b);
	if (r >= 0 && buf_len(&b) != sizeof(fresh))
		r = -EBADMSG;
	if (r < 0)
		die(EX_CANTCREAT, r, "cannot keep a secret in %s/%s", door.run_dir, SECRET);
	memcpy(door.adobe.secret, buf_data(&b), sizeof(fresh));
	explicit_bzero(buf_data(&b), buf_len(&b));
	explicit_bzero(fresh, sizeof(fresh));
	buf_free(&b);
	close(dir);
}

/* First: nobody new, and time for publishers to leave; then broadcasts are ended, once told. */
void
door_drain(int64_t ms)
{
	struct event e;

	drain_until_ms = clock_mono_ms() + ms;
	event_begin(&e, "server.draining");
	event_int(&e, "deadline_s", ms / 1000);
	event_send(&e);
	ev_feed_event(door.loop, &tick, EV_TIMER);
	if (door.draining)
		return;
	door.draining = true;
	notify_stopping();
	listeners_stop(false); /* a front end is told of the drain as long as there is one */
	clients_drain();
}

static void
on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
	static bool told;

	(void)loop;
	(void)events;
	if (told) {
		keepers_end("the server is stopping");
		_exit(128 + w->signum);
	}
	told = true;
	door_drain((int64_t)drain_s * 1000);
}

/* Broadcasts go on without a door, and another one adopts them: for a new binary. */
static void
on_leave(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)w;
	(void)events;
	listeners_stop(true);
	keepers_leave();
	ev_break(loop, EVBREAK_ALL);
}

static void
on_upgrade(struct ev_loop *loop, ev_signal *w, int events)
{
	const char *why = upgrade_ask();

	(void)loop;
	(void)w;
	(void)events;
	if (why)
		complain(0, "no upgrade: %s", why);
}

static void
on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	notify_reloading();
	cert_reload(); /* lv-auth looks at its files by itself */
	notify_ready();
}

static void
on_reap(struct ev_loop *loop, ev_child *w, int events)
{
	(void)loop;
	(void)events;
	if (!cert_reaped(w->rpid, w->rstatus))
		clients_reaped(w->rpid, w->rstatus);
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	int64_t now = clock_mono_ms();
	static bool ended;

	(void)w;
	(void)events;
	clients_tick(now);
	keepers_tick(now);
	auth_tick(now);
	upgrade_tick(now);
	notify_tick(now);
	events_flush();
	if (door.draining && !ended && now >= drain_until_ms) {
		ended = true;
		keepers_end("the server is stopping");
	}
	if ((door.draining || inetd) && !clients_count() && !keepers_count())
		ev_break(loop, EVBREAK_ALL);
}

static void
watch_signal(ev_signal *w, void (*cb)(struct ev_loop *, ev_signal *, int), int signo)
{
	ev_signal_init(w, cb, signo);
	ev_signal_start(door.loop, w);
}

static void
take_inetd(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		die(EX_USAGE, -errno, "--inetd: descriptor 0 is not a connection");
	if (dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDIN_FILENO) < 0)
		die(EX_OSERR, -errno, "cannot open /dev/null");
	clients_accept(fd, (struct sockaddr *)&ss, len, "inetd", cert != NULL);
}

int
main(int argc, char **argv)
{
	int r;

	json_wipe(); /* an operator names keys */
	door.program = opt_parse(argc, argv, options, "-- PROGRAM [ARG...]", 1, -1);
	upgrade_prepare(argv);
	check_options();
	address_options(allow, deny, proxies);
	sig_pipe();
	raise_files();
	open_listeners();
	open_run_dir(listeners_port());
	open_secret();
	door.auth = auth;
	door.events = opt_events;
	door.play_url = play_url;
	door.max_connections = max_connections;
	door.max_pending = max_pending;
	door.max_pending_address = max_pending_address;
	door.max_rate_address = max_rate_address;
	door.max_failures_address = max_failures_address;
	door.publish_ms = publish_ms;
	door.silence_ms = silence_ms;
	door.merge_ms = merge_ms;
	door.grace_ms = grace_ms;
	door.lag_ms = lag_ms;
	door.queue_kb = queue_kb;
	door.health_ms = health_ms;
	if (!(door.loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	ev_child_init(&reaper, on_reap, 0, 0);
	ev_child_start(door.loop, &reaper);
	watch_signal(&term, on_stop, SIGTERM);
	watch_signal(&intr, on_stop, SIGINT);
	watch_signal(&hup, on_hup, SIGHUP);
	watch_signal(&upgrade, on_upgrade, SIGUSR1);
	watch_signal(&leave, on_leave, SIGUSR2);
	ev_timer_init(&tick, on_tick, TICK_S, TICK_S);
	ev_timer_start(door.loop, &tick);
	metricsd_open(figures_fill, NULL);
	if ((r = keepers_adopt()) < 0)
		die(EX_OSERR, r, "cannot read %s", door.run_dir);
	if ((r = auth_start()) < 0)
		die(EX_OSERR, r, "cannot start the coprocess \"%s\"", auth);
	listeners_start();
	if (inetd)
		take_inetd();
	else
		control_open(control);
	metricsd_start(door.loop);
	notify_ready();
	ev_run(door.loop, 0);
	metricsd_close();
	control_close();
	auth_stop();
	events_close(1000);
	return EX_OK;
}
