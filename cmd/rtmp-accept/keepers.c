/* The keepers of broadcasts: started, adopted from an earlier door, replaced when they crash. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "health.h"
#include "keepers.h"
#include "mark.h"
#include "note.h"
#include "passfd.h"

#define CRASHES 3         /* in a row within CRASH_MS each: the broadcast is given up */
#define CRASH_MS 10000
#define QUIET_MS 1000 /* a publisher that sent nothing for so long gives way to a newcomer */
#define ANSWER_MS 2000    /* for an adopted keeper to say what it keeps */
#define EVENTS_MAX 4
#define BURY_MS 250 /* until the lock of a dead keeper has gone with it */

struct keeper *keepers;
static int64_t sync_at; /* a coprocess waits for "sync" until adopted keepers have answered */
static int64_t revive_at; /* 0, or when dead keepers' notes are looked for */

static int start(struct keeper *);

void
keeper_forget(struct keeper *k)
{
	struct keeper **at = &keepers;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	if (k->fd >= 0) {
		ev_io_stop(door.loop, &k->io);
		close(k->fd);
	}
	free(k);
}

static void
say_word(struct keeper *k, uint32_t kind, const char *reason)
{
	struct keep_word m = { .kind = kind };

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	k->leaving = true;
	send(k->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
say_problems_ended(const struct keeper *k)
{
	struct event e;
	int p;

	for (p = 0; p < HEALTH_PROBLEMS; p++) {
		if (!(k->state.problems & 1U << p))
			continue;
		event_begin(&e, "problem.ended");
		event_str(&e, "stream", k->hello.stream);
		event_str(&e, "broadcast", k->hello.broadcast);
		event_str(&e, "session", k->state.session);
		event_str(&e, "problem", health_names[p]);
		event_send(&e);
	}
}

/* What a keeper would have said of its end, had it lived. */
void
keeper_say_ended(const struct keeper *k, bool broadcast)
{
	const struct keep_state *s = &k->state;
	struct event e;

	if (s->kind && s->publishing) {
		say_problems_ended(k);
		auth_notice("ended", s->session, s->broadcast);
		event_begin(&e, "publish.ended");
		event_str(&e, "stream", k->hello.stream);
		event_str(&e, "broadcast", k->hello.broadcast);
		event_str(&e, "session", s->session);
		event_str(&e, "remote", s->remote);
		event_str(&e, "reason", "the keeper died");
		event_send(&e);
	}
	if (!broadcast || ended_has(k->hello.broadcast))
		return;
	ended_add(k->hello.broadcast);
	auth_notice("broadcast-ended", NULL, k->hello.broadcast);
	event_begin(&e, "broadcast.ended");
	event_str(&e, "stream", k->hello.stream);
	event_str(&e, "broadcast", k->hello.broadcast);
	event_str(&e, "reason", "the keeper died");
	event_send(&e);
}

/* Whether it gave way or not, the coprocess judges the newcomer again. */
static void
yielded(struct keeper *k)
{
	if (*k->yielding)
		clients_yielded(k->yielding);
	*k->yielding = '\0';
}

/* A keeper that ended without a word: another one waits for the publisher and ends it properly. */
void
keeper_crashed(struct keeper *k)
{
	int64_t now = clock_mono_ms();
	struct event e;
	bool begun = k->hello.resumed || *k->state.session, ours;
	int r;

	k->crashes = now - k->started_ms < CRASH_MS ? k->crashes + 1 : 1;
	ours = note_claim(door.run_dir, k->pid) || !k->noted;
	complain(0, "the keeper of %s died; %s", k->hello.stream, !begun ? "nobody published yet"
			: !ours ? "another door sees to it"
			: k->crashes >= CRASHES ? "giving up" : "starting another");
	if (*k->taking)
		clients_taken(k->taking, false, IPC_FAILED, "the broadcast was interrupted; try again");
	*k->taking = '\0';
	if (begun && ours)
		keeper_say_ended(k, k->crashes >= CRASHES);
	yielded(k); /* the one in the way is gone */
	if (!begun || !ours || k->crashes >= CRASHES) {
		keeper_forget(k);
		return;
	}
	k->hello.resumed = 1;
	k->hello.group = k->state.group;
	if (k->leaving)
		k->hello.grace_ms = 0;
	memset(&k->state, 0, sizeof(k->state));
	event_begin(&e, "keeper.restarted");
	event_str(&e, "stream", k->hello.stream);
	event_str(&e, "broadcast", k->hello.broadcast);
	event_send(&e);
	if ((r = start(k)) < 0) {
		complain(r, "cannot start the keeper of %s", k->hello.stream);
		keeper_say_ended(k, true);
		keeper_forget(k);
	}
}

/* Of another version: what it tells is understood, but it is given no publisher. */
static bool
is_foreign(const struct keeper *k)
{
	return k->state.kind && k->state.version != KEEP_VERSION;
}

static void
say_foreign(const struct keep_state *s)
{
	struct event e;

	warning(0, "the keeper of %s is of another version (%u, ours is %d): its publisher goes on, and who publishes "
		"there after him goes to one of ours", s->stream, s->version, KEEP_VERSION);
	event_begin(&e, "keeper.mismatched");
	event_str(&e, "stream", s->stream);
	event_str(&e, "broadcast", s->broadcast);
	event_int(&e, "version", s->version);
	event_int(&e, "expected", KEEP_VERSION);
	event_send(&e);
}

/* All that we need to know to replace a keeper that we did not start. */
void
keeper_name(struct keep_hello *h, const struct keep_state *s)
{
	h->resumed = 1;
	memcpy(h->stream, s->stream, sizeof(s->stream));
	memcpy(h->broadcast, s->broadcast, sizeof(s->broadcast));
	memcpy(h->user, s->user, sizeof(s->user));
	h->epoch = s->epoch;
	h->origin_ms = s->origin_ms;
}

static void
take_state(struct keeper *k, const struct keep_state *s)
{
	bool first = !k->state.kind;

	memset(&k->state, 0, sizeof(k->state));
	memcpy(&k->state, s, s->version == KEEP_VERSION ? sizeof(*s) : KEEP_HEAD);
	if (first)
		k->noted = note_exists(door.run_dir, k->pid);
	if (!first || *k->hello.stream)
		return;
	keeper_name(&k->hello, s);
	inform("adopted the broadcast of %s", s->stream);
	if (is_foreign(k))
		say_foreign(s);
	if (s->publishing)
		auth_live(s);
}

static void
on_packet(struct ev_loop *loop, ev_io *w, int events)
{
	struct keeper *k = w->data;
	union {
		uint32_t kind;
		struct keep_state state;
		struct keep_taken taken;
		struct keep_notice notice;
		uint8_t bytes[KEEP_MAX];
	} m;
	ssize_t n = recv(k->fd, &m, sizeof(m), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ev_io_stop(loop, w);
		close(k->fd);
		k->fd = -1;
		if (!k->bye && !*k->hello.stream) { /* before it said whom it keeps; its note does */
			keeper_forget(k);
			revive_at = clock_mono_ms() + BURY_MS;
		} else if (k->bye) {
			keeper_forget(k);
		} else {
			keeper_crashed(k);
		}
		return;
	}
	if (m.kind == KEEP_STATE && (n < (ssize_t)KEEP_HEAD || m.state.version < KEEP_OLDEST)) {
		warning(0, "a keeper in %s is older than any that we know: its broadcast goes on until its "
			"publisher leaves", door.run_dir);
		keeper_forget(k);
	} else if (m.kind == KEEP_STATE && (n == sizeof(m.state) || m.state.version != KEEP_VERSION)) {
		take_state(k, &m.state);
		keepers_tick(clock_mono_ms());
	} else if (m.kind == KEEP_YIELD) {
		yielded(k);
	} else if (m.kind == KEEP_TAKEN && n == sizeof(m.taken)) {
		*k->taking = '\0';
		clients_taken(m.taken.session, m.taken.ok, m.taken.code, m.taken.reason);
	} else if (m.kind == KEEP_NOTICE && n == sizeof(m.notice)) {
		auth_line(m.notice.line);
	} else if (m.kind == KEEP_BYE) {
		k->bye = true;
		if (*k->hello.stream)
			ended_add(k->hello.broadcast);
	}
}

static void
watch(struct keeper *k, int fd)
{
	k->fd = fd;
	ev_io_init(&k->io, on_packet, fd, EV_READ);
	k->io.data = k;
	ev_io_start(door.loop, &k->io);
}

/* Descriptors of --events become 4 and on in the keeper; paths are opened by itself. */
static int
event_descriptors(struct keep_hello *h, int *fds)
{
	int i, n = 4;
	char *end;
	long fd;

	for (i = 0; i < EVENTS_MAX && door.events && door.events[i]; i++) {
		fd = strtol(door.events[i], &end, 10);
		if (*end || end == door.events[i]) {
			snprintf(h->events[i], sizeof(h->events[i]), "%s", door.events[i]);
		} else {
			snprintf(h->events[i], sizeof(h->events[i]), "%d", n);
			fds[n++] = (int)fd;
		}
	}
	return n;
}

static int
start(struct keeper *k)
{
	int pair[2], fds[4 + EVENTS_MAX] = { -1, STDERR_FILENO, STDERR_FILENO, -1 }, n, i, nargs = 0, r;
	char path[4096];
	char **argv;
	pid_t pid;

	if ((r = child_beside(path, sizeof(path), "libexec/lv", "rtmp-keeper")) < 0)
		return r;
	while (door.program[nargs])
		nargs++;
	if (!(argv = calloc((size_t)nargs + 3, sizeof(*argv))))
		return -ENOMEM;
	argv[0] = path;
	argv[1] = k->hello.stream;
	for (i = 0; i < nargs; i++)
		argv[i + 2] = door.program[i];
	n = event_descriptors(&k->hello, fds);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = -errno;
	} else {
		fds[3] = pair[1];
		if (send(pair[0], &k->hello, sizeof(k->hello), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			r = -errno;
		else
			/* Its own session: a Ctrl-C on our terminal is for us to pass on, politely. */
			r = child_start(&pid, &(struct child_spec){ .argv = argv, .fds = fds, .nfds = n,
				.new_session = true });
		close(pair[1]);
		if (r < 0)
			close(pair[0]);
	}
	free(argv);
	if (r < 0)
		return r;
	k->started_ms = clock_mono_ms();
	k->pid = pid;
	k->noted = false;
	watch(k, pair[0]);
	return 0;
}

void
keeper_hello(struct keep_hello *h)
{
	h->kind = KEEP_HELLO;
	h->version = KEEP_VERSION;
	h->grace_ms = (uint32_t)door.grace_ms;
	h->lag_ms = (uint32_t)door.lag_ms;
	h->queue_bytes = (uint32_t)door.queue_kb << 10;
	h->silence_ms = (uint32_t)door.silence_ms;
	h->health_ms = (uint32_t)door.health_ms;
	h->verbose = die_verbose;
	h->quiet = die_quiet;
	h->codecs = door.codecs;
	h->nofile = door.nofile;
	snprintf(h->run_dir, sizeof(h->run_dir), "%s", door.run_dir);
}

struct keeper *
keeper_find(const char *stream)
{
	struct keeper *k = keepers;

	while (k && (k->leaving || k->bye || strcmp(k->hello.stream, stream)))
		k = k->next;
	return k;
}

static int
new_keeper(const struct verdict *v, const struct keeper *before, struct keeper **out)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->fd = -1;
	k->next = keepers;
	keepers = k;
	keeper_hello(&k->hello);
	k->hello.resumed = v->resumed || before;
	k->hello.group = before ? before->state.group : 0;
	k->hello.epoch = v->epoch;
	k->hello.origin_ms = v->origin_ms;
	memcpy(k->hello.stream, v->stream, sizeof(v->stream));
	memcpy(k->hello.broadcast, v->broadcast, sizeof(v->broadcast));
	memcpy(k->hello.user, v->user, sizeof(v->user));
	memcpy(k->hello.env, v->env, v->env_len);
	k->hello.env_len = v->env_len;
	if ((r = start(k)) < 0) {
		keeper_forget(k);
		return r;
	}
	*out = k;
	return 0;
}

/* A keeper of ours in place of one of another version, which leaves. */
static int
replace(struct keeper *old, const struct verdict *v, struct keeper **out)
{
	struct keep_attach m = { KEEP_HAND };
	struct event e;
	int r;

	if (old->state.publishing)
		return -EBUSY;
	if ((r = new_keeper(v, old, out)) < 0)
		return r;
	send(old->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	keeper_forget(old);
	event_begin(&e, "keeper.restarted");
	event_str(&e, "stream", v->stream);
	event_str(&e, "broadcast", v->broadcast);
	event_send(&e);
	return 0;
}

static int
send_session(struct keeper *k, const struct keep_session *m, int media)
{
	ssize_t r = passfd_send(k->fd, m, sizeof(*m), media);

	if (r < 0)
		return (int)r;
	memcpy(k->taking, m->session, sizeof(k->taking));
	return 0;
}

int
keepers_take(const struct verdict *v, struct keep_session *m, int media)
{
	struct keeper *k = keeper_find(v->stream);
	int r;

	if (v->resumed && ended_has(v->broadcast))
		return -ESTALE;
	ended_not(v->broadcast); /* a coprocess that gives a name again has it begin again */
	if (k && strcmp(k->hello.broadcast, v->broadcast)) {
		say_word(k, KEEP_END, "a new broadcast began");
		k->replaced = true;
		k = NULL;
	}
	if (!k && (r = new_keeper(v, NULL, &k)) < 0)
		return r;
	if (is_foreign(k) && (r = replace(k, v, &k)) < 0)
		return r;
	return send_session(k, m, media);
}

bool
keepers_yield(const char *stream, const char *session)
{
	struct keep_yield m = { KEEP_YIELD, door.takeover ? 0 : QUIET_MS };
	struct keeper *k = keeper_find(stream);

	if (!k || *k->yielding || send(k->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	snprintf(k->yielding, sizeof(k->yielding), "%s", session);
	return true;
}

bool
keepers_kick(const char *stream, const char *session, const uint8_t *key, const char *reason)
{
	struct keeper *k = keepers;

	while (k && (k->leaving || k->bye || (stream && strcmp(k->hello.stream, stream)) ||
			(session && (!k->state.publishing || strcmp(k->state.session, session))) ||
			(key && (!k->state.publishing || memcmp(k->state.key, key, sizeof(k->state.key))))))
		k = k->next;
	if (k)
		say_word(k, KEEP_KICK, reason);
	return k != NULL;
}

void
keepers_each(void (*each)(const struct keep_state *, void *), void *ctx)
{
	const struct keeper *k;

	for (k = keepers; k; k = k->next)
		if (k->state.kind && !k->bye && !k->replaced)
			each(&k->state, ctx);
}

void
keepers_live(void)
{
	struct keeper *k;

	for (k = keepers; k; k = k->next)
		if (k->state.kind && k->state.publishing)
			auth_live(&k->state);
	ended_tell();
	sync_at = clock_mono_ms() + ANSWER_MS;
	keepers_tick(clock_mono_ms());
}

/* "sync" follows when every keeper that was adopted has said what it keeps. */
void
keepers_tick(int64_t now)
{
	const struct keeper *k = keepers;

	if (revive_at && now >= revive_at && !sync_at) {
		revive_at = 0;
		keepers_revive();
	}
	if (!sync_at)
		return;
	while (k && k->state.kind)
		k = k->next;
	if (k && now < sync_at)
		return;
	sync_at = 0;
	keepers_revive();
	auth_sync();
	clients_put_held();
}

bool
keepers_unheard(void)
{
	return sync_at != 0;
}

void
keepers_end(const char *reason)
{
	struct keeper *k;

	for (k = keepers; k; k = k->next)
		if (!k->leaving)
			say_word(k, KEEP_END, reason);
}

void
keepers_leave(void)
{
	while (keepers)
		keeper_forget(keepers);
}

int
keepers_count(void)
{
	const struct keeper *k;
	int n = 0;

	for (k = keepers; k; k = k->next)
		n++;
	return n;
}

static int
adopt(int dir, const char *file)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct keep_attach m = { KEEP_ATTACH };
	struct ucred cred = { 0 };
	struct keeper *k;
	int fd;

	/* A socket's name is short: the folder is said by its descriptor. */
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", dir, file) >=
		(int)sizeof(sun.sun_path))
		return 0;
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
		send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == ECONNREFUSED)
			unlinkat(dir, file, 0); /* its keeper died with the door */
		close(fd);
		return 0;
	}
	if (!(k = calloc(1, sizeof(*k)))) {
		close(fd);
		return -ENOMEM;
	}
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &(socklen_t){ sizeof(cred) }))
		k->pid = cred.pid;
	k->started_ms = clock_mono_ms();
	keeper_hello(&k->hello);
	k->next = keepers;
	keepers = k;
	watch(k, fd);
	return 1;
}

int
keepers_adopt(void)
{
	DIR *d = opendir(door.run_dir);
	struct dirent *e;
	size_t n;
	int r = 0, total = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		n = strlen(e->d_name);
		if (n < 6 || e->d_name[0] == '.' || strcmp(e->d_name + n - 5, ".sock"))
			continue;
		if ((r = adopt(dirfd(d), e->d_name)) > 0)
			total += r;
	}
	closedir(d);
	return r < 0 ? r : total;
}
