/* lv-s3push: put a tree of streams into buckets as it changes, in the right order. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "figures.h"
#include "kinds.h"
#include "notify.h"
#include "opt.h"
#include "sig.h"
#include "target.h"
#include "tree.h"

#define TICK_S 0.25
#define DRAIN_MS 5000
#define SPOOL ".lv-s3push"

static char *root_path, *endpoint, *region, *addressing, *cred_path, *spool_path, *prefix;
static char **dests, **keeps, **excludes, **types, **caches;
static int once, dry_run, verify, jobs = 4, expire_s = -1, max_kbps;

static const struct poptOption options[] = {
	{ "root", 'r', POPT_ARG_STRING, &root_path, 0, "push what is below DIR", "DIR" },
	{ "dest", 'd', POPT_ARG_ARGV, &dests, 0, "to this bucket, below this prefix", "s3://BUCKET/PREFIX[,NAME=VALUE...]" },
	{ "prefix", 'p', POPT_ARG_STRING, &prefix, 0, "and below this one as well", "PREFIX" },
	{ "endpoint", 'E', POPT_ARG_STRING, &endpoint, 0, "the server (Amazon's of the region)", "URL" },
	{ "region", 'R', POPT_ARG_STRING, &region, 0, "the bucket's region (us-east-1)", "NAME" },
	{ "addressing", 'a', POPT_ARG_STRING, &addressing, 0, "where the bucket's name goes: path or virtual", "STYLE" },
	{ "credentials", 'c', POPT_ARG_STRING, &cred_path, 0, "take the access key from FILE", "FILE" },
	{ "once", '1', POPT_ARG_NONE, &once, 0, "mirror what is there now and exit", NULL },
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0, "say what --once would put, and put nothing", NULL },
	{ "verify", 'y', POPT_ARG_NONE, &verify, 0, "say what differs there; with --once, put it again", NULL },
	{ "jobs", 'j', POPT_ARG_INT, &jobs, 0, "have N requests in flight (4)", "N" },
	{ "max-kbps", 'm', POPT_ARG_INT, &max_kbps, 0, "send at most N kilobits a second", "N" },
	{ "expire-s", 'x', POPT_ARG_INT, &expire_s, 0, "delete in the bucket N seconds after here (never)", "N" },
	{ "keep", 'k', POPT_ARG_ARGV, &keeps, 0, "never delete, and push last, what matches (archive/*)", "PATTERN" },
	{ "exclude", 'X', POPT_ARG_ARGV, &excludes, 0, "do not push what matches", "PATTERN" },
	{ "type", 't', POPT_ARG_ARGV, &types, 0, "the Content-Type of a suffix", "SUFFIX=TYPE" },
	{ "cache", 'C', POPT_ARG_ARGV, &caches, 0, "the Cache-Control of a suffix", "SUFFIX=TEXT" },
	{ "spool", 's', POPT_ARG_STRING, &spool_path, 0, "keep the backlog in DIR (ROOT/" SPOOL ")", "DIR" },
	OPT_METRICS,
	OPT_COMMON
};

static struct pusher {
	struct ev_loop *loop;
	struct target *targets[TARGETS];
	size_t n;
	struct tree *tree;
	bool draining;
	int64_t drain_until_ms;
	ev_io inotify;
	ev_timer tick;
	ev_signal term, intr, hup;
} pusher;

static const char *
spool_folder(void)
{
	return spool_path ? spool_path : SPOOL;
}

static struct push *
push_at(size_t i)
{
	return target_push(pusher.targets[i]);
}

static void
on_file(void *ctx, const char *path, const struct stat *st)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < pusher.n; i++)
		push_file(push_at(i), path, st);
}

static void
on_gone(void *ctx, const char *path)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < pusher.n; i++)
		push_gone(push_at(i), path);
}

static void
on_folder_gone(void *ctx, const char *path)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < pusher.n; i++)
		push_folder_gone(push_at(i), path);
}

static int64_t
known_files(void)
{
	struct push_figures f;

	push_measure(push_at(0), &f);
	return f.known_files;
}

static void
on_scanned(void *ctx, bool again)
{
	struct event e;
	size_t i;

	(void)ctx;
	for (i = 0; i < pusher.n; i++)
		push_scanned(push_at(i), again);
	if (again) {
		event_begin(&e, "tree.rescanned");
		event_int(&e, "files", known_files());
		event_send(&e);
	}
}

static void
check_watching(int r)
{
	if (r == -ENOSPC)
		die(EX_OSERR, 0, "too many folders to watch: sysctl fs.inotify.max_user_watches=524288");
	if (r < 0)
		die(EX_IOERR, r, "cannot follow %s", root_path);
}

static void
on_inotify(struct ev_loop *loop, ev_io *w, int events)
{
	size_t i;

	(void)loop;
	(void)w;
	(void)events;
	check_watching(tree_read(pusher.tree));
	for (i = 0; i < pusher.n; i++)
		push_go(push_at(i));
}

static bool
over(void)
{
	size_t i;

	if (!once && !verify && !pusher.draining)
		return false;
	if (pusher.draining && clock_mono_ms() >= pusher.drain_until_ms)
		return true;
	for (i = 0; i < pusher.n; i++)
		if (pusher.draining ? !push_idle(push_at(i)) : !target_over(pusher.targets[i]))
			return false;
	return true;
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	size_t i;

	(void)w;
	(void)events;
	for (i = 0; i < pusher.n; i++)
		push_tick(push_at(i));
	notify_tick(clock_mono_ms());
	events_flush();
	if (over())
		ev_break(loop, EVBREAK_ALL);
}

static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)events;
	if (pusher.draining)
		_exit(128 + w->signum);
	pusher.draining = true;
	notify_stopping();
	pusher.drain_until_ms = clock_mono_ms() + DRAIN_MS;
	if (ev_is_active(&pusher.inotify))
		ev_io_stop(loop, &pusher.inotify);
}

static void
on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
	size_t i;

	(void)loop;
	(void)w;
	(void)events;
	notify_reloading();
	for (i = 0; i < pusher.n; i++)
		target_load_key(pusher.targets[i], false);
	notify_ready();
}

static const char *
first_of(const char *a, const char *b, const char *c, const char *d)
{
	return a && *a ? a : b && *b ? b : c && *c ? c : d;
}

static void
check_options(void)
{
	char **s;

	if (!root_path || !dests)
		die(EX_USAGE, 0, "--root DIR and --dest s3://BUCKET/PREFIX are needed; try \"lv-s3push --help\"");
	if (jobs < 1 || jobs > 64)
		die(EX_USAGE, 0, "--jobs %d: not between 1 and 64", jobs);
	if (max_kbps < 0 || (max_kbps && max_kbps < 64))
		die(EX_USAGE, 0, "--max-kbps %d: less than 64", max_kbps);
	if (addressing && strcmp(addressing, "path") && strcmp(addressing, "virtual"))
		die(EX_USAGE, 0, "--addressing %s: neither path nor virtual", addressing);
	for (s = types; s && *s; s++)
		if (kind_set_type(*s) < 0)
			die(EX_USAGE, 0, "--type %s: not SUFFIX=TYPE", *s);
	for (s = caches; s && *s; s++)
		if (kind_set_cache(*s) < 0)
			die(EX_USAGE, 0, "--cache %s: not SUFFIX=TEXT", *s);
	kind_exclude(excludes);
	if (keeps)
		kind_keep(keeps);
	once |= dry_run;
	if (verify && !events_wanted())
		events_open("1"); /* its report */
}

