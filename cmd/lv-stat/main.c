/* lv-stat: what the commands do now, on a terminal, as NDJSON, or together for Prometheus. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "file.h"
#include "merge.h"
#include "metricsd.h"
#include "notify.h"
#include "opt.h"
#include "show.h"
#include "sig.h"
#include "source.h"
#include "tally.h"

#define LINE_MAX_BYTES (64 << 10)
#define SELF "lv-stat"

static char *textfile;
static int interval_ms = 2000, once, json;

static const struct poptOption options[] = {
	{ "once", '1', POPT_ARG_NONE, &once, 0, "say it once and exit", NULL },
	{ "json", 'j', POPT_ARG_NONE, &json, 0, "as NDJSON on a terminal too", NULL },
	{ "interval-ms", 'i', POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &interval_ms, 0, "ask so often", "MS" },
	{ "textfile", 't', POPT_ARG_STRING, &textfile, 0, "write all into FILE, for node_exporter", "FILE" },
	OPT_METRICS,
	OPT_COMMON
};

enum way { SCREEN, TABLE, JSON, QUIET }; /* quiet: for Prometheus only */

static struct {
	struct ev_loop *loop;
	enum way way;
	struct board board;
	struct tally *tally; /* NULL: no events are read */
	struct buf in, merged;
	bool skipping, ended, last; /* ended: the events; last: the round that is under way */
	int status;
	ev_io input, keys;
	ev_timer round, alive;
	ev_signal term, intr, winch, stop;
} self;

/* ---- events on standard input ---- */

static void
take_lines(void)
{
	int64_t now_ms = clock_wall_ms();
	char *data, *end;

	while (buf_len(&self.in) &&
		(end = memchr(data = (char *)buf_data(&self.in), '\n', buf_len(&self.in)))) {
		if (!self.skipping && end > data)
			tally_line(self.tally, data, (size_t)(end - data), now_ms);
		self.skipping = false;
		buf_consume(&self.in, (size_t)(end - data) + 1);
	}
	if (buf_len(&self.in) > LINE_MAX_BYTES) { /* no event is so long */
		if (!self.skipping)
			tally_line(self.tally, "", 0, now_ms);
		self.skipping = true;
		buf_clear(&self.in);
	}
}

static void ask(void);

static void
on_input(struct ev_loop *loop, ev_io *w, int events)
{
	uint8_t *room = buf_reserve(&self.in, LINE_MAX_BYTES);
	ssize_t n = room ? read(w->fd, room, LINE_MAX_BYTES) : -1;

	(void)events;
	if (n > 0) {
		buf_grew(&self.in, (size_t)n);
		take_lines();
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		if (n < 0) {
			complain(room ? -errno : -ENOMEM, "cannot read standard input");
			self.status = room ? EX_IOERR : EX_OSERR;
		}
		ev_io_stop(loop, w);
		self.ended = true;
		if (once || !sources_any()) {
			self.last = true;
			ask();
		}
	}
}

/* ---- a round: all have been asked ---- */

/* What this command itself knows, as if it had been asked for it. */
static void
fill_self(struct metrics *m, int64_t now_ms)
{
	metricsd_process(m);
	if (self.tally)
		tally_fill(self.tally, m, now_ms);
}

static void
fill_units(struct metrics *m)
{
	const struct source *s;

	metrics_family(m, "lv_unit_up", METRICS_GAUGE, "1 for a command that answers.");
	for (s = sources_first(); s; s = s->next)
		metrics_sample(m, s->up, "unit", s->unit, NULL);
}

static void
merge_all(const struct metrics *own)
{
	struct metrics units = { .out.max = METRICS_BYTES };
	struct merge merge = { 0 };
	const struct source *s;
	int r = 0;

	for (s = sources_first(); s; s = s->next)
		if (s->up && (r = merge_take(&merge, s->unit, s->text, s->len)) == -EBADMSG)
			warning(0, "%s tells no metrics that we can read", s->unit);
	fill_units(&units);
	r = merge_take(&merge, SELF, (const char *)buf_data(&own->out), buf_len(&own->out));
	if (!r)
		r = merge_take(&merge, "", (const char *)buf_data(&units.out), buf_len(&units.out));
	buf_free(&units.out);
	buf_clear(&self.merged);
	if (r < 0 || (r = merge_text(&merge, &self.merged)) < 0)
		complain(r, "cannot tell all together");
	merge_free(&merge);
	if (textfile && !r && (r = file_put(AT_FDCWD, textfile, true, buf_data(&self.merged), buf_len(&self.merged))) < 0)
		die(EX_CANTCREAT, r, "cannot write %s", textfile);
}

static void
say(const struct buf *text)
{
	int r = fdio_write_all(STDOUT_FILENO, buf_data(text), buf_len(text));

	if (r == -EPIPE) {
		self.status = EX_IOERR;
		ev_break(self.loop, EVBREAK_ALL);
	} else if (r < 0) {
		die(EX_IOERR, r, "cannot write to standard output");
	}
}

static void
show(int64_t now_ms)
{
	struct buf text = { 0 };

	if (self.way == SCREEN) {
		screen_draw(&self.board, now_ms);
		return;
	}
	if (self.way == JSON)
		show_json(&text, &self.board, now_ms);
	else if (self.way == TABLE)
		show_table(&text, &self.board, now_ms, 0, 0);
	say(&text);
	buf_free(&text);
}

