/* The program of a broadcast: the keeper is its parent and the only one who restarts it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "child.h"
#include "clock.h"
#include "die.h"
#include "fdio.h"
#include "keeper.h"

#define CALM_MS 60000    /* having run so long, earlier ends are forgotten */
#define BACKOFF_MS 30000
#define FINISH_MS 10000  /* from the end of its input to SIGTERM */
#define TERM_MS 5000     /* from there to SIGKILL */

extern char **environ;

static pid_t pid;
static int fd = -1, ends, asked; /* asked: signals sent to end it */
static int64_t started_ms, start_at, finish_at;
static bool finishing;

int
program_fd(void)
{
	return fd;
}

pid_t
program_group(void)
{
	return pid;
}

bool
program_gone(void)
{
	return finishing && !pid;
}

static void
put_env(struct buf *b, const char *name, const char *value)
{
	if (value && *value)
		buf_printf(b, "%s=%s%c", name, value, '\0');
}

static void
put_env_int(struct buf *b, const char *name, int64_t value)
{
	buf_printf(b, "%s=%lld%c", name, (long long)value, '\0');
}

/* Ours without what is about another broadcast, then what this one is. */
static char **
environment(struct buf *b, bool events)
{
	const struct keep_hello *h = &keeper.hello;
	const struct keep_session *s = &keeper.session;
	size_t n = 0, at;
	char **env, *p;
	int i;

	for (i = 0; environ[i]; i++)
		if (strncmp(environ[i], "LV_", 3) && strncmp(environ[i], "TCP", 3) &&
			strncmp(environ[i], "PROTO=", 6))
			buf_append(b, environ[i], strlen(environ[i]) + 1);
	for (i = 0; environ[i]; i++) /* settings of the site, like LV_HOME, stay */
		if (!strncmp(environ[i], "LV_", 3) && strncmp(environ[i], "LV_EVENTS_FD=", 13))
			buf_append(b, environ[i], strlen(environ[i]) + 1);
	put_env(b, "LV_STREAM", h->stream);
	put_env(b, "LV_BROADCAST", h->broadcast);
	put_env(b, "LV_USER", h->user);
	put_env_int(b, "LV_EPOCH", s->epoch ? s->epoch : h->epoch);
	put_env_int(b, "LV_ORIGIN_MS", h->origin_ms);
	put_env(b, "LV_LIVE", "1");
	if (events)
		put_env(b, "LV_EVENTS_FD", "3");
	put_env(b, "PROTO", s->proto);
	put_env(b, "TCPREMOTEIP", s->remote_ip);
	put_env(b, "TCPLOCALIP", s->local_ip);
	if (s->remote_port)
		put_env_int(b, "TCPREMOTEPORT", s->remote_port);
	if (s->local_port)
		put_env_int(b, "TCPLOCALPORT", s->local_port);
	buf_append(b, h->env, h->env_len);
	for (at = 0; at < buf_len(b); at++)
		n += !buf_data(b)[at];
	if (b->error || !(env = calloc(n + 1, sizeof(*env))))
		return NULL;
	for (p = (char *)buf_data(b), n = 0; p < (char *)buf_data(b) + buf_len(b); p += strlen(p) + 1)
		env[n++] = p;
	return env;
}