/* What the options say for all of them, then what one says for itself. */
static void
open_targets(int root)
{
	struct target_config config = { .loop = pusher.loop, .root_path = root_path, .root = root, .jobs = jobs,
		.spool_at = spool_path ? AT_FDCWD : root, .spool = spool_folder(),
		.expire_ms = expire_s < 0 ? -1 : (int64_t)expire_s * 1000, .once = once, .dry_run = dry_run,
		.several = dests[1] != NULL };
	struct dest dest;
	const char *why;
	char **s;

	for (s = dests; *s; s++) {
		memset(&dest, 0, sizeof(dest));
		dest.endpoint = first_of(endpoint, getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"), NULL);
		dest.region = first_of(region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), "us-east-1");
		dest.addressing = addressing;
		dest.credentials = cred_path;
		dest.max_kbps = max_kbps;
		if (dest_parse(&dest, *s, &why) < 0)
			die(EX_USAGE, 0, "--dest %s: %s", *s, why);
		if (prefix && dest_below(&dest, prefix) < 0)
			die(EX_USAGE, 0, "--prefix %s: it begins with a slash, or is too long", prefix);
		if (pusher.n == TARGETS)
			die(EX_USAGE, 0, "--dest: more than %d", TARGETS);
		target_open(&pusher.targets[pusher.n++], &config, &dest);
	}
}

