/* lv-hook: tell somebody's back end what happens, event for event, by HTTP. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "hash.h"
#include "hook.h"
#include "http.h"
#include "metricsd.h"
#include "opt.h"
#include "queue.h"
#include "sig.h"
#include "whole.h"
#include "words.h"

#define LINE_MAX_BYTES (64 << 10)
#define ANSWER_MS 10000
#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 60000
#define GIVE_UP_MS 86400000 /* an event that nobody took for a day */
#define LAST_MS 5000        /* for what waits in memory when the input has ended */
#define ID_TEXT 48

static char *format_name, *call_name, *secret_path, *ca_path, *queue_path, *cwd, **only;
static int private, queue_mb = 16;

static const struct poptOption options[] = {
	{ "format", 'f', POPT_ARG_STRING, &format_name, 0, "in the words of srs, nginx or json (json)", "FORMAT" },
	{ "call", 'C', POPT_ARG_STRING, &call_name, 0, "srs, nginx: tell only of this call, as on_close or record_done",
		"NAME" },
	{ "event", 'E', POPT_ARG_ARGV, &only, 0, "only events of this NAME; may be repeated", "NAME" },
	{ "queue", 'Q', POPT_ARG_STRING, &queue_path, 0, "keep what waits in FILE as well", "FILE" },
	{ "queue-mb", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &queue_mb, 0, "of it at most N MB", "N" },
	{ "hook-secret-file", 0, POPT_ARG_STRING, &secret_path, 0, "sign what is sent by the key in FILE", "FILE" },
	{ "hook-ca", 0, POPT_ARG_STRING, &ca_path, 0, "believe the certificates in FILE", "FILE" },
	{ "hook-private", 0, POPT_ARG_NONE, &private, 0,
		"the back end may be on this machine or in a private network", NULL },
	{ "cwd", 0, POPT_ARG_STRING, &cwd, 0, "srs: segments are below DIR, in a folder a stream", "DIR" },
	OPT_METRICS,
	OPT_COMMON
};

static struct {
	struct ev_loop *loop;
	struct http *http;
	const char *url;
	struct words words;
	struct buf in, secret;
	struct queue queue;
	ev_io input;
	ev_timer retry, last;
	ev_signal term, intr;
	bool sending, ended, skipping, said;
	int status;
	struct metrics_counts outcomes; /* of posts */
	int64_t dropped;
	int64_t wait_ms, first_try_ms; /* first_try: of what is at the front; 0 for not yet */
	char body[HOOK_TEXT], id[ID_TEXT], signature[HOOK_SIGNATURE];
} hook;

static void deliver(void);

static void
leave_when_done(void)
{
	if (hook.ended && !hook.sending && !hook.queue.count)
		ev_break(hook.loop, EVBREAK_ALL);
}

static void
next(void)
{
	queue_done(&hook.queue);
	hook.first_try_ms = 0;
	hook.wait_ms = 0;
	deliver();
	leave_when_done();
}

static void
say(const char *name, const char *reason, int64_t count)
{
	struct event ev;

	event_begin(&ev, name);
	event_str(&ev, "reason", reason);
	event_int(&ev, "count", count);
	event_send(&ev);
}

/* The input has ended and the back end is away: with a file the next lv-hook goes on. */
static bool
may_leave(void)
{
	return hook.ended && hook.queue.fd >= 0;
}

static void
try_again(const char *why)
{
	if (!hook.said)
		complain(0, "cannot tell %s: %s; trying on", hook.url, why);
	if (!hook.said)
		say("hook.stalled", why, (int64_t)hook.queue.count);
	hook.said = true;
	metrics_count(&hook.outcomes, "retried", 1);
	hook.wait_ms = !hook.wait_ms ? RETRY_MIN_MS : 2 * hook.wait_ms < RETRY_MAX_MS ? 2 * hook.wait_ms : RETRY_MAX_MS;
	ev_timer_set(&hook.retry, (double)(hook.wait_ms + clock_wall_ms() % (hook.wait_ms / 4)) / 1000, 0);
	ev_timer_start(hook.loop, &hook.retry);
	if (may_leave())
		ev_break(hook.loop, EVBREAK_ALL);
}

/* What the server cannot do now it may do later; what it does not want it will never want. */
static bool
passes(int status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429 || (status >= 300 && status < 400);
}