/* The first sink of events is the program's too. */
static int
events_for_program(void)
{
	const char *where = keeper.hello.events[0];
	char *end;
	long n = strtol(where, &end, 10);

	if (!*where)
		return -1;
	if (!*end)
		return fcntl((int)n, F_DUPFD_CLOEXEC, 3);
	return open(where, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static int
start(void)
{
	int p[2], events, r;
	struct buf text = { 0 };
	char **env;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	fdio_pipe_grow(p[1]);
	events = events_for_program();
	env = environment(&text, events >= 0);
	r = !env ? -ENOMEM : child_start(&pid, &(struct child_spec){ .argv = keeper.program, .envp = env,
		.fds = (int[]){ p[0], STDERR_FILENO, STDERR_FILENO, events }, .nfds = events < 0 ? 3 : 4,
		.new_session = true });
	free(env);
	buf_free(&text);
	close(p[0]);
	if (events >= 0)
		close(events);
	if (r < 0) {
		close(p[1]);
		pid = 0;
		return r;
	}
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	fd = p[1];
	if (started_ms)
		media_attach();
	started_ms = clock_mono_ms();
	asked = 0;
	keeper_tell_state();
	return 0;
}

static void
close_input(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
}

/* Mostly it is dead, and is reaped soon; one that goes on hears no more. */
void
program_deaf(void)
{
	close_input();
}

void
program_finish(void)
{
	if (finishing)
		return;
	finishing = true;
	close_input();
	finish_at = clock_mono_ms() + FINISH_MS;
}

/* When it is to be started.  Not before the first publisher: its environment tells of that one. */
static int64_t
start_due(void)
{
	return *keeper.session.session || keeper.hello.resumed ? start_at : INT64_MAX;
}

void
program_keep_up(int64_t now)
{
	int r;

	if (!pid && !finishing && now >= start_due() && (r = start()) < 0) {
		complain(r, "cannot start %s", keeper.program[0]);
		keeper_end("the program could not be started");
	}
	if (finishing && pid && now >= finish_at) {
		warning(0, "%s goes on after the end of its input: %s", keeper.program[0],
			asked ? "killed" : "told to stop");
		kill(-pid, asked++ ? SIGKILL : SIGTERM);
		finish_at = now + TERM_MS;
	}
}

int
program_wait_ms(int64_t now, int ms)
{
	int64_t due = finishing ? finish_at : pid ? INT64_MAX : start_due();

	return due - now >= ms ? ms : due > now ? (int)(due - now) : 0;
}

static int64_t
backoff(void)
{
	uint32_t dice = 0;
	int64_t ms;

	if (!ends)
		return 0;
	ms = ends > 8 ? BACKOFF_MS : 200 << (ends - 1);
	if (ms > BACKOFF_MS)
		ms = BACKOFF_MS;
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) < 0)
		dice = 0;
	return ms * 3 / 4 + (int64_t)(dice % (unsigned)(ms / 2 + 1));
}

static void
restart(const char *how)
{
	int64_t now = clock_mono_ms(), wait;
	struct event *e = &keeper.event;

	if (now - started_ms >= CALM_MS)
		ends = 0;
	wait = backoff();
	ends++;
	keeper.figures.restarts++;
	start_at = now + wait;
	warning(0, "%s: %s %s; started again in %d ms", keeper.hello.stream, keeper.program[0], how,
		(int)wait);
	event_begin(e, "pipeline.restarted");
	event_str(e, "reason", how);
	event_int(e, "wait_ms", wait);
	event_send(e);
}

static bool
final(int status)
{
	static const int codes[] = { EX_OK, EX_USAGE, EX_DATAERR, EX_PROTOCOL, EX_NOPERM, EX_CONFIG, 126,
		127 };
	size_t i;

	for (i = 0; WIFEXITED(status) && i < sizeof(codes) / sizeof(*codes); i++)
		if (WEXITSTATUS(status) == codes[i])
			return true;
	return false;
}

void
program_reap(void)
{
	char how[64];
	int status;
	pid_t p;

	while ((p = waitpid(-1, &status, WNOHANG)) > 0) {
		if (p != pid)
			continue;
		/* What it left behind reads from nobody and holds what the next one needs. */
		kill(-pid, SIGKILL);
		pid = 0;
		close_input();
		if (finishing)
			continue;
		if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
		else
			snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
		if (final(status)) {
			char why[128];

			snprintf(why, sizeof(why), "the program %s", how);
			finishing = true;
			keeper_end(WIFEXITED(status) && !WEXITSTATUS(status) ? "the program ended" : why);
		} else {
			restart(how);
		}
		keeper_tell_state();
	}
}
