/* lv-tee: give the media on standard input to several readers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "mark.h"
#include "opt.h"
#include "sig.h"
#include "tee.h"

static char **to;
static char *stdout_spec;
static int queue_kb = 16384, queue_ms = 4000, stall_ms = 5000;

static const struct poptOption options[] = {
	{ "to", 't', POPT_ARG_ARGV, &to, 0, "give the media to fifo:PATH, fd:N or exec:COMMAND",
		"POLICY[,rung=A+B]:TARGET" },
	{ "stdout", 'o', POPT_ARG_STRING, &stdout_spec, 0,
		"how standard output is served (block), or none", "POLICY[,rung=A+B]" },
	{ "queue-kb", '\0', POPT_ARG_INT, &queue_kb, 0, "queue at most KB a reader (16384)", "KB" },
	{ "queue-ms", '\0', POPT_ARG_INT, &queue_ms, 0, "and at most MS milliseconds (4000)", "MS" },
	{ "stall-ms", '\0', POPT_ARG_INT, &stall_ms, 0,
		"say who takes nothing for MS milliseconds (5000)", "MS" },
	OPT_COMMON
};

/* The tags for readers of some rungs only, shared by those who want the same. */
struct view {
	struct pick *pick;
	struct taglog *log;
	const char *names;
	bool told;
};

static struct reader readers[READERS_MAX];
static struct view views[READERS_MAX];
static int nreaders, nviews;
static struct taglog *all;
static struct buf picked;
static struct limits limits;
static struct mark_seen seen; /* in the input */

static void
on_child(int signo)
{
	(void)signo; /* wakes poll */
}

static struct taglog *
view_of(const char *names, size_t group_max)
{
	struct view *v;
	int i, r;

	if (!names)
		return all;
	for (i = 0; i < nviews; i++)
		if (!strcmp(views[i].names, names))
			return views[i].log;
	v = &views[nviews];
	if ((r = pick_new(&v->pick, names)) < 0)
		die(EX_USAGE, 0, "rung=%s: expected the names of one to %d rungs, joined by +", names,
			PICK_NAMES);
	if ((r = taglog_new(&v->log, group_max)) < 0)
		die(EX_OSERR, r, "cannot start");
	v->names = names;
	nviews++;
	return v->log;
}

static void
setup_readers(void)
{
	size_t group_max = 0;
	int i, status = 0;

	for (i = 0; to && to[i]; i++) {
		if (nreaders == READERS_MAX - 1)
			die(EX_USAGE, 0, "more than %d readers", READERS_MAX - 1);
		if (reader_parse(&readers[nreaders++], to[i], false) < 0)
			die(EX_USAGE, 0, "--to %s: expected block, drop or detach, then \":fifo:PATH\", "
				"\":fd:N\" (3 or more) or \":exec:COMMAND\"", to[i]);
	}
	if (reader_parse(&readers[nreaders], stdout_spec ? stdout_spec : "block", true) < 0)
		die(EX_USAGE, 0, "--stdout %s: expected block, drop, detach or none", stdout_spec);
	if (readers[nreaders].policy != POLICY_NONE)
		nreaders++;
	if (!nreaders)
		die(EX_USAGE, 0, "nobody to write to: give --to, or leave --stdout none out");
	for (i = 0; i < nreaders; i++) {
		int r = reader_check(&readers[i]);

		if (r < 0 && !status)
			status = r == -ENOTTY || r == -EBADF ? EX_USAGE : EX_CANTCREAT;
		if (readers[i].policy != POLICY_BLOCK)
			group_max = limits.bytes;
	}
	if (status)
		exit(status);
	if ((i = taglog_new(&all, group_max)) < 0)
		die(EX_OSERR, i, "cannot start");
	for (i = 0; i < nreaders; i++)
		readers[i].log = view_of(readers[i].rungs, group_max);
}

static void
note_mark(const struct flv_tag *tag)
{
	struct mark m;

	if (tag->type == FLV_SCRIPT && mark_note(&seen, tag, &m) > 0 && m.kind == MARK_SESSION)
		events_about(m.stream, m.broadcast);
}

