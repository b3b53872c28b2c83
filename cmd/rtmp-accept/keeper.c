/*
 * rtmp-keeper STREAM PROGRAM [ARG...]: one broadcast, from its first publisher to the end after the
 * last one.  Started by rtmp-accept; descriptor 3 is its door; ipc.h has what is said there.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "clock.h"
#include "die.h"
#include "json.h"
#include "local.h"
#include "lean.h"
#include "note.h"
#include "passfd.h"
#include "sig.h"

#define DOORS 8           /* connections to our socket; the last that attached gets the notices */
#define NOTICES 64        /* kept while no door is there */
#define WAKE_MS 500
#define FLOW_MS 200  /* without media for so long, others are heard too */
#define LOOK_MS 200  /* and otherwise so often */
#define FIRST_MS 5000 /* for the first publisher, who is on his way from the door */
#define UNPUBLISH_GRACE_MS 1500 /* for a publisher that said goodbye */
#define SPARE_MS 5000     /* beyond the session's own watch over silence */
#define FLUSH_MS 10000    /* for the program to take what is queued at the end */
#define OLD_MS 1000       /* for the program of a keeper that crashed */

struct keeper keeper = { .media = -1 };

/* What is waited for: the doors by their numbers, then these. */
enum { LISTENER = DOORS, SIGNALS, MEDIA, PROGRAM, SOURCES };

static struct local listener = { .fd = -1 };
static int doors[DOORS], door = -1, signals = -1, run_dir = -1, sources = -1;
static struct keep_notice notices[NOTICES];
static int nnotices;
static bool said_started; /* broadcast.started */
static bool flowing;      /* the last wait brought media */
static int64_t looked_ms;
static int64_t flush_until;

int64_t
keeper_now(void)
{
	return clock_wall_ms() - keeper.hello.origin_ms;
}

static void
watch(int fd, uint32_t source, uint32_t events)
{
	epoll_ctl(sources, EPOLL_CTL_ADD, fd, &(struct epoll_event){ events, { .u32 = source } });
}

/* ---- what we say ---- */

/* wait: for a door that has no room for them. */
static void
flush_notices(bool wait)
{
	int i;

	for (i = 0; i < nnotices && door >= 0; i++)
		if (send(door, &notices[i], sizeof(*notices), (wait ? 0 : MSG_DONTWAIT) | MSG_NOSIGNAL) < 0)
			break;
	memmove(notices, notices + i, (size_t)(nnotices - i) * sizeof(*notices));
	nnotices -= i;
}

static void
notice(const char *what, bool session)
{
	struct keep_notice *n;
	struct json j;

	if (nnotices == NOTICES) { /* the oldest is about a session long gone */
		memmove(notices, notices + 1, sizeof(notices) - sizeof(*notices));
		nnotices--;
	}
	n = &notices[nnotices++];
	n->kind = KEEP_NOTICE;
	json_begin(&j, n->line, sizeof(n->line));
	json_str(&j, "notice", what);
	json_str(&j, "session", session ? keeper.session.session : NULL);
	json_str(&j, "broadcast", keeper.hello.broadcast);
	json_end(&j);
	flush_notices(false);
}

void
keeper_tell_state(void)
{
	struct keep_state s = { .kind = KEEP_STATE, .version = KEEP_VERSION, .publishing = keeper.media >= 0,
		.group = program_group(), .epoch = keeper.hello.epoch, .origin_ms = keeper.hello.origin_ms,
		.since_ms = keeper.since_ms, .kbps = keeper.kbps, .fps_tenths = keeper.fps_tenths,
		.problems = keeper.problems, .figures = keeper.figures };

	memcpy(s.stream, keeper.hello.stream, sizeof(s.stream));
	memcpy(s.broadcast, keeper.hello.broadcast, sizeof(s.broadcast));
	memcpy(s.user, keeper.hello.user, sizeof(s.user));
	memcpy(s.session, keeper.session.session, sizeof(s.session));
	memcpy(s.remote, keeper.remote, sizeof(s.remote));
	memcpy(s.key, keeper.session.key, sizeof(s.key));
	if (keeper.session.epoch)
		s.epoch = keeper.session.epoch;
	if (door >= 0)
		send(door, &s, sizeof(s), MSG_DONTWAIT | MSG_NOSIGNAL);
	note_write(&s, said_started, keeper.ending);
}