static void
on_round(struct ev_loop *loop)
{
	struct metrics own = { .out.max = METRICS_BYTES };
	int64_t now_ms = clock_wall_ms();
	const struct source *s;
	bool any = self.tally != NULL;

	fill_self(&own, now_ms);
	board_clear(&self.board);
	for (s = sources_first(); s; s = s->next) {
		board_take(&self.board, s->unit, s->up, s->text, s->len);
		any |= s->up;
	}
	if (self.tally)
		board_take(&self.board, NULL, true, (const char *)buf_data(&own.out), buf_len(&own.out));
	if (board_sort(&self.board) < 0)
		die(EX_OSERR, -ENOMEM, "cannot go on");
	if (self.way == QUIET)
		merge_all(&own);
	else
		show(now_ms);
	buf_free(&own.out);
	events_flush();
	if (once && !any) {
		complain(0, "nobody answers");
		self.status = EX_UNAVAILABLE;
	}
	if (self.last)
		ev_break(loop, EVBREAK_ALL);
}

static void
ask(void)
{
	sources_ask(self.loop, on_round);
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	ask();
}

static void
on_alive(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	notify_tick(clock_mono_ms());
}

/* ---- people ---- */

static void
on_key(struct ev_loop *loop, ev_io *w, int events)
{
	char keys[64];
	ssize_t n = read(w->fd, keys, sizeof(keys));

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ev_io_stop(loop, w); /* the terminal has gone; SIGHUP tells */
	else if (n > 0 && (memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n)))
		ev_break(loop, EVBREAK_ALL);
}

static void
on_end(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
on_resize(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	screen_draw(&self.board, clock_wall_ms());
}

/* Ctrl-Z: the shell gets its screen, and we ours when we go on. */
static void
on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	screen_close();
	raise(SIGSTOP);
	screen_open();
	screen_draw(&self.board, clock_wall_ms());
}

static void
watch_signal(ev_signal *w, void (*cb)(struct ev_loop *, ev_signal *, int), int signo)
{
	ev_signal_init(w, cb, signo);
	ev_signal_start(self.loop, w);
}

static void
fill_merged(void *ctx, struct metrics *m)
{
	(void)ctx;
	buf_append(&m->out, buf_data(&self.merged), buf_len(&self.merged));
}

/* ---- the command line ---- */

static void
take_sources(char **args)
{
	static char run[] = "/run/lv", *nowhere[] = { run, NULL };
	const char *home = getenv("LV_HOME");
	char *path = NULL;
	int r;

	if (!*args) {
		if (home && asprintf(&path, "%s/run", home) >= 0)
			nowhere[0] = path;
		args = nowhere;
	}
	for (; *args; args++) {
		if (!strcmp(*args, "-")) {
			if (!self.tally && tally_new(&self.tally) < 0)
				die(EX_OSERR, -ENOMEM, "cannot begin");
		} else if ((r = sources_add(*args)) == -EINVAL) {
			die(EX_USAGE, 0, "%s: no folder, no ADDR:PORT and no unix:PATH; nor - for events", *args);
		} else if (r < 0) {
			die(EX_USAGE, r, "%s", *args);
		}
	}
	free(path);
}

static enum way
find_way(void)
{
	bool terminal = isatty(STDOUT_FILENO);

	if (metricsd_where || textfile)
		return QUIET;
	if (json || !terminal)
		return JSON;
	return once ? TABLE : SCREEN;
}

static void
watch_input(void)
{
	if (self.tally) {
		self.in.max = 4 * LINE_MAX_BYTES;
		ev_io_init(&self.input, on_input, STDIN_FILENO, EV_READ);
		ev_io_start(self.loop, &self.input);
	} else if (self.way == SCREEN && isatty(STDIN_FILENO)) {
		ev_io_init(&self.keys, on_key, STDIN_FILENO, EV_READ);
		ev_io_start(self.loop, &self.keys);
	}
}

static void
run(void)
{
	int r;

	watch_signal(&self.term, on_end, SIGTERM);
	watch_signal(&self.intr, on_end, SIGINT);
	if (self.way == SCREEN) {
		if ((r = screen_open()) < 0)
			die(EX_IOERR, r, "cannot use the terminal");
		watch_signal(&self.winch, on_resize, SIGWINCH);
		watch_signal(&self.stop, on_stop, SIGTSTP);
	}
	watch_input();
	self.last = once && !self.tally; /* else when the events have ended */
	ev_timer_init(&self.round, on_tick, 0, once ? 0 : interval_ms / 1000.0);
	if (!once || self.last)
		ev_timer_start(self.loop, &self.round);
	metricsd_start(self.loop);
	notify_ready();
	ev_timer_init(&self.alive, on_alive, 1, 1);
	ev_timer_start(self.loop, &self.alive);
	ev_run(self.loop, 0);
	notify_stopping();
	if (self.way == SCREEN)
		screen_close();
	if (textfile && !once) /* figures that nobody keeps up are none */
		unlink(textfile);
}

int
main(int argc, char **argv)
{
	char **args = opt_parse(argc, argv, options, "[SOURCE...]", 0, -1);

	if (interval_ms < 100 || interval_ms > 3600000)
		die(EX_USAGE, 0, "--interval-ms %d: not between 100 and 3600000", interval_ms);
	if (metricsd_where && once)
		die(EX_USAGE, 0, "--once and --metrics do not go together");
	sig_pipe();
	take_sources(args);
	self.way = find_way();
	if (!(self.loop = ev_default_loop(EVFLAG_NOENV)))
		die(EX_OSERR, 0, "cannot make an event loop");
	self.merged.max = 4 * METRICS_BYTES;
	metricsd_bare = true;
	metricsd_open(fill_merged, NULL);
	run();
	metricsd_close();
	sources_free(self.loop);
	board_free(&self.board);
	tally_free(&self.tally);
	buf_free(&self.in);
	buf_free(&self.merged);
	events_close(1000);
	return self.status;
}
