/* The coprocess: a JSON object a line each way, neither side ever waited for. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "buf.h"
#include "child.h"
#include "clock.h"
#include "die.h"
#include "door.h"
#include "event.h"
#include "fdio.h"
#include "json.h"
#include "mark.h"

#define BACKOFF_MS 30000
#define CALM_MS 60000 /* running so long, earlier ends are forgotten */

static struct {
	pid_t pid;
	int in, out; /* the coprocess's standard input and output */
	ev_io reader, writer;
	ev_child child;
	struct buf from, to;
	int ends;            /* in a row, for the backoff */
	int64_t started_ms, restart_ms, waits_since_ms, closed_ms;
} co = { .in = -1, .out = -1 };

/* The coprocess is away: whoever waits is refused now, and it is started again after a while. */
static void
lost(const char *why)
{
	int64_t now = clock_mono_ms(), wait;
	struct event e;

	if (co.in < 0)
		return;
	ev_io_stop(door.loop, &co.reader);
	ev_io_stop(door.loop, &co.writer);
	ev_child_stop(door.loop, &co.child);
	kill(-co.pid, SIGKILL);
	close(co.in);
	close(co.out);
	co.in = co.out = -1;
	if (buf_len(&co.from)) /* there is no memory before its first line */
		explicit_bzero(buf_data(&co.from), buf_len(&co.from));
	buf_clear(&co.from);
	buf_clear(&co.to);
	if (door.draining)
		return;
	if (now - co.started_ms >= CALM_MS)
		co.ends = 0;
	wait = co.ends > 7 ? BACKOFF_MS : co.ends ? 200 << co.ends : 0;
	co.ends++;
	co.restart_ms = now + wait;
	complain(0, "the coprocess \"%s\" %s; publishers are refused until it runs", door.auth, why);
	event_begin(&e, "auth.restarted");
	event_str(&e, "reason", why);
	event_int(&e, "wait_ms", wait);
	event_send(&e);
	clients_auth_lost();
	if (!wait)
		auth_start();
}

static void
on_exit_status(struct ev_loop *loop, ev_child *w, int events)
{
	char why[64];
	int status = w->rstatus;

	(void)loop;
	(void)events;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "exited with status %d", WEXITSTATUS(status));
	lost(why);
}

static bool
text_of(const json_t *o, const char *key, char *to, size_t cap)
{
	const json_t *v = json_object_get(o, key);
	size_t n = json_string_length(v);

	*to = '\0';
	if (!v)
		return true;
	if (!json_is_string(v) || n >= cap || strlen(json_string_value(v)) != n)
		return false;
	memcpy(to, json_string_value(v), n + 1);
	return true;
}

static bool
number_of(const json_t *o, const char *key, int64_t max, int64_t *to)
{
	const json_t *v = json_object_get(o, key);

	*to = json_integer_value(v);
	return !v || (json_is_integer(v) && *to >= 0 && *to <= max);
}

static bool
broadcast_name(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz");

	return n >= 10 && n <= 26 && !s[n];
}