static void
begin_event(struct event *e, const char *name)
{
	event_begin(e, name);
	event_str(e, "user", *keeper.hello.user ? keeper.hello.user : NULL);
	event_int(e, "epoch", keeper.session.epoch ? keeper.session.epoch : keeper.hello.epoch);
	event_int(e, "origin_ms", keeper.hello.origin_ms);
}

/* ---- the publisher ---- */

static void
publisher_left(void)
{
	int64_t now = clock_mono_ms();
	int64_t grace = keeper.hello.grace_ms;

	close(keeper.media);
	keeper.media = -1;
	if (!strcmp(keeper.reason, "unpublished") && grace > UNPUBLISH_GRACE_MS)
		grace = UNPUBLISH_GRACE_MS;
	keeper.grace_until = now + grace;
	media_ended();
	notice("ended", true);
	if (!keeper.ending)
		media_gap();
	keeper_tell_state();
}

void
keeper_close_publisher(const char *reason)
{
	uint8_t record[RECORD_HEADER + sizeof(keeper.reason)] = { 0 };
	size_t n = strlen(reason);

	if (keeper.media < 0)
		return;
	if (n >= sizeof(keeper.reason))
		n = sizeof(keeper.reason) - 1;
	put_be32(record, (uint32_t)n);
	record[4] = RECORD_CLOSE;
	memcpy(record + RECORD_HEADER, reason, n);
	send(keeper.media, record, RECORD_HEADER + n, MSG_DONTWAIT | MSG_NOSIGNAL);
	memmove(keeper.reason, reason, n);
	keeper.reason[n] = '\0';
	publisher_left();
}

void
keeper_end(const char *reason)
{
	if (keeper.ending)
		return;
	keeper.ending = true;
	keeper_close_publisher(reason);
	if (reason != keeper.reason)
		snprintf(keeper.reason, sizeof(keeper.reason), "%s", reason);
	media_mark(MARK_END, NULL);
	keeper_tell_state();
	flush_until = clock_mono_ms() + FLUSH_MS;
}

