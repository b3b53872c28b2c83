#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "tee.h"

#define FIFO_RETRY_MS 100   /* a FIFO without a reader is tried again */
#define RESTART_MS 200      /* doubled at each failure */
#define RESTART_MAX_MS 30000
#define STEADY_MS 60000     /* after this long the failures are forgotten */
#define END_MS 10000        /* a command's time to end after its input has */
#define TERM_MS 5000        /* and after SIGTERM */
#define FAILED_MS 2000      /* END_MS when we end early: somebody waits to start us again */
#define HURRY_MS 4000       /* the same when we were told to end: before our parent loses patience */

static const char *const policies[] = { "block", "drop", "detach", "none" };

static int
parse_policy(const char *s, size_t n, enum policy *policy)
{
	size_t i;

	for (i = 0; i < sizeof(policies) / sizeof(*policies); i++)
		if (strlen(policies[i]) == n && !memcmp(policies[i], s, n)) {
			*policy = (enum policy)i;
			return 0;
		}
	return -EINVAL;
}

static int
parse_target(struct reader *r, const char *s)
{
	char *end;
	long n;

	r->name = s;
	if (!strncmp(s, "fifo:", 5) && s[5]) {
		r->target = TARGET_FIFO;
		r->what = s + 5;
		return 0;
	}
	if (!strncmp(s, "exec:", 5) && s[5]) {
		r->target = TARGET_EXEC;
		r->what = s + 5;
		return 0;
	}
	if (strncmp(s, "fd:", 3) || !s[3])
		return -EINVAL;
	n = strtol(s + 3, &end, 10);
	if (*end || n < 3 || n > 1 << 20)
		return -EINVAL;
	r->target = TARGET_FD;
	r->given = (int)n;
	return 0;
}

/* POLICY[,rung=A+B]:TARGET, or without the target for standard output. */
int
reader_parse(struct reader *r, const char *text, bool is_stdout)
{
	size_t n = strcspn(text, ",:");
	char *spec;

	memset(r, 0, sizeof(*r));
	if (!(r->spec = spec = strdup(text)))
		return -ENOMEM;
	r->fd = -1;
	if (parse_policy(spec, n, &r->policy) < 0 || (r->policy == POLICY_NONE && !is_stdout))
		return -EINVAL;
	spec += n;
	if (*spec == ',') {
		if (strncmp(spec, ",rung=", 6))
			return -EINVAL;
		r->rungs = spec + 6;
		spec += strcspn(spec, ":");
	}
	if (is_stdout) {
		r->name = "standard output";
		r->target = TARGET_FD;
		r->given = STDOUT_FILENO;
		return *spec ? -EINVAL : 0;
	}
	if (*spec != ':')
		return -EINVAL;
	*spec++ = '\0';
	return parse_target(r, spec);
}

/* What can be known to be wrong before anything is started: 0, or said and -errno. */
int
reader_check(struct reader *r)
{
	struct stat st;

	if (r->target == TARGET_FD) {
		if (fcntl(r->given, F_GETFD) < 0 || (fcntl(r->given, F_GETFL) & O_ACCMODE) == O_RDONLY) {
			complain(-EBADF, "cannot write to %s", r->name);
			return -EBADF;
		}
		if (isatty(r->given)) {
			complain(0, "%s is a terminal: media is never written to one%s", r->name,
				r->given == STDOUT_FILENO ? " (--stdout none leaves it out)" : "");
			return -ENOTTY;
		}
		if (r->given != STDOUT_FILENO) /* no command of ours is to hold it open */
			fcntl(r->given, F_SETFD, FD_CLOEXEC);
	} else if (r->target == TARGET_FIFO) {
		if (stat(r->what, &st) < 0) {
			complain(-errno, "cannot open %s (\"mkfifo %s\" makes it)", r->what, r->what);
			return -ENOENT;
		}
		if (!S_ISFIFO(st.st_mode)) {
			complain(0, "cannot open %s: it is not a FIFO", r->what);
			return -EINVAL;
		}
	}
	return 0;
}

static void
begin_event(const struct reader *r, struct event *ev, const char *name)
{
	event_begin(ev, name);
	event_str(ev, "reader", r->name);
	event_str(ev, "policy", policies[r->policy]);
}

static void
tell_drops(struct reader *r, bool all)
{
	struct cursor_drop d;
	struct event ev;

	if (!r->cursor.log || !cursor_dropped(&r->cursor, all, &d))
		return;
	warning(0, "%s was too slow: %lld frames (%.1f s) dropped", r->name, (long long)d.frames,
		(double)d.dur_ms / 1000);
	begin_event(r, &ev, "media.dropped");
	event_str(&ev, "reason", "slow reader");
	event_int(&ev, "frames", d.frames);
	event_int(&ev, "size_bytes", d.bytes);
	event_int(&ev, "dur_ms", d.dur_ms);
	event_send(&ev);
}

