/* lv-s3push: put a tree of streams into a bucket as it changes, in the right order. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "kinds.h"
#include "mirror.h"
#include "notify.h"
#include "opt.h"
#include "push.h"
#include "sig.h"
#include "tree.h"

#define TICK_S 0.25
#define DRAIN_MS 5000
#define GIVE_UP_MS 60000 /* --once, and nothing goes */
#define SPOOL ".lv-s3push"

static char *root_path, *dest, *endpoint, *region, *addressing, *cred_path, *spool_path, *prefix;
static char **keeps, **excludes, **types, **caches;
static int once, dry_run, jobs = 4, expire_s = -1, max_kbps;

static const struct poptOption options[] = {
	{ "root", 'r', POPT_ARG_STRING, &root_path, 0, "push what is below DIR", "DIR" },
	{ "dest", 'd', POPT_ARG_STRING, &dest, 0, "to this bucket, below this prefix", "s3://BUCKET/PREFIX" },
	{ "prefix", 'p', POPT_ARG_STRING, &prefix, 0, "and below this one as well", "PREFIX" },
	{ "endpoint", 'E', POPT_ARG_STRING, &endpoint, 0, "the server (Amazon's of the region)", "URL" },
	{ "region", 'R', POPT_ARG_STRING, &region, 0, "the bucket's region (us-east-1)", "NAME" },
	{ "addressing", 'a', POPT_ARG_STRING, &addressing, 0, "where the bucket's name goes: path or virtual", "STYLE" },
	{ "credentials", 'c', POPT_ARG_STRING, &cred_path, 0, "take the access key from FILE", "FILE" },
	{ "once", '1', POPT_ARG_NONE, &once, 0, "mirror what is there now and exit", NULL },
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0, "say what --once would put, and put nothing", NULL },
	{ "jobs", 'j', POPT_ARG_INT, &jobs, 0, "have N requests in flight (4)", "N" },
	{ "max-kbps", 'm', POPT_ARG_INT, &max_kbps, 0, "send at most N kilobits a second", "N" },
	{ "expire-s", 'x', POPT_ARG_INT, &expire_s, 0, "delete in the bucket N seconds after here (never)", "N" },
	{ "keep", 'k', POPT_ARG_ARGV, &keeps, 0, "never delete, and push last, what matches (archive/*)", "PATTERN" },
	{ "exclude", 'X', POPT_ARG_ARGV, &excludes, 0, "do not push what matches", "PATTERN" },
	{ "type", 't', POPT_ARG_ARGV, &types, 0, "the Content-Type of a suffix", "SUFFIX=TYPE" },
	{ "cache", 'C', POPT_ARG_ARGV, &caches, 0, "the Cache-Control of a suffix", "SUFFIX=TEXT" },
	{ "spool", 's', POPT_ARG_STRING, &spool_path, 0, "keep the backlog in DIR (ROOT/" SPOOL ")", "DIR" },
	OPT_COMMON
};

static struct pusher {
	struct ev_loop *loop;
	struct http *http;
	struct s3 *s3;
	struct push *push;
	struct tree *tree;
	struct spool *spool;
	struct mirror mirror;
	struct s3_fault fault; /* of the listing */
	bool draining, mirrored;
	int64_t drain_until_ms;
	ev_io inotify;
	ev_timer tick;
	ev_signal term, intr, hup;
} pusher;

/* The access key, found anew; at the start it has to be there. */
static void
load_key(bool needed)
{
	struct s3cred cred;
	const char *where;
	int r = s3cred_load(&cred, cred_path, &where);

	if (r >= 0)
		s3_use(pusher.s3, &cred);
	else if (!needed)
		warning(r, "cannot read the access key in %s: the last one is used", where);
	else if (r == -EACCES)
		die(EX_NOPERM, 0, "%s can be read by others, or not by us: chmod 600 %s", where, where);
	else if (r == -EBADMSG)
		die(EX_CONFIG, 0, "%s holds no aws_access_key_id with its aws_secret_access_key", where);
	else
		die(EX_CONFIG, r, "no access key: none in the environment, and cannot read %s", where);
	explicit_bzero(&cred, sizeof(cred));
}

static void
on_refused(void *ctx)
{
	(void)ctx;
	load_key(false);
}

static void
on_file(void *ctx, const char *path, const struct stat *st)
{
	push_file(ctx, path, st);
}

