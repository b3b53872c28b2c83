/*
 * An operator's hand: a JSON object a line, from whoever may open RUNDIR/control (its mode says who),
 * or from standard input.  What is asked is answered in order, each answer with the id of its
 * request, the last one with "ok".  Nobody is waited for: who does not read is let go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "door.h"
#include "fdio.h"
#include "health.h"
#include "json.h"
#include "local.h"

#define TALKS 16
#define LINE_BYTES (16 << 10)
#define QUEUE_BYTES (4 << 20) /* a list of ten thousand broadcasts */
#define DRAIN_S_MAX 604800

static struct talk {
	bool open, asked_all;
	int in, out;
	ev_io reader, writer;
	struct buf from, to;
	char id[65]; /* of the request that is being answered */
} talks[TALKS];

static struct local listener = { .fd = -1 };
static ev_io accepts;
static int64_t began_ms;

static void
end(struct talk *t)
{
	ev_io_stop(door.loop, &t->reader);
	ev_io_stop(door.loop, &t->writer);
	close(t->in);
	if (t->out != t->in)
		close(t->out);
	buf_free(&t->from);
	buf_free(&t->to);
	t->open = false;
}

static void
flush(struct talk *t)
{
	ssize_t n;

	while (buf_len(&t->to)) {
		n = fdio_write_now(t->out, t->in == t->out, buf_data(&t->to), buf_len(&t->to));
		if (n == -EAGAIN) {
			ev_io_start(door.loop, &t->writer);
			return;
		}
		if (n < 0) {
			end(t);
			return;
		}
		buf_consume(&t->to, (size_t)n);
	}
	ev_io_stop(door.loop, &t->writer);
	if (t->asked_all)
		end(t);
}

/* ---- answers ---- */

static void
answer_begin(struct talk *t, struct json *j, char text[LINE_BYTES])
{
	json_begin(j, text, LINE_BYTES);
	json_str(j, "id", *t->id ? t->id : NULL);
}

static void
answer_end(struct talk *t, struct json *j)
{
	if (json_end(j) > 0) {
		buf_append(&t->to, j->text, j->len);
		buf_append(&t->to, "\n", 1);
	}
}

/* The last line of an answer; why NULL: all is well. */
static void
done(struct talk *t, const char *why)
{
	char text[LINE_BYTES];
	struct json j;

	answer_begin(t, &j, text);
	json_bool(&j, "ok", !why);
	json_str(&j, "error", why);
	answer_end(t, &j);
}

/* As a JSON array. */
static void
name_problems(uint32_t set, char *text, size_t cap)
{
	size_t n = 0;
	int p;

	text[n++] = '[';
	for (p = 0; p < HEALTH_PROBLEMS; p++)
		if (set & 1U << p)
			n += (size_t)snprintf(text + n, cap - n, "%s\"%s\"", n > 1 ? "," : "", health_names[p]);
	snprintf(text + n, cap - n, "]");
}

static void
list_one(const struct keep_state *s, void *ctx)
{
	char text[LINE_BYTES], problems[512];
	struct talk *t = ctx;
	struct json j;

	answer_begin(t, &j, text);
	json_str(&j, "stream", s->stream);
	json_str(&j, "broadcast", s->broadcast);
	json_str(&j, "user", *s->user ? s->user : NULL);
	json_int(&j, "epoch", s->epoch);
	json_int(&j, "origin_ms", s->origin_ms);
	json_bool(&j, "publishing", s->publishing);
	if (s->publishing) {
		json_str(&j, "session", s->session);
		json_str(&j, "remote", s->remote);
		json_int(&j, "since_ms", s->since_ms);
		json_int(&j, "kbps", s->kbps);
		json_num(&j, "fps", s->fps_tenths / 10.0, 1);
		name_problems(s->problems, problems, sizeof(problems));
		json_raw(&j, "problems", problems);
	}
	answer_end(t, &j);
}