static int
feed_views(const struct flv_tag *tag, int64_t now)
{
	struct view *v;
	int r;

	for (v = views; v < views + nviews; v++) {
		buf_clear(&picked);
		/* A tag of one codec's bytes that makes no sense is nobody's rung. */
		if ((r = pick_tag(v->pick, tag, &picked)) < 0 && r != -EBADMSG)
			return r;
		if (pick_empty(v->pick) && !v->told)
			warning(0, "the stream has no rung \"%s\"", v->names);
		v->told = pick_empty(v->pick);
		if (buf_len(&picked) &&
			(r = taglog_put(v->log, buf_data(&picked), buf_len(&picked), now)) < 0)
			return r;
	}
	return 0;
}

/* One read and all the tags that it completed: 1, 0 at the end of the input, or -errno. */
static int
take_input(int64_t now)
{
	struct flv_tag tag;
	size_t room;
	uint8_t *p;
	ssize_t n;
	int r;

	if (!(p = taglog_room(all, &room)))
		return -ENOMEM;
	n = read(STDIN_FILENO, p, room);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	taglog_filled(all, (size_t)n);
	while ((r = taglog_next(all, &tag, now)) > 0) {
		note_mark(&tag);
		if ((r = feed_views(&tag, now)) < 0)
			return r;
	}
	return r < 0 ? r : n > 0;
}

static void
reap(int64_t now)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < nreaders; i++)
			reader_reap(&readers[i], pid, status, now);
}

static void
trim(void)
{
	int i;

	taglog_trim(all);
	for (i = 0; i < nviews; i++)
		taglog_trim(views[i].log);
}

/* May the input be read?  Not while a block reader is away or has enough to do. */
static bool
hungry(void)
{
	int i;

	for (i = 0; i < nreaders; i++)
		if (readers[i].policy == POLICY_BLOCK &&
			(readers[i].fd < 0 || cursor_bytes(&readers[i].cursor) > BLOCK_QUEUE)) {
			return false;
		}
	return true;
}

/* Has anybody not yet taken all there is?  Only a block reader is waited for beyond the queue. */
static bool
pending(bool late)
{
	int i;

	for (i = 0; i < nreaders; i++) {
		struct reader *r = &readers[i];

		if (late && r->policy != POLICY_BLOCK)
			continue;
		if (r->fd >= 0 ? cursor_bytes(&r->cursor) > 0 : r->policy == POLICY_BLOCK)
			return true;
	}
	return false;
}

static bool
all_gone(void)
{
	int i;

	for (i = 0; i < nreaders; i++)
		if (!readers[i].gone)
			return false;
	return true;
}

/* Wait for the input, for readers that were full, and for the death of the others. */
static bool
wait_for(bool input, int64_t now)
{
	struct pollfd p[READERS_MAX + 1] = { { input ? STDIN_FILENO : -1, POLLIN, 0 } };
	int i, n = 1, ms = 1000, left = sig_drain_left_ms();

	if (left >= 0 && left < ms)
		ms = left;
	for (i = 0; i < nreaders; i++) {
		struct reader *r = &readers[i];

		if (r->fd >= 0) {
			if (r->full && ms > 100)
				ms = 100; /* its lag is watched */
			p[n++] = (struct pollfd){ r->fd, r->full ? POLLOUT : 0, 0 };
		} else if (!r->gone && !r->finishing) {
			int wait = r->open_at > now ? (int)(r->open_at - now) : r->pid ? 1000 : 0;

			if (wait < ms)
				ms = wait;
		}
	}
	if (poll(p, (nfds_t)n, ms) < 0)
		return false;
	now = clock_mono_ms();
	for (i = 0, n = 1; i < nreaders; i++) {
		struct reader *r = &readers[i];

		if (r->fd < 0)
			continue;
		/* A pipe without readers says so; the next write to it then fails. */
		if ((p[n].revents & (POLLERR | POLLHUP)) && !r->full)
			r->dead = true;
		if (p[n].revents)
			r->full = false;
		n++;
	}
	return p[0].revents != 0;
}