/* The keys of "env" become LV_X_...; a name or value that cannot be one makes the answer bad. */
static bool
take_env(const json_t *o, struct verdict *v)
{
	const char *key;
	json_t *value;
	struct buf env = { .max = sizeof(v->env) };

	json_object_foreach((json_t *)o, key, value) {
		if (!json_is_string(value) || !*key || key[strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
			env.error = -EBADMSG;
		else
			buf_printf(&env, "LV_X_%s=%s%c", key, json_string_value(value), '\0');
	}
	v->env_len = (uint32_t)buf_len(&env);
	if (v->env_len && !env.error)
		memcpy(v->env, buf_data(&env), v->env_len);
	buf_free(&env);
	return !env.error;
}

static bool
take_verdict(const json_t *o, struct verdict *v)
{
	const json_t *allow = json_object_get(o, "allow");
	int64_t kbps;

	memset(v, 0, sizeof(*v));
	if (!text_of(o, "id", v->id, sizeof(v->id)) || !*v->id || !json_is_boolean(allow))
		return false;
	v->allow = json_is_true(allow);
	v->resumed = json_is_true(json_object_get(o, "resumed"));
	v->busy = json_is_true(json_object_get(o, "busy"));
	if (!text_of(o, "reason", v->reason, sizeof(v->reason)))
		return false;
	if (!v->allow)
		return !v->busy || (text_of(o, "stream", v->stream, sizeof(v->stream)) &&
			(!*v->stream || mark_stream_name(v->stream)));
	if (!text_of(o, "stream", v->stream, sizeof(v->stream)) || !mark_stream_name(v->stream) ||
		!text_of(o, "user", v->user, sizeof(v->user)) ||
		!text_of(o, "broadcast", v->broadcast, sizeof(v->broadcast)) ||
		!broadcast_name(v->broadcast) || !number_of(o, "origin_ms", INT64_C(1) << 53, &v->origin_ms) ||
		!number_of(o, "epoch", INT64_C(1) << 53, &v->epoch) || !number_of(o, "max_kbps", 1 << 30, &kbps) ||
		!number_of(o, "until_ms", INT64_C(1) << 53, &v->until_ms))
		return false;
	v->max_kbps = (int)kbps;
	return take_env(json_object_get(o, "env"), v);
}

static bool
take_line(const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL), *kick;
	char stream[65], reason[256];
	struct verdict v;
	bool good = false;

	if (json_is_object(o) && (kick = json_object_get(o, "kick"))) {
		good = text_of(kick, "stream", stream, sizeof(stream)) &&
			text_of(o, "reason", reason, sizeof(reason)) && mark_stream_name(stream);
		if (good)
			keepers_kick(stream, NULL, NULL, reason);
	} else if (json_is_object(o)) {
		good = take_verdict(o, &v);
		if (good)
			clients_verdict(&v);
	}
	json_decref(o);
	return good;
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	uint8_t *room = buf_reserve(&co.from, DOOR_AUTH_LINE);
	ssize_t n;

	(void)loop;
	(void)events;
	if (!room)
		return;
	do
		n = read(w->fd, room, DOOR_AUTH_LINE);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) { /* its exit status tells more, and mostly follows at once */
		ev_io_stop(door.loop, w);
		co.closed_ms = clock_mono_ms();
		return;
	}
	buf_grew(&co.from, (size_t)n);
	co.waits_since_ms = 0;
	while (co.out >= 0) {
		const char *data = (const char *)buf_data(&co.from);
		const char *end = buf_len(&co.from) ? memchr(data, '\n', buf_len(&co.from)) : NULL;

		if (!end && buf_len(&co.from) <= DOOR_AUTH_LINE)
			return;
		if (end) /* first: what a line leads to may be another coprocess, and an empty buffer */
			buf_consume(&co.from, (size_t)(end - data) + 1);
		if (!end || !take_line(data, (size_t)(end - data))) {
			lost("answered with a malformed line");
			return;
		}
	}
}

static void
flush(void)
{
	ssize_t n;

	while (buf_len(&co.to)) {
		n = fdio_write_now(co.in, false, buf_data(&co.to), buf_len(&co.to));
		if (n < 0) {
			if (n == -EAGAIN)
				ev_io_start(door.loop, &co.writer);
			return; /* any other error: its exit tells */
		}
		explicit_bzero(buf_data(&co.to), (size_t)n);
		buf_consume(&co.to, (size_t)n);
	}
	ev_io_stop(door.loop, &co.writer);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	flush();
}

int
auth_start(void)
{
	char command[4096];
	char sh[] = "/bin/sh", dash_c[] = "-c", *argv[] = { sh, dash_c, command, NULL };
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, r = 0;

	snprintf(command, sizeof(command), "exec %s", door.auth);
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
		r = -errno;
		goto out;
	}
	if ((r = child_start(&co.pid, &(struct child_spec){ .argv = argv,
			.fds = (int[]){ to[0], from[1], STDERR_FILENO }, .nfds = 3, .new_session = true })) < 0)
		goto out;
	close(to[0]);
	close(from[1]);
	fcntl(to[1], F_SETFL, O_NONBLOCK);
	fcntl(from[0], F_SETFL, O_NONBLOCK);
	co.in = to[1];
	co.out = from[0];
	co.started_ms = clock_mono_ms();
	co.restart_ms = co.waits_since_ms = co.closed_ms = 0;
	co.to.max = DOOR_AUTH_QUEUE;
	ev_io_init(&co.reader, on_readable, co.out, EV_READ);
	ev_io_init(&co.writer, on_writable, co.in, EV_WRITE);
	ev_child_init(&co.child, on_exit_status, co.pid, 0);
	ev_io_start(door.loop, &co.reader);
	ev_child_start(door.loop, &co.child);
	keepers_live();
	return 0;