static int
open_exec(struct reader *r)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)r->what, NULL };
	int p[2], fds[3] = { -1, STDERR_FILENO, STDERR_FILENO }, e;
	struct child_spec spec = { .argv = argv, .fds = fds, .nfds = 3, .new_session = true };

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	fdio_pipe_grow(p[1]);
	fds[0] = p[0];
	e = child_start(&r->pid, &spec);
	close(p[0]);
	if (e < 0) {
		close(p[1]);
		r->pid = 0;
		return e;
	}
	fcntl(p[1], F_SETFL, O_NONBLOCK); /* a pipe of our own: the child has the other end only */
	r->signals = 0;
	r->kill_at = 0;
	return p[1];
}

static int
open_target(struct reader *r)
{
	int fd;

	if (r->target == TARGET_EXEC)
		return open_exec(r);
	if (r->target == TARGET_FIFO) {
		fd = open(r->what, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0 && r->unread) {
			/* Its reader, which we cut off, is to see the end first: once it has taken what is
			 * in the pipe, and a while has passed without us. */
			int left = 0;

			r->unread = ioctl(fd, FIONREAD, &left) == 0 && left > 0;
			close(fd);
			return -ENXIO;
		}
		if (fd < 0 && errno == ENXIO)
			r->unread = false; /* it has gone, and with it what it had not read */
		if (fd < 0)
			return -errno;
		fdio_pipe_grow(fd);
		return fd;
	}
	fdio_pipe_grow(r->given);
	fd = fdio_reopen(r->given, O_WRONLY | O_APPEND, &r->socket);
	if (fd < 0)
		return fd;
	/* Our copy is the only one from here on, so that the reader sees the end when we close it. */
	if (r->given == STDOUT_FILENO) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null >= 0) {
			dup2(null, STDOUT_FILENO);
			close(null);
		}
	} else {
		close(r->given);
	}
	return fd;
}

static int64_t
backoff(struct reader *r)
{
	int64_t ms = (int64_t)RESTART_MS << (r->tries < 10 ? r->tries : 10);

	r->tries++;
	return ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS;
}

static int
try_open(struct reader *r, int64_t now)
{
	struct event ev;
	int fd = open_target(r);

	if (fd < 0) {
		r->open_at = now + FIFO_RETRY_MS;
		if (fd == -ENXIO || (fd == -ENOENT && r->policy != POLICY_BLOCK))
			return 0; /* nobody reads it yet */
		warning(fd, "cannot open %s", r->name);
		if (r->policy == POLICY_BLOCK)
			return -EPIPE;
		if (r->target == TARGET_FD)
			r->gone = true;
		r->open_at = now + backoff(r);
		return 0;
	}
	r->fd = fd;
	r->up_at = now;
	r->full = r->stalled = r->dead = false;
	if (cursor_attach(&r->cursor, r->log) < 0) {
		complain(-ENOMEM, "cannot feed %s", r->name);
		return -EPIPE;
	}
	begin_event(r, &ev, "reader.attached");
	event_bool(&ev, "again", r->waited);
	event_send(&ev);
	r->waited = true;
	return 0;
}

static void
signal_child(struct reader *r, int signo, int64_t again)
{
	if (kill(-r->pid, signo) < 0)
		kill(r->pid, signo); /* not yet the leader of its group */
	r->signals++;
	r->kill_at = again;
}

/* The reader has gone, or is cut off: -EPIPE when that ends us. */
static int
lose(struct reader *r, const char *reason, int64_t now)
{
	struct event ev;

	tell_drops(r, true);
	begin_event(r, &ev, "reader.detached");
	event_str(&ev, "reason", reason);
	event_int(&ev, "queued_bytes", (int64_t)cursor_bytes(&r->cursor));
	event_send(&ev);
	close(r->fd);
	r->fd = -1;
	cursor_detach(&r->cursor);
	if (r->pid)
		signal_child(r, SIGTERM, now + TERM_MS);
	if (r->policy == POLICY_BLOCK) {
		complain(0, "%s %s", r->name, reason);
		return -EPIPE;
	}
	warning(0, "%s %s", r->name, reason);
	if (now - r->up_at > STEADY_MS)
		r->tries = 0;
	if (r->target == TARGET_FD)
		r->gone = true;
	r->open_at = now + (r->target == TARGET_EXEC ? backoff(r) : FIFO_RETRY_MS);
	return 0;
}

static const char *
unwritable(int err)
{
	static char text[128];

	snprintf(text, sizeof(text), "cannot be written: %s", strerror(-err));
	return text;
}