static void
on_gone(void *ctx, const char *path)
{
	push_gone(ctx, path);
}

static void
on_folder_gone(void *ctx, const char *path)
{
	push_folder_gone(ctx, path);
}

static void
on_scanned(void *ctx, bool again)
{
	push_scanned(ctx, again);
}

static void
scan(void)
{
	int r;

	push_scanning(pusher.push, true);
	if ((r = tree_scan(pusher.tree)) == -ENOSPC)
		die(EX_OSERR, 0, "too many folders to watch: sysctl fs.inotify.max_user_watches=524288");
	if (r < 0)
		die(EX_IOERR, r, "cannot follow %s", root_path);
	push_scanning(pusher.push, false);
}

static void
on_inotify(struct ev_loop *loop, ev_io *w, int events)
{
	int r = tree_read(pusher.tree);

	(void)loop;
	(void)w;
	(void)events;
	if (r == -ENOSPC)
		die(EX_OSERR, 0, "too many folders to watch: sysctl fs.inotify.max_user_watches=524288");
	if (r < 0)
		die(EX_IOERR, r, "cannot follow %s", root_path);
	push_go(pusher.push);
}

/* --once ends when all is there, when nobody but a person can help, or when it takes too long. */
static bool
over(void)
{
	const struct s3_fault *fault = push_fault(pusher.push);

	if (pusher.draining)
		return push_idle(pusher.push) || clock_mono_ms() >= pusher.drain_until_ms;
	if (!once || !pusher.mirrored)
		return pusher.fault.verdict != S3_OK;
	return push_idle(pusher.push) || (fault && (fault->verdict == S3_CONFIG ||
						    push_failing_ms(pusher.push) > GIVE_UP_MS));
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	push_tick(pusher.push);
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
	(void)loop;
	(void)w;
	(void)events;
	notify_reloading();
	load_key(false);
	notify_ready();
}

static void
on_listed(void *ctx, const char *path, const struct s3_entry *e)
{
	push_stored(ctx, path, (int64_t)e->size, e->changed_ms * 1000000 + 999999999);
}

static void
on_mirrored(void *ctx, const struct s3_fault *fault)
{
	(void)ctx;
	if (fault) {
		pusher.fault = *fault;
		return;
	}
	pusher.mirrored = true;
	scan();
	push_go(pusher.push);
}

static void
on_pushed_before(void *ctx, const char *path, int64_t size, int64_t mtime_ns)
{
	push_stored(ctx, path, size, mtime_ns);
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

	if (!root_path || !dest)
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
}

static void
open_store(const char *bucket)
{
	struct http_config http = { .connections = jobs + 1, .max_bps = (int64_t)max_kbps * 1000,
		.ca_file = getenv("AWS_CA_BUNDLE") };
	struct s3_config config = { .bucket = bucket, .endpoint = first_of(endpoint,
		getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"), NULL),
		.region = first_of(region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), "us-east-1"),
		.style = !addressing ? S3_AUTO : *addressing == 'p' ? S3_PATH : S3_VIRTUAL };
	int r;

	if ((r = http_new(&pusher.http, pusher.loop, &http)) < 0)
		die(EX_OSERR, r, "cannot start");
	if ((r = s3_new(&pusher.s3, pusher.http, &config)) == -EINVAL)
		die(EX_USAGE, 0, "--endpoint %s: not http://HOST or https://HOST", config.endpoint);
	if (r < 0)
		die(EX_OSERR, r, "cannot start");
	load_key(true);
}

static void
open_spool(int root)
{
	const char *path = spool_path ? spool_path : SPOOL;
	char *destination;
	int r;

	if (asprintf(&destination, "%s %s %s\n", dest, prefix ? prefix : "", s3_endpoint(pusher.s3)) < 0)
		die(EX_OSERR, -ENOMEM, "cannot start");
	r = spool_open(&pusher.spool, spool_path ? AT_FDCWD : root, root, path, destination);
	free(destination);
	if (r == -EBUSY)
		die(EX_TEMPFAIL, 0, "another lv-s3push uses %s: one destination, one spool, one process", path);
	if (r == -EXDEV)
		die(EX_CONFIG, 0, "--spool %s has to be on the file system of %s", path, root_path);
	if (r == -EREMOTE)
		die(EX_CONFIG, 0, "%s is the backlog of another destination: give each its own --spool", path);
	if (r < 0)
		die(EX_CANTCREAT, r, "cannot keep a backlog in %s", path);
}