static void
do_list(struct talk *t, const json_t *ask)
{
	(void)ask;
	keepers_each(list_one, t);
	done(t, NULL);
}

static void
do_kick(struct talk *t, const json_t *ask)
{
	const char *reason = json_string_value(json_object_get(ask, "reason"));
	const char *stream = json_string_value(json_object_get(ask, "stream"));
	const char *session = json_string_value(json_object_get(ask, "session"));
	const char *key = json_string_value(json_object_get(ask, "key"));
	uint8_t mark[SHA256_BYTES];

	if (!stream + !session + !key != 2) {
		done(t, "kick wants one of stream, session and key");
		return;
	}
	if (key)
		clients_mark(mark, key);
	if (!keepers_kick(stream, session, key ? mark : NULL, reason ? reason : "closed by the operator"))
		done(t, key ? "nobody publishes with that key" : "no such broadcast");
	else
		done(t, NULL);
}

static void
do_drain(struct talk *t, const json_t *ask)
{
	const json_t *s = json_object_get(ask, "deadline_s");
	int64_t deadline_s = json_integer_value(s);

	if (!json_is_integer(s) || deadline_s < 0 || deadline_s > DRAIN_S_MAX) {
		done(t, "drain wants deadline_s, in how many seconds what still runs is ended");
		return;
	}
	door_drain(deadline_s * 1000);
	done(t, NULL);
}

/* Without a number it is said, with one it is set. */
static void
do_limits(struct talk *t, const json_t *ask)
{
	static const struct {
		const char *name;
		int *value;
	} limits[] = { { "max_connections", &door.max_connections }, { "max_pending", &door.max_pending },
		{ "max_pending_address", &door.max_pending_address },
		{ "max_rate_address", &door.max_rate_address },
		{ "max_failures_address", &door.max_failures_address } };
	char text[LINE_BYTES];
	struct json j;
	const json_t *v;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		if ((v = json_object_get(ask, limits[i].name)) && (!json_is_integer(v) ||
				json_integer_value(v) < 1 || json_integer_value(v) > DOOR_LIMIT_MAX)) {
			done(t, "a limit is a number from 1 to 100000");
			return;
		}
	answer_begin(t, &j, text);
	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		if ((v = json_object_get(ask, limits[i].name)))
			*limits[i].value = (int)json_integer_value(v);
		json_int(&j, limits[i].name, *limits[i].value);
	}
	json_bool(&j, "ok", true);
	answer_end(t, &j);
}

static void
count_one(const struct keep_state *s, void *ctx)
{
	int *n = ctx;

	n[0]++;
	n[1] += s->publishing != 0;
}

static void
do_stats(struct talk *t, const json_t *ask)
{
	struct clients_stats c;
	char text[LINE_BYTES];
	int n[2] = { 0 };
	struct json j;

	(void)ask;
	clients_stats(&c);
	keepers_each(count_one, n);
	answer_begin(t, &j, text);
	json_int(&j, "uptime_ms", clock_mono_ms() - began_ms);
	json_int(&j, "connections", c.connections);
	json_int(&j, "pending", c.pending);
	json_int(&j, "broadcasts", n[0]);
	json_int(&j, "publishing", n[1]);
	json_int(&j, "accepted", c.accepted);
	json_int(&j, "refused", c.refused);
	json_int(&j, "published", c.published);
	json_bool(&j, "auth", auth_runs());
	json_bool(&j, "draining", door.draining);
	json_bool(&j, "ok", true);
	answer_end(t, &j);
}

static void
do_reload(struct talk *t, const json_t *ask)
{
	(void)ask;
	cert_reload();
	done(t, NULL);
}

static void
do_upgrade(struct talk *t, const json_t *ask)
{
	(void)ask;
	done(t, upgrade_ask());
}