out:
	for (int i = 0; i < 2; i++) {
		if (to[i] >= 0)
			close(to[i]);
		if (from[i] >= 0)
			close(from[i]);
	}
	return r;
}

void
auth_line(const char *line)
{
	if (co.in < 0)
		return; /* a new coprocess is told what runs by "live" and "sync" */
	buf_append(&co.to, line, strlen(line));
	buf_append(&co.to, "\n", 1);
	if (co.to.error)
		lost("does not read its requests");
	else
		flush();
}

static void
send_json(struct json *j)
{
	if (json_end(j) > 0)
		auth_line(j->text);
}

/* User and password: what lv-auth needs to compare the response. */
static void
put_password(struct json *j, const struct adobe_answer *a)
{
	char text[1024];
	struct json p;

	json_begin(&p, text, sizeof(text));
	json_str(&p, "user", a->user);
	json_str(&p, "salt", ADOBE_SALT);
	json_str(&p, "challenge", a->challenge);
	json_str(&p, "own", a->own);
	json_str(&p, "response", a->response);
	if (json_end(&p) > 0)
		json_raw(j, "password", text);
	explicit_bzero(text, sizeof(text));
}

int
auth_ask(const struct ipc_ask *a, const char *listener, const char *proto, const char *session, const char *remote)
{
	char text[DOOR_AUTH_LINE];
	struct json j;

	if (co.in < 0)
		return -EAGAIN;
	json_begin(&j, text, sizeof(text));
	json_str(&j, "ask", "publish");
	json_str(&j, "id", session);
	json_str(&j, "listener", listener);
	json_str(&j, "proto", proto);
	json_str(&j, "app", a->app);
	json_str(&j, "key", a->key);
	json_str(&j, "query", *a->query ? a->query : NULL);
	json_str(&j, "tcurl", *a->tcurl ? a->tcurl : NULL);
	json_str(&j, "remote", remote);
	json_str(&j, "session", session);
	json_str(&j, "client", *a->client ? a->client : NULL);
	if (*a->password.user)
		put_password(&j, &a->password);
	if (!co.waits_since_ms)
		co.waits_since_ms = clock_mono_ms();
	send_json(&j);
	explicit_bzero(text, sizeof(text));
	return co.in < 0 ? -EAGAIN : 0;
}

void
auth_notice(const char *notice, const char *session, const char *broadcast)
{
	char text[512];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "notice", notice);
	json_str(&j, "session", session);
	json_str(&j, "broadcast", broadcast);
	send_json(&j);
}

void
auth_live(const struct keep_state *s)
{
	char text[1024];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "notice", "live");
	json_str(&j, "session", s->session);
	json_str(&j, "broadcast", s->broadcast);
	json_str(&j, "stream", s->stream);
	json_int(&j, "epoch", s->epoch);
	json_int(&j, "origin_ms", s->origin_ms);
	send_json(&j);
}

void
auth_sync(void)
{
	auth_line("{\"notice\":\"sync\"}");
}

void
auth_tick(int64_t now)
{
	int r;

	if (co.in < 0 && co.restart_ms && now >= co.restart_ms && !door.draining) {
		co.restart_ms = now + BACKOFF_MS;
		if ((r = auth_start()) < 0)
			complain(r, "cannot start the coprocess \"%s\"", door.auth);
	}
	if (!clients_wait_for_auth())
		co.waits_since_ms = 0;
	if (co.in >= 0 && co.waits_since_ms && now - co.waits_since_ms >= DOOR_AUTH_MUTE_MS)
		lost("gave no answer for 10 s");
	if (co.in >= 0 && co.closed_ms && now - co.closed_ms >= DOOR_AUTH_CLOSED_MS)
		lost("closed its output");
}

void
auth_stop(void)
{
	if (co.in < 0)
		return;
	flush();
	ev_io_stop(door.loop, &co.reader);
	ev_io_stop(door.loop, &co.writer);
	ev_child_stop(door.loop, &co.child);
	close(co.in); /* it ends with its input */
	close(co.out);
	co.in = co.out = -1;
	buf_free(&co.from);
	buf_free(&co.to);
}

bool
auth_runs(void)
{
	return co.in >= 0;
}