static int
serve(int64_t now)
{
	int i, r = 0, e;

	for (i = 0; i < nreaders; i++) {
		struct reader *k = &readers[i];

		if ((e = reader_tend(k, &limits, now)) < 0 && !r)
			r = e;
		if (k->fd >= 0 && !k->full && (e = reader_write(k, &limits, now)) < 0 && !r)
			r = e;
		if (k->failed && !r)
			r = -EPIPE;
	}
	return r;
}

/* To the end of the input, and until everybody has what there was: the exit status. */
static int
run(void)
{
	int64_t now = clock_mono_ms(), eof_at = 0;
	bool eof = false;
	int status = EX_OK, r = serve(now);

	while (r == 0) {
		bool ready;

		if (eof && !eof_at)
			eof_at = now;
		if (eof && !pending(now - eof_at >= limits.ms))
			break;
		if (all_gone()) {
			complain(0, "no reader is left");
			return EX_TEMPFAIL;
		}
		ready = wait_for(!eof && hungry(), now);
		now = clock_mono_ms();
		if (!eof && sig_drain_left_ms() == 0)
			eof = true;
		if (ready && !eof && (r = take_input(now)) <= 0) {
			eof = true;
			if (r == -EBADMSG || r == -EMSGSIZE) {
				complain(0, r == -EMSGSIZE ? "standard input has a tag of more than 8 MB"
							: "standard input is not FLV, or is damaged");
				status = EX_DATAERR;
			} else if (r < 0) {
				complain(r, "cannot read standard input");
				status = EX_IOERR;
			}
		}
		reap(now);
		r = serve(now);
		trim();
	}
	if (r < 0)
		return EX_TEMPFAIL;
	if (status == EX_OK && !sig_draining() && mark_orphan(&seen)) {
		complain(0, "the input ended, but not the broadcast");
		return EX_TEMPFAIL;
	}
	if (status == EX_OK && !sig_draining() && taglog_pending(all)) {
		complain(0, "standard input ends inside a tag");
		return EX_DATAERR;
	}
	return status;
}

/* Close what is written to and wait for the commands: 10 s (2 when we failed), SIGTERM, 5 s, SIGKILL. */
static int
finish(int status)
{
	int64_t now = clock_mono_ms();
	bool was_draining = sig_draining(), over;
	int i;

	for (i = 0; i < nreaders; i++)
		reader_finish(&readers[i], status == EX_TEMPFAIL, now);
	for (;;) {
		now = clock_mono_ms();
		reap(now);
		over = true;
		for (i = 0; i < nreaders; i++) {
			if (sig_draining() && !was_draining)
				reader_hurry(&readers[i], now);
			reader_tend(&readers[i], &limits, now);
			over = over && reader_over(&readers[i]);
		}
		if (over)
			break;
		poll(NULL, 0, 100);
	}
	for (i = 0; i < nreaders; i++)
		if (readers[i].failed && status == EX_OK)
			status = EX_TEMPFAIL;
	return status;
}

int
main(int argc, char **argv)
{
	const char *live = getenv("LV_LIVE");
	struct sigaction sa = { .sa_handler = on_child };
	int i, status;

	opt_parse(argc, argv, options, "", 0, 0);
	if (queue_kb < 64 || queue_kb > 1 << 20 || queue_ms < 100 || queue_ms > 600000 || stall_ms < 100)
		die(EX_USAGE, 0, "--queue-kb takes 64 to 1048576, --queue-ms 100 to 600000, "
			"--stall-ms 100 or more");
	limits = (struct limits){ (size_t)queue_kb << 10, queue_ms, stall_ms, live && !strcmp(live, "1") };
	if (isatty(STDIN_FILENO))
		die(EX_USAGE, 0, "standard input is a terminal: FLV is expected there");
	sig_setup();
	sigemptyset(&sa.sa_mask);
	sigaction(SIGCHLD, &sa, NULL);
	setup_readers();
	status = finish(run());
	buf_free(&picked);
	for (i = 0; i < nviews; i++) {
		taglog_free(&views[i].log);
		pick_free(&views[i].pick);
	}
	taglog_free(&all);
	events_close(500);
	return status;
}