/* Nothing was taken for long: a block reader is named, and ends a live pipeline. */
static int
watch(struct reader *r, const struct limits *l, int64_t now)
{
	bool live = l->live && !r->finishing;
	struct event ev;

	if (r->stalled || !r->full || now - r->full_since < l->stall_ms)
		return 0;
	r->stalled = true;
	warning(0, "%s has taken nothing for %d ms and holds up everything", r->name, l->stall_ms);
	begin_event(r, &ev, live ? "output.stalled" : "reader.stalled");
	event_int(&ev, "stall_ms", l->stall_ms);
	event_send(&ev);
	return live ? -ETIMEDOUT : 0;
}

int
reader_write(struct reader *r, const struct limits *l, int64_t now)
{
	const uint8_t *p;
	ssize_t got;
	size_t n;

	if (r->fd < 0)
		return 0;
	while ((n = cursor_peek(&r->cursor, &p)) > 0) {
		got = fdio_write_now(r->fd, r->socket, p, n);
		if (got == -EAGAIN) {
			if (!r->full)
				r->full_since = now;
			r->full = true;
			return r->policy == POLICY_BLOCK ? watch(r, l, now) : 0;
		}
		if (got < 0)
			return lose(r, got == -EPIPE ? "has gone" : unwritable((int)got), now);
		if (r->stalled)
			inform("%s goes on", r->name);
		r->full = r->stalled = false;
		cursor_took(&r->cursor, (size_t)got);
		if (r->cursor.dropped_frames)
			tell_drops(r, false);
		if ((size_t)got < n) { /* full now: the next poll says when it is not */
			r->full = true;
			r->full_since = now;
			return 0;
		}
	}
	r->full = false;
	return 0;
}

/* Everything about a reader that time brings: opening, cutting off, killing. */
int
reader_tend(struct reader *r, const struct limits *l, int64_t now)
{
	if (r->pid && r->kill_at && now >= r->kill_at && r->signals < 2)
		signal_child(r, r->signals ? SIGKILL : SIGTERM, now + TERM_MS);
	if (r->fd < 0) {
		if (r->gone || r->finishing || r->pid || now < r->open_at)
			return 0;
		if (r->policy == POLICY_BLOCK) {
			if (!r->wait_since)
				r->wait_since = now;
			if (!r->stalled && now - r->wait_since >= l->stall_ms) {
				r->stalled = true;
				warning(0, "waiting for a reader of %s", r->name);
			}
		}
		return try_open(r, now);
	}
	if (r->dead)
		return lose(r, "has gone", now);
	if (r->policy == POLICY_BLOCK)
		return r->full ? watch(r, l, now) : 0;
	if (cursor_bytes(&r->cursor) <= l->bytes && cursor_lag(&r->cursor, now) <= l->ms)
		return 0;
	if (r->policy == POLICY_DETACH) {
		r->unread = true;
		return lose(r, "takes nothing or too little: detached", now);
	}
	cursor_shed(&r->cursor);
	return 0;
}

void
reader_reap(struct reader *r, pid_t pid, int status, int64_t now)
{
	if (r->pid != pid)
		return;
	r->pid = 0;
	if (r->finishing) {
		if (status == 0 || (r->signals && r->policy != POLICY_BLOCK))
			return;
		r->failed = r->policy == POLICY_BLOCK;
		if (WIFEXITED(status))
			warning(0, "%s exited with status %d", r->name, WEXITSTATUS(status));
		else
			warning(0, "%s died of signal %d", r->name, WTERMSIG(status));
		return;
	}
	if (r->fd < 0) /* cut off before: it may start again when its time has come */
		return;
	r->failed = lose(r, "has ended", now) < 0;
}

void
reader_finish(struct reader *r, bool early, int64_t now)
{
	bool stuck = early && r->stalled;

	r->finishing = true;
	if (r->fd >= 0) {
		cursor_shed(&r->cursor); /* what it did not take in time counts as dropped */
		tell_drops(r, true);
		if (close(r->fd) < 0 && r->policy == POLICY_BLOCK) {
			complain(-errno, "cannot write to %s", r->name);
			r->failed = true;
		}
		r->fd = -1;
		cursor_detach(&r->cursor);
	}
	if (r->pid && !r->kill_at)
		r->kill_at = now + (stuck ? 0 : early ? FAILED_MS : END_MS);
}

void
reader_hurry(struct reader *r, int64_t now)
{
	if (r->pid && !r->signals)
		signal_child(r, SIGTERM, now + HURRY_MS);
}

bool
reader_over(const struct reader *r)
{
	return r->fd < 0 && !r->pid;
}