static void
taken(int to, const struct keep_session *s, bool ok, uint32_t code, const char *reason)
{
	struct keep_taken m = { .kind = KEEP_TAKEN, .ok = ok, .code = code };

	memcpy(m.session, s->session, sizeof(m.session));
	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	send(to, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
take_publisher(int from, const struct keep_session *s, int media)
{
	struct event *e = &keeper.event;

	if (media < 0 || keeper.ending || keeper.media >= 0) {
		taken(from, s, false, keeper.media >= 0 ? IPC_BAD_NAME : IPC_FAILED,
			keeper.media >= 0 ? "already publishing" : "the broadcast is ending; try again");
		if (media >= 0)
			close(media);
		return;
	}
	keeper.session = *s;
	keeper.media = media;
	setsockopt(media, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0, FLOW_MS * 1000 }, sizeof(struct timeval));
	watch(media, MEDIA, EPOLLIN);
	keeper.heard_ms = clock_mono_ms();
	keeper.since_ms = clock_wall_ms();
	keeper.figures.sessions++;
	keeper.grace_until = 0;
	snprintf(keeper.remote, sizeof(keeper.remote), strchr(s->remote_ip, ':') ? "[%s]:%u" : "%s:%u",
		s->remote_ip, s->remote_port);
	taken(from, s, true, IPC_OK, "");
	notice("started", true);
	if (!said_started) {
		begin_event(e, "broadcast.started");
		event_send(e);
		said_started = true;
	}
	begin_event(e, "publish.started");
	event_str(e, "session", s->session);
	event_str(e, "remote", keeper.remote);
	event_str(e, "app", s->app);
	event_str(e, "client", *s->client ? s->client : NULL);
	event_send(e);
	media_begin();
	keeper_tell_state();
}

static void
yield(int to, const struct keep_yield *y)
{
	if (keeper.media >= 0 && clock_mono_ms() - keeper.heard_ms >= y->quiet_ms)
		keeper_close_publisher("another publisher took over");
	send(to, y, sizeof(*y), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A keeper of another version goes on with the broadcast: nothing is said of an end. */
static void
hand_on(void)
{
	keeper_close_publisher("the broadcast goes on with another version; connect again");
	note_remove();
	local_close(&listener);
	events_close(1000);
	exit(EX_OK);
}

/* ---- doors ---- */

static void
lose_door(int i)
{
	close(doors[i]);
	if (door == doors[i])
		door = -1;
	doors[i] = -1;
}

static void
hear_door(int i)
{
	union {
		uint32_t kind;
		struct keep_session session;
		struct keep_word word;
		struct keep_yield yield;
		uint8_t bytes[KEEP_MAX];
	} m;
	int media;
	ssize_t n = passfd_recv(doors[i], &m, sizeof(m), &media);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n < (ssize_t)sizeof(m.kind)) {
		lose_door(i);
		return;
	}
	if (m.kind == KEEP_ATTACH) {
		door = doors[i];
		keeper_tell_state();
		flush_notices(false);
	} else if (m.kind == KEEP_SESSION && n == sizeof(m.session)) {
		take_publisher(doors[i], &m.session, media);
		media = -1;
	} else if ((m.kind == KEEP_KICK || m.kind == KEEP_END) && n == sizeof(m.word)) {
		m.word.reason[sizeof(m.word.reason) - 1] = '\0';
		keeper_end(m.word.reason);
	} else if (m.kind == KEEP_YIELD && n == sizeof(m.yield)) {
		yield(doors[i], &m.yield);
	} else if (m.kind == KEEP_HAND) {
		hand_on();
	}
	if (media >= 0) /* of a door that speaks otherwise */
		close(media);
}

static void
take_door(void)
{
	int fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC), i = 0;

	if (fd < 0)
		return;
	while (i < DOORS && doors[i] >= 0)
		i++;
	if (i == DOORS) {
		close(fd);
		return;
	}
	doors[i] = fd;
	watch(fd, (uint32_t)i, EPOLLIN);
}

static void
open_socket(void)
{
	const struct keep_hello *h = &keeper.hello;
	char path[sizeof(h->run_dir) + 72];
	int r;

	run_dir = open(h->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/%s.sock", h->run_dir, h->stream);
	if ((r = local_listen(&listener, path, SOCK_SEQPACKET, 0600, DOORS)) < 0)
		/* the broadcast is worth more than a door that could be restarted */
		warning(r, "cannot make %s: no other door can adopt this broadcast", path);
	else
		watch(listener.fd, LISTENER, EPOLLIN);
	if (run_dir >= 0 && (r = note_open(run_dir, h)) < 0)
		warning(r, "cannot keep a note in %s: should this process die with its door, nobody ends this broadcast",
			h->run_dir);
}

/* ---- the life of the broadcast ---- */

static void
be_rid_of(pid_t group)
{
	int64_t until = clock_mono_ms() + OLD_MS;

	while (!kill(-group, 0) && clock_mono_ms() < until)
		poll(NULL, 0, 20);
	kill(-group, SIGKILL);
}

static void
goodbye(void)
{
	struct keep_word bye = { .kind = KEEP_BYE };
	struct event *e = &keeper.event;

	notice("broadcast-ended", false);
	flush_notices(true); /* what lv-auth is not told of is live for it for ever */
	if (said_started) { /* one without a publisher has nothing to end */
		begin_event(e, "broadcast.ended");
		event_str(e, "reason", keeper.reason);
		event_int(e, "dur_ms", keeper_now());
		event_send(e);
	}
	if (door >= 0 || !said_started)
		note_remove();
	else
		note_over();
	snprintf(bye.reason, sizeof(bye.reason), "%s", keeper.reason);
	if (door >= 0)
		send(door, &bye, sizeof(bye), MSG_NOSIGNAL);
	local_close(&listener);
	events_close(1000);
	exit(EX_OK);
}

static void
look_at_clock(int64_t now)
{
	if (keeper.media >= 0 && now - keeper.heard_ms > keeper.hello.silence_ms + SPARE_MS)
		keeper_close_publisher("the publisher fell silent");
	if (!keeper.ending && keeper.media < 0 && now >= keeper.grace_until)
		keeper_end(*keeper.reason ? keeper.reason : "the publisher did not come back");
	if (!keeper.ending)
		media_tick(now);
	program_keep_up(now);
	media_pump();
	if (nnotices)
		flush_notices(false); /* the door had no room for them */
	if (keeper.ending && (!media_waiting() || program_fd() < 0 || now >= flush_until))
		program_finish();
	if (program_gone())
		goodbye();
}

/* Its pipe, while there is something that it has no room for. */
static void
watch_program(void)
{
	static int watched = -1;
	int fd = media_waiting() ? program_fd() : -1;

	if (watched >= 0 && watched != fd)
		epoll_ctl(sources, EPOLL_CTL_DEL, watched, NULL); /* one that was closed has gone by itself */
	if (fd >= 0)
		watch(fd, PROGRAM, EPOLLOUT); /* another pipe may have the number of the last one */
	watched = fd;
}

static void
read_media(bool wait)
{
	int r = media_read(wait);

	flowing = r > 0;
	if (r == -2 && !keeper.figures.pictures && !keeper.figures.sounds)
		keeper_end(keeper.reason); /* nothing ever came that could be waited for */
	else if (r == -2)
		keeper_close_publisher(keeper.reason);
	else if (r < 0)
		publisher_left();
}

/* All that there is to wait for. */
static void
look_around(int64_t now)
{
	struct epoll_event e[SOURCES];
	bool ready[SOURCES] = { false };
	struct signalfd_siginfo si;
	int i, n;

	looked_ms = now;
	watch_program();
	if ((n = epoll_wait(sources, e, SOURCES, program_wait_ms(now, WAKE_MS))) < 0)
		return;
	for (i = 0; i < n; i++)
		ready[e[i].data.u32] = true;
	while (ready[SIGNALS] && read(signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			program_reap();
		else
			keeper_end("stopped");
	}
	if (ready[MEDIA] && keeper.media >= 0)
		read_media(false);
	for (i = 0; i < DOORS; i++)
		if (ready[i] && doors[i] >= 0)
			hear_door(i);
	if (ready[LISTENER])
		take_door();
}

/*
 * While media flows and the program takes it, the wait is in the call that reads; doors and signals
 * are heard at a pause, and every so often.
 */
static void
turn(void)
{
	int64_t now = clock_mono_ms();

	if (flowing && keeper.media >= 0 && program_fd() >= 0 && !media_waiting() && now < looked_ms + LOOK_MS)
		read_media(true);
	else
		look_around(now);
	look_at_clock(clock_mono_ms());
	events_flush();
}

static void
open_signals(void)
{
	sigset_t set;

	sig_pipe();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if ((signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		die(EX_OSERR, -errno, "cannot watch for signals");
	watch(signals, SIGNALS, EPOLLIN);
}

int
main(int argc, char **argv)
{
	struct keep_hello *h = &keeper.hello;
	struct rlimit lim;
	ssize_t n;
	int i, r;

	lean();
	die_prog = "rtmp-keeper";
	n = argc < 3 ? -1 : recv(IPC_FD, h, sizeof(*h), 0);
	if (n < (ssize_t)(offsetof(struct keep_hello, version) + sizeof(h->version)) || h->kind != KEEP_HELLO)
		die(EX_USAGE, 0, "is started by rtmp-accept");
	if (n != sizeof(*h) || h->version != KEEP_VERSION)
		die(EX_CONFIG, 0, "is of another version than the rtmp-accept that runs: upgrade or restart that one");
	fcntl(IPC_FD, F_SETFD, FD_CLOEXEC);
	die_verbose = h->verbose;
	die_quiet = h->quiet;
	keeper.program = argv + 2;
	for (i = 0; i < DOORS; i++)
		doors[i] = -1;
	doors[0] = door = IPC_FD;
	if (!getrlimit(RLIMIT_NOFILE, &lim) && h->nofile > 0 && (rlim_t)h->nofile < lim.rlim_max) {
		lim.rlim_cur = (rlim_t)h->nofile;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	for (i = 0; i < 4 && *h->events[i]; i++) {
		if (strspn(h->events[i], "0123456789") == strlen(h->events[i]))
			fcntl((int)strtol(h->events[i], NULL, 10), F_SETFD, FD_CLOEXEC);
		if ((r = events_open(h->events[i])) < 0)
			warning(r, "cannot write events to %s", h->events[i]);
	}
	events_about(h->stream, h->broadcast);
	if ((sources = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die(EX_OSERR, -errno, "cannot wait for anything");
	watch(IPC_FD, 0, EPOLLIN);
	open_signals();
	open_socket();
	if ((r = media_open(run_dir)) < 0)
		die(EX_OSERR, r, "cannot keep the media of %s", h->stream);
	keeper.began_ms = clock_mono_ms();
	keeper.grace_until = keeper.began_ms + (h->resumed || h->grace_ms > FIRST_MS ? h->grace_ms : FIRST_MS);
	said_started = h->resumed;
	if (h->group)
		be_rid_of(h->group);
	if (h->resumed) {
		media_mark(MARK_SESSION, NULL);
		media_gap();
	}
	keeper_tell_state();
	for (;;)
		turn();
}