static void
answered(void *ctx, const struct http_response *r)
{
	char why[64];

	(void)ctx;
	hook.sending = false;
	if (r->error == -ECANCELED)
		return;
	snprintf(why, sizeof(why), "status %d", r->status);
	if (r->error || passes(r->status)) {
		if (clock_mono_ms() - hook.first_try_ms < GIVE_UP_MS) {
			try_again(r->error ? r->why : why);
			return;
		}
		metrics_count(&hook.outcomes, "retried", 1);
		hook.dropped++;
		say("hook.dropped", "too old", 1);
	} else if (r->status >= 400) {
		complain(0, "%s does not take an event: status %d", hook.url, r->status);
		say("hook.dropped", why, 1);
		metrics_count(&hook.outcomes, "refused", 1);
		hook.dropped++;
	} else {
		metrics_count(&hook.outcomes, "taken", 1);
	}
	if (hook.said)
		say("hook.resumed", NULL, (int64_t)hook.queue.count);
	hook.said = false;
	next();
}

/* The same for every attempt, so that the back end knows an event that comes twice. */
static int
name_delivery(const char *line, size_t n)
{
	uint8_t digest[HASH_BYTES];
	char hex[HASH_HEX];
	int r = hash_sha256(digest, line, n);

	if (r == 0) {
		hash_hex(hex, digest);
		snprintf(hook.id, sizeof(hook.id), "Lv-Delivery: %.32s", hex);
	}
	return r;
}

/* The body of an event, its length; or -errno. */
static int
body_of(const char *line, size_t n)
{
	if (hook.words.format != HOOK_JSON)
		return words_of(&hook.words, line, n, hook.body);
	if (n >= sizeof(hook.body))
		return -EMSGSIZE;
	memcpy(hook.body, line, n);
	return (int)n;
}

/* What is at the front goes out; it stays there until it was taken. */
static void
deliver(void)
{
	const char *headers[] = { hook_type(hook.words.format), hook.id, NULL, NULL }, *line;
	int len = -EMSGSIZE, r;
	size_t n;

	if (hook.sending || ev_is_active(&hook.retry))
		return;
	while ((line = queue_first(&hook.queue, &n)) && (len = body_of(line, n)) < 0) {
		complain(len, "an event cannot be told");
		queue_done(&hook.queue);
	}
	if (!line)
		return;
	if (!hook.first_try_ms)
		hook.first_try_ms = clock_mono_ms();
	r = name_delivery(line, n);
	if (r == 0 && buf_len(&hook.secret)) {
		r = hook_sign(hook.signature, buf_data(&hook.secret), buf_len(&hook.secret), clock_wall_ms() / 1000,
			hook.body, (size_t)len);
		headers[2] = hook.signature;
	}
	if (r == 0)
		r = http_send(hook.http, &(struct http_request){ .method = "POST", .url = hook.url,
			.headers = headers, .body = hook.body, .size = (uint64_t)len, .done = answered });
	if (r < 0)
		try_again(strerror(-r));
	else
		hook.sending = true;
}

static void
on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	deliver();
}

static void
take_line(const char *line, size_t n)
{
	int64_t dropped;
	int r;

	if (!n)
		return;
	if ((r = words_wanted(&hook.words, line, n)) < 0)
		complain(0, "a line on standard input is no event");
	else if (r > 0 && (r = queue_add(&hook.queue, line, n)) < 0)
		complain(r, "an event is lost");
	if ((dropped = queue_take_dropped(&hook.queue))) {
		complain(0, "the queue is full: the oldest %lld events are dropped", (long long)dropped);
		say("hook.dropped", "queue full", dropped);
		hook.dropped += dropped;
	}
}

static void
take_lines(void)
{
	char *data, *end;

	while (buf_len(&hook.in) && (end = memchr(data = (char *)buf_data(&hook.in), '\n', buf_len(&hook.in)))) {
		if (!hook.skipping)
			take_line(data, (size_t)(end - data));
		hook.skipping = false;
		buf_consume(&hook.in, (size_t)(end - data) + 1);
	}
	if (buf_len(&hook.in) > LINE_MAX_BYTES) {
		if (!hook.skipping)
			complain(0, "a line on standard input is over %d KB", LINE_MAX_BYTES >> 10);
		hook.skipping = true;
		buf_clear(&hook.in);
	}
}

static void
on_last(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* The input has ended, or will not be waited for: what waits has a little time. */
static void
hurry(void)
{
	if (!ev_is_active(&hook.last)) {
		ev_timer_set(&hook.last, LAST_MS / 1000.0, 0);
		ev_timer_start(hook.loop, &hook.last);
	}
}

static void
on_input(struct ev_loop *loop, ev_io *w, int events)
{
	uint8_t *room = buf_reserve(&hook.in, LINE_MAX_BYTES);
	ssize_t n = room ? read(w->fd, room, LINE_MAX_BYTES) : -1;

	(void)events;
	if (n > 0) {
		buf_grew(&hook.in, (size_t)n);
		take_lines();
		deliver();
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		if (n < 0) {
			complain(room ? -errno : -ENOMEM, "cannot read standard input");
			hook.status = room ? EX_IOERR : EX_OSERR;
		}
		ev_io_stop(loop, w);
		hook.ended = true;
		hurry();
		if (may_leave() && ev_is_active(&hook.retry))
			ev_break(loop, EVBREAK_ALL);
		leave_when_done();
	}
	events_flush();
}

static void
on_term(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)events;
	if (ev_is_active(&hook.last))
		_exit(128 + w->signum); /* asked twice */
	hurry();
}