static void
take_line(struct talk *t, const char *line, size_t n)
{
	static const struct {
		const char *name;
		void (*run)(struct talk *, const json_t *);
	} verbs[] = { { "list", do_list }, { "kick", do_kick }, { "drain", do_drain },
		{ "limits", do_limits }, { "stats", do_stats }, { "reload", do_reload }, { "upgrade", do_upgrade } };
	json_t *ask = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *verb = json_string_value(json_object_get(ask, "do"));
	const char *id = json_string_value(json_object_get(ask, "id"));
	size_t i = 0;

	snprintf(t->id, sizeof(t->id), "%s", id ? id : "");
	while (verb && i < sizeof(verbs) / sizeof(*verbs) && strcmp(verb, verbs[i].name))
		i++;
	if (!verb || i == sizeof(verbs) / sizeof(*verbs))
		done(t, "not {\"do\": \"list\"}, nor kick, drain, limits, stats, reload or upgrade");
	else
		verbs[i].run(t, ask);
	json_decref(ask);
}

/* ---- who asks ---- */

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct talk *t = w->data;
	uint8_t *room = buf_reserve(&t->from, LINE_BYTES);
	const char *data, *newline;
	ssize_t n;

	(void)events;
	n = room ? read(t->in, room, LINE_BYTES) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* it has asked all; what it was answered is still written */
		ev_io_stop(loop, w);
		t->asked_all = true;
		flush(t);
		return;
	}
	buf_grew(&t->from, (size_t)n);
	while (t->open && buf_len(&t->from)) {
		data = (const char *)buf_data(&t->from);
		newline = memchr(data, '\n', buf_len(&t->from));
		if (!newline && buf_len(&t->from) <= LINE_BYTES)
			break;
		if (!newline) {
			end(t);
			return;
		}
		take_line(t, data, (size_t)(newline - data));
		explicit_bzero(buf_data(&t->from), (size_t)(newline - data)); /* there may be a key in it */
		buf_consume(&t->from, (size_t)(newline - data) + 1);
		if (t->to.error)
			end(t);
		else
			flush(t);
	}
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	flush(w->data);
}

static void
begin(int in, int out)
{
	struct talk *t = talks;

	while (t < talks + TALKS && t->open)
		t++;
	if (t == talks + TALKS) {
		close(in);
		return;
	}
	memset(t, 0, sizeof(*t));
	t->open = true;
	t->in = in;
	t->out = out;
	t->to.max = QUEUE_BYTES;
	ev_io_init(&t->reader, on_readable, in, EV_READ);
	ev_io_init(&t->writer, on_writable, out, EV_WRITE);
	t->reader.data = t->writer.data = t;
	ev_io_start(door.loop, &t->reader);
}

static void
on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)loop;
	(void)events;
	if (fd >= 0)
		begin(fd, fd);
}

void
control_open(const char *where)
{
	char path[4096];
	int in, out, r;

	began_ms = clock_mono_ms();
	if (where && !strcmp(where, "-")) {
		in = fdio_reopen(STDIN_FILENO, O_RDONLY, &(bool){ false });
		out = fdio_reopen(STDOUT_FILENO, O_WRONLY, &(bool){ false });
		if (in < 0 || out < 0)
			die(EX_NOINPUT, in < 0 ? in : out, "--control -: standard input and output");
		begin(in, out);
		where = NULL;
	}
	snprintf(path, sizeof(path), "%s/control", door.run_dir);
	if ((r = local_listen(&listener, where ? where : path, SOCK_STREAM, 0600, TALKS)) < 0)
		die(EX_CANTCREAT, r, "cannot make %s", where ? where : path);
	ev_io_init(&accepts, on_accept, listener.fd, EV_READ);
	ev_io_start(door.loop, &accepts);
}

void
control_close(void)
{
	int i;

	for (i = 0; i < TALKS; i++)
		if (talks[i].open) {
			flush(&talks[i]);
			if (talks[i].open)
				end(&talks[i]);
		}
	local_close(&listener);
}