static void
ready(void)
{
	struct event e;

	event_begin(&e, "tree.watched");
	event_str(&e, "root", root_path);
	event_str(&e, "dest", dest);
	event_int(&e, "files", (int64_t)push_known(pusher.push));
	event_send(&e);
	inform("watching %s", root_path);
	notify_ready();
}

static void
start(int root, const char *below)
{
	struct tree_told told = { on_file, on_gone, on_folder_gone, on_scanned, NULL };
	struct push_config config = { .s3 = pusher.s3, .root = root, .prefix = below, .jobs = jobs,
		.expire_ms = expire_s < 0 || once ? -1 : (int64_t)expire_s * 1000, .once = once,
		.dry_run = dry_run, .refused = on_refused };
	int r;

	if (!once)
		open_spool(root);
	config.spool = pusher.spool;
	if ((r = push_new(&pusher.push, &config)) < 0)
		die(EX_OSERR, r, "cannot start");
	told.ctx = pusher.push;
	if ((r = tree_new(&pusher.tree, root, !once, &told)) < 0)
		die(EX_OSERR, r, "cannot watch %s", root_path);
	if (once) {
		pusher.mirror = (struct mirror){ .s3 = pusher.s3, .loop = pusher.loop, .prefix = below,
			.found = on_listed, .done = on_mirrored, .ctx = pusher.push };
		if ((r = mirror_start(&pusher.mirror)) < 0)
			die(EX_OSERR, r, "cannot start");
		return;
	}
	if ((r = spool_pushed(pusher.spool, on_pushed_before, pusher.push)) < 0)
		die(EX_IOERR, r, "cannot read the journal");
	scan();
	ev_io_init(&pusher.inotify, on_inotify, tree_fd(pusher.tree), EV_READ);
	ev_io_start(pusher.loop, &pusher.inotify);
	ready();
	push_go(pusher.push);
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

/* What --once came to: a status, and the words for a bad one. */
static int
outcome(void)
{
	const struct s3_fault *f = pusher.fault.verdict != S3_OK ? &pusher.fault : push_fault(pusher.push);

	if (!once || pusher.draining)
		return EX_OK;
	if (f && pusher.fault.verdict != S3_OK)
		complain(0, "%s", f->why);
	if (f && f->verdict == S3_CONFIG)
		return f->status == 401 || f->status == 403 ? EX_NOPERM : EX_CONFIG;
	if (f)
		return EX_TEMPFAIL;
	return push_failed(pusher.push) ? EX_IOERR : EX_OK;
}

int
main(int argc, char **argv)
{
	char bucket[256], below[1024], full[2050];
	int root, status;

	opt_parse(argc, argv, options, "", 0, 0);
	check_options();
	if (s3_url(dest, bucket, sizeof(bucket), below, sizeof(below)) < 0)
		die(EX_USAGE, 0, "--dest %s: not s3://BUCKET/PREFIX", dest);
	if (prefix && (strlen(prefix) > 1000 || *prefix == '/'))
		die(EX_USAGE, 0, "--prefix %s: it begins with a slash, or is too long", prefix);
	snprintf(full, sizeof(full), "%s%s%.*s", below, *below && prefix ? "/" : "",
		prefix ? (int)strlen(prefix) : 0, prefix ? prefix : "");
	while (*full && full[strlen(full) - 1] == '/')
		full[strlen(full) - 1] = '\0';
	if ((root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die(EX_NOINPUT, -errno, "cannot open %s", root_path);
	if (!(pusher.loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	open_store(bucket);
	on_signals();
	ev_timer_init(&pusher.tick, on_tick, 0, TICK_S);
	start(root, full);
	ev_timer_start(pusher.loop, &pusher.tick);
	ev_run(pusher.loop, 0);
	status = outcome();
	push_say(pusher.push, "push.ended");
	http_free(&pusher.http);
	s3_free(&pusher.s3);
	tree_free(&pusher.tree);
	push_free(&pusher.push);
	spool_close(&pusher.spool);
	events_close(1000);
	if (fflush(stdout) || ferror(stdout))
		die(EX_IOERR, 0, "cannot write to standard output");
	return status;
}