static void
ready(void)
{
	struct buf names = { 0 };
	struct event e;
	size_t i;

	for (i = 0; i < pusher.n; i++)
		buf_printf(&names, "%s%s", i ? " " : "", target_name(pusher.targets[i]));
	buf_u8(&names, 0);
	event_begin(&e, "tree.watched");
	event_str(&e, "root", root_path);
	event_str(&e, "dest", names.error ? NULL : (const char *)buf_data(&names));
	event_int(&e, "files", known_files());
	event_send(&e);
	inform("watching %s", root_path);
	buf_free(&names);
	notify_ready();
}

static void
on_idle_spool(const char *name)
{
	warning(0, "%s/%s is the backlog of a destination that nobody pushes to: push there again, or remove it",
		spool_folder(), name);
}

/* All of them remember before the tree is told of: what they pushed is not pushed again. */
static void
watch(int root)
{
	struct tree_told told = { on_file, on_gone, on_folder_gone, on_scanned, NULL };
	size_t i;
	int r;

	for (i = 0; i < pusher.n; i++) {
		target_remember(pusher.targets[i]);
		push_scanning(push_at(i), true);
	}
	spool_idle(spool_path ? AT_FDCWD : root, spool_folder(), on_idle_spool);
	if ((r = tree_new(&pusher.tree, root, true, &told)) < 0)
		die(EX_OSERR, r, "cannot watch %s", root_path);
	check_watching(tree_scan(pusher.tree));
	ev_io_init(&pusher.inotify, on_inotify, tree_fd(pusher.tree), EV_READ);
	ev_io_start(pusher.loop, &pusher.inotify);
	ready();
	for (i = 0; i < pusher.n; i++) {
		push_scanning(push_at(i), false);
		push_go(push_at(i));
	}
}

static void
on_signals(void)
{
	sig_pipe();
	ev_signal_init(&pusher.term, on_signal, SIGTERM);
	ev_signal_init(&pusher.intr, on_signal, SIGINT);
	ev_signal_init(&pusher.hup, on_hup, SIGHUP);
	ev_signal_start(pusher.loop, &pusher.term);
	ev_signal_start(pusher.loop, &pusher.intr);
	ev_signal_start(pusher.loop, &pusher.hup);
}

/* What --once came to: the first bad status, each said in words. */
static int
finish(void)
{
	int status = EX_OK, one;
	size_t i;

	for (i = 0; i < pusher.n; i++) {
		one = (once || verify) && !pusher.draining ? target_status(pusher.targets[i]) : EX_OK;
		status = status ? status : one;
		if (once || !verify)
			push_say(push_at(i), "push.ended");
		target_free(&pusher.targets[i]);
	}
	return status;
}

static void
fill_metrics(void *ctx, struct metrics *m)
{
	(void)ctx;
	figures_fill(m, pusher.targets, pusher.n);
}

int
main(int argc, char **argv)
{
	size_t i;
	int root, status;

	opt_parse(argc, argv, options, "", 0, 0);
	check_options();
	if ((root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die(EX_NOINPUT, -errno, "cannot open %s", root_path);
	if (!(pusher.loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	open_targets(root);
	on_signals();
	ev_timer_init(&pusher.tick, on_tick, 0, TICK_S);
	if (!once && !verify)
		watch(root);
	for (i = 0; i < pusher.n; i++)
		if (verify)
			target_verify(pusher.targets[i]);
		else if (once)
			target_mirror(pusher.targets[i]);
	ev_timer_start(pusher.loop, &pusher.tick);
	metricsd_open(fill_metrics, NULL);
	metricsd_start(pusher.loop);
	ev_run(pusher.loop, 0);
	metricsd_close();
	status = finish();
	tree_free(&pusher.tree);
	events_close(1000);
	if (fflush(stdout) || ferror(stdout))
		die(EX_IOERR, 0, "cannot write to standard output");
	return status;
}