static int
open_secret(void)
{
	int r = whole_secret(secret_path, HOOK_SECRET_MAX, &hook.secret);

	if (r == -EPERM)
		die(EX_NOPERM, 0, "%s is open to others; \"chmod 600 %s\"", secret_path, secret_path);
	return r;
}

static void
usage_check(const char *url)
{
	int format = hook_format(format_name ? format_name : "json");

	if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
		die(EX_USAGE, 0, "where to? http://... or https://...");
	if (strchr(url, '@'))
		die(EX_USAGE, 0, "no password on a command line, where others see it; --hook-secret-file signs "
			"what is sent");
	if (format < 0)
		die(EX_USAGE, 0, "--format: srs, nginx or json");
	if (queue_mb < 1 || queue_mb > 100)
		die(EX_USAGE, 0, "--queue-mb %d: not between 1 and 100", queue_mb);
	hook.words = (struct words){ .format = (enum hook_format)format, .only = only, .cwd = cwd };
	if (call_name && !words_take_call(&hook.words, call_name))
		die(EX_USAGE, 0, "--call %s: no call of --format %s that is told; \"man lv-hook\" lists them", call_name,
			format_name ? format_name : "json");
	hook.url = url;
}

static void
fill_metrics(void *ctx, struct metrics *m)
{
	(void)ctx;
	metrics_gauge(m, "lv_hook_queue_events", (double)hook.queue.count, "Events that wait to be told.");
	metrics_gauge(m, "lv_hook_queue_bytes", (double)buf_len(&hook.queue.lines), "Their size.");
	metrics_gauge(m, "lv_hook_stalled", hook.said, "1 while the back end cannot be told.");
	metrics_family(m, "lv_hook_posts_total", METRICS_COUNTER, "Attempts to tell an event.");
	metrics_counted(m, &hook.outcomes, "outcome", NULL);
	metrics_counter(m, "lv_hook_dropped_events_total", (double)hook.dropped,
		"Events that the back end will not hear of.");
}

static int
run(void)
{
	ev_io_init(&hook.input, on_input, 0, EV_READ);
	ev_timer_init(&hook.retry, on_retry, 0, 0);
	ev_timer_init(&hook.last, on_last, 0, 0);
	ev_signal_init(&hook.term, on_term, SIGTERM);
	ev_signal_init(&hook.intr, on_term, SIGINT);
	ev_io_start(hook.loop, &hook.input);
	ev_signal_start(hook.loop, &hook.term);
	ev_signal_start(hook.loop, &hook.intr);
	metricsd_open(fill_metrics, NULL);
	metricsd_start(hook.loop);
	deliver();
	ev_run(hook.loop, 0);
	metricsd_close();
	if (hook.queue.count && hook.queue.fd < 0) {
		complain(0, "%zu events were not told, and there is no --queue to keep them in", hook.queue.count);
		hook.status = EX_TEMPFAIL;
	} else if (hook.queue.count) {
		warning(0, "%zu events are kept in %s for the next time", hook.queue.count, queue_path);
	}
	return hook.status;
}

int
main(int argc, char **argv)
{
	char **args = opt_parse(argc, argv, options, "URL", 1, 1);
	int status, r;

	usage_check(args[0]);
	sig_pipe();
	if (secret_path && (r = open_secret()) < 0)
		die(EX_NOINPUT, r, "cannot read %s", secret_path);
	if ((status = queue_open(&hook.queue, queue_path, (size_t)queue_mb << 20)))
		return status;
	gethostname(hook.words.server, sizeof(hook.words.server) - 1);
	if (!(hook.loop = ev_default_loop(0)) || http_new(&hook.http, hook.loop, &(struct http_config){
			.connections = 1, .total_ms = ANSWER_MS, .public_only = !private, .ca_file = ca_path }) < 0)
		die(EX_OSERR, -ENOMEM, "cannot begin");
	status = run();
	http_free(&hook.http);
	queue_close(&hook.queue);
	buf_free(&hook.in);
	if (buf_len(&hook.secret))
		explicit_bzero(buf_data(&hook.secret), buf_len(&hook.secret));
	buf_free(&hook.secret);
	events_close(1000);
	return status;
}
