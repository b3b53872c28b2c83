/* A guest: the handshake, the token, what it says and what it is answered. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "chatd.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "web.h"

#define LOGIN_MS 5000
#define SILENT_PINGS 3    /* unanswered for so many times --ping-s, and it is gone */
#define BEHIND_MS 30000   /* nothing taken for so long, and it is cut */
#define OUT_MAX (64 << 10)
#define FRAMES_PER_S 50
#define FAILURES_MAX 5

static unsigned
chance(unsigned below)
{
	unsigned n = 0;

	while (getrandom(&n, sizeof(n), GRND_NONBLOCK) < 0 && errno == EINTR)
		;
	return n % below;
}

/* Everybody who has to go at once shall not return at once. */
void
guest_end(struct guest *g, unsigned code, const char *reason)
{
	unsigned spread = 1000 + 2 * ws_connections(g->hall->ws);
	char text[124];

	metrics_count(&chat_figures.dropped, reason, 1);
	snprintf(text, sizeof(text), "{\"reason\":\"%s\",\"retryMs\":%u}", reason,
		chance(spread < 30000 ? spread : 30000));
	ws_close(g->conn, code, text);
}

static void
cut(struct guest *g, const char *reason)
{
	struct event e;

	metrics_count(&chat_figures.dropped, reason, 1);
	event_begin(&e, "client.cut");
	event_str(&e, "stream", g->stream);
	event_str(&e, "remote", ws_remote(g->conn));
	event_str(&e, "reason", reason);
	event_send(&e);
	ws_drop(g->conn);
}

void
guest_say(struct guest *g, const char *text, size_t n)
{
	uint8_t head[FRAME_HEAD];
	size_t len = frame_head(head, n);

	if (buf_len(&g->out) + len + n > OUT_MAX) {
		cut(g, "too many answers are waiting");
		return;
	}
	if (buf_append(&g->out, head, len) < 0 || buf_append(&g->out, text, n) < 0)
		ws_drop(g->conn);
	else
		guest_pump(g);
}

static void
say_json(struct guest *g, struct json *j)
{
	int n = json_end(j);

	if (n > 0)
		guest_say(g, j->text, (size_t)n);
}

void
guest_notice(struct guest *g, const char *id, const char *ref, const struct room_verdict *v)
{
	char text[2048], twin[CHAT_ID_TEXT];
	struct json j;

	metrics_count(&chat_figures.refused, id, 1);
	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", "notice");
	json_str(&j, "notice", id);
	json_str(&j, "message", chat_notice_text(id));
	if (v && v->until_ms)
		json_int(&j, "until", v->until_ms);
	if (v && v->twin.ms)
		json_str(&j, "id", chat_id_text(twin, v->twin));
	if (ref && *ref)
		json_str(&j, "ref", ref);
	say_json(g, &j);
}

void
guest_approved(struct guest *g, const char *ref, struct chat_id message)
{
	char text[256], id[CHAT_ID_TEXT];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", chat_kind_text(CHAT_APPROVE));
	json_str(&j, "message", chat_id_text(id, message));
	if (*ref)
		json_str(&j, "ref", ref);
	say_json(g, &j);
}

void
guest_wait(struct guest *g, int64_t wait_ms, const char *ref)
{
	char text[512];
	struct json j;

	metrics_count(&chat_figures.refused, "slowmode", 1);
	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", "slowmode");
	json_int(&j, "waitMs", wait_ms);
	if (ref && *ref)
		json_str(&j, "ref", ref);
	say_json(g, &j);
}

static bool
is_moderator(const struct guest *g)
{
	return g->ticket && g->ticket->role >= TICKET_MOD && g->ticket->role != TICKET_SERVICE;
}

void
guest_pump(struct guest *g)
{
	const uint8_t *frames;
	uint64_t at;
	size_t n;

	if (buf_len(&g->out)) {
		if (!ws_send(g->conn, buf_data(&g->out), buf_len(&g->out)))
			goto behind;
		buf_free(&g->out);
		g->out = (struct buf){ 0 };
	}
	while (g->greeted && g->at < room_head(g->place->room)) {
		if (g->at < room_first(g->place->room)) { /* what it has not got yet is forgotten */
			guest_end(g, 4008, "too slow");
			return;
		}
		at = g->at;
		n = room_batch(g->place->room, &at, g->joined, is_moderator(g), &frames);
		if (n && !ws_send(g->conn, frames, n))
			goto behind;
		if (at == g->at)
			break;
		chat_figures.delivered += n ? (int64_t)(at - g->at) : 0;
		g->at = at;
	}
	g->behind_ms = 0;
	return;
behind:
	if (!g->behind_ms)
		g->behind_ms = clock_mono_ms();
}

static void
welcome(struct guest *g, const char *ref)
{
	char text[1024];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", "welcome");
	json_str(&j, "user", g->ticket->user);
	json_str(&j, "name", g->ticket->name);
	json_str(&j, "role", ticket_role_text(g->ticket->role));
	json_int(&j, "until", g->ticket->exp_s < INT64_MAX / 1000 ? g->ticket->exp_s * 1000 : INT64_MAX);
	if (ref && *ref)
		json_str(&j, "ref", ref);
	say_json(g, &j);
}

void
guest_show_held(struct guest *g, const struct room_held *h, const char *type)
{
	char text[160], id[CHAT_ID_TEXT];
	struct json j;

	if (!g->greeted || !is_moderator(g))
		return;
	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", type);
	json_str(&j, "target", chat_id_text(id, h->id));
	say_json(g, &j);
}

/* What waits, and is older than what the guest is going to read.  Bounded: once a connection. */
static void
show_all_held(struct guest *g)
{
	uint64_t at = 0, end = g->at > g->joined ? g->at : g->joined;
	uint8_t head[FRAME_HEAD];
	struct room_held h;

	if (g->shown || !is_moderator(g) || !g->greeted)
		return;
	g->shown = true;
	while (room_held(g->place->room, &at, clock_wall_ms(), &h) && at <= end) {
		buf_append(&g->out, head, frame_head(head, h.n));
		buf_append(&g->out, h.entry, h.n);
	}
	guest_pump(g);
}

/* The token says who it is; another person does not take over a connection. */
static void
login(struct guest *g, const char *token, const char *ref)
{
	const char *why = "it is for another room";
	struct ticket t;
	int r = ticket_read(&t, g->hall->key, token, strlen(token), AUDIENCE, clock_wall_ms() / 1000, &why);

	if (r == 0 && !g->notify && strcmp(t.stream, "*") && strcmp(t.stream, g->stream))
		r = -EACCES;
	if (r == 0 && g->ticket && strcmp(g->ticket->user, t.user)) {
		why = "it is another person's than the one before";
		r = -EACCES;
	}
	if (r < 0) {
		inform("%s: token refused: %s", ws_remote(g->conn), why);
		guest_notice(g, "token_refused", ref, NULL);
		if (!g->ticket && (g->must_login || ++g->failures >= FAILURES_MAX))
			guest_end(g, 4401, "token_refused");
		return;
	}
	if (!g->user && (r = hall_count(&g->hall->users, &g->user, t.user, g->hall->config.per_user)) < 0) {
		guest_end(g, 4429, "too_many_connections");
		return;
	}
	if (!g->ticket && !(g->ticket = malloc(sizeof(*g->ticket)))) {
		ws_drop(g->conn);
		return;
	}
	*g->ticket = t;
	g->must_login = false;
	welcome(g, ref);
	show_all_held(g);
	if (g->notify && !g->listeners && g->place)
		notify_enter(g);
}

static bool
origin_good(const struct hall *h, const char *origin)
{
	char **o;

	for (o = h->config.origins; o && *o; o++)
		if (!strcasecmp(*o, origin))
			return true;
	return !h->config.origins;
}

/* The token of the handshake: in the query for browsers, in a header for programs. */
static int
find_token(struct ws_conn *c, char token[TICKET_TEXT_MAX + 1])
{
	char value[TICKET_TEXT_MAX + 8];
	int n = ws_argument(c, "token", token, TICKET_TEXT_MAX + 1);

	if (n)
		return n;
	n = ws_authorization(c, value, sizeof(value));
	if (n <= 7 || strncasecmp(value, "Bearer ", 7))
		return n < 0 ? n : 0;
	memcpy(token, value + 7, (size_t)n - 6);
	return n - 7;
}

static void
look_at(struct guest *g, int64_t at_ms, int64_t now_ms)
{
	ev_timer_set(&g->due, at_ms > now_ms ? (double)(at_ms - now_ms) / 1000 : 0.001, 0);
	ev_timer_start(g->hall->loop, &g->due);
}

static void
sooner(int64_t *at_ms, int64_t other_ms)
{
	if (other_ms < *at_ms)
		*at_ms = other_ms;
}

/*
 * What is due is done, and the timer set to what may be next.  What begins meanwhile, taking nothing, has
 * BEHIND_MS, and the timer is never farther away.
 */
static void
on_due(struct ev_loop *loop, ev_timer *w, int events)
{
	struct guest *g = w->data;
	int64_t now_ms = clock_mono_ms(), ping_ms = g->hall->config.ping_s * 1000;
	int64_t heard_ms = ws_heard_ms(g->conn), next_ms = now_ms + BEHIND_MS;

	(void)loop;
	(void)events;
	if (g->must_login && now_ms - g->came_ms >= LOGIN_MS) {
		guest_end(g, 4401, "login_required");
		return;
	}
	if (g->behind_ms && now_ms - g->behind_ms >= BEHIND_MS) {
		cut(g, "took nothing for too long");
		return;
	}
	if (g->pinged_ms <= heard_ms) {
		g->pinged_ms = heard_ms;
		g->unanswered = 0;
	}
	if (now_ms - g->pinged_ms >= ping_ms) {
		if (g->unanswered + 1 == SILENT_PINGS) {
			cut(g, "not there any more");
			return;
		}
		g->unanswered++; /* counted: after a sleep of our own nobody has been asked for long */
		g->pinged_ms = now_ms;
		ws_ping(g->conn);
	}
	sooner(&next_ms, g->pinged_ms + ping_ms);
	if (g->must_login)
		sooner(&next_ms, g->came_ms + LOGIN_MS);
	if (g->behind_ms)
		sooner(&next_ms, g->behind_ms + BEHIND_MS);
	look_at(g, next_ms, now_ms);
}

int
guest_open(void *ctx, struct ws_conn *c, void **user)
{
	char path[64], stream[TICKET_STREAM_MAX + 1], origin[256], offset[CHAT_ID_TEXT];
	char token[TICKET_TEXT_MAX + 1];
	struct hall *h = ctx;
	struct guest *g;
	int n, r;

	bool notify;

	if (ws_path(c, path, sizeof(path)) < 0)
		return 404;
	notify = h->remote && !strcmp(path, "/notify");
	*stream = '\0';
	if (!notify && strcmp(path, "/chat"))
		return 404;
	if (!notify && ((n = ws_argument(c, "stream", stream, sizeof(stream))) < 0 || !web_stream_name(stream, (size_t)n)))
		return 400;
	if (ws_argument(c, "offset", offset, sizeof(offset)) < 0 || find_token(c, token) < 0)
		return 400;
	if ((n = ws_origin(c, origin, sizeof(origin))) < 0 || (n && !origin_good(h, origin)))
		return 403;
	if (!(g = calloc(1, sizeof(*g))))
		return 503;
	if ((r = hall_count(&h->addresses, &g->address, ws_remote(c), h->config.per_address)) < 0) {
		free(g);
		return r == -EMFILE ? 429 : 503;
	}
	g->hall = h;
	g->conn = c;
	g->came_ms = clock_mono_ms();
	ev_timer_init(&g->due, on_due, 0, 0);
	g->due.data = g;
	g->has_offset = chat_id_read(&g->offset, offset) == 0;
	/* A page of ours says whose it is; what says nothing is a program, and has a token. */
	g->notify = notify;
	g->must_login = notify || h->config.login || (h->config.origins && !n);
	memcpy(g->stream, stream, sizeof(stream));
	if (*token) /* kept until the handshake is done: only then can it be answered */
		buf_append(&g->out, token, strlen(token) + 1);
	*user = g;
	return 0;
}

void
guest_greet(struct guest *g)
{
	struct room *room = g->place->room;
	bool recovered = g->has_offset && room_after(room, g->offset, &g->at) == 0;
	char text[ROOM_BODY_MAX + 512], id[CHAT_ID_TEXT];
	struct json j;

	g->greeted = true;
	if (recovered) {
		g->joined = g->at;
	} else {
		g->at = room_back(room, (unsigned)g->hall->config.history);
		g->joined = room_head(room);
	}
	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", "joined");
	json_str(&j, "stream", g->stream);
	json_str(&j, "offset", chat_id_text(id, room_last(room)));
	if (g->has_offset)
		json_bool(&j, "recovered", recovered);
	json_int(&j, "viewers", (int64_t)hall_viewers(g->place));
	room_say_modes(room, &j);
	room_say_pin(room, &j);
	say_json(g, &j);
	show_all_held(g);
}

void
guest_opened(void *user)
{
	struct guest *g = user;
	int64_t look_ms = g->came_ms + LOGIN_MS;
	char token[TICKET_TEXT_MAX + 1];
	size_t n = buf_len(&g->out);

	if (n)
		memcpy(token, buf_data(&g->out), n);
	buf_clear(&g->out);
	if (n) {
		g->must_login = true; /* it says that it is somebody: nobody else will do */
		login(g, token, NULL);
		if (!g->ticket)
			return;
	}
	if (hall_enter(g) < 0) {
		ws_drop(g->conn);
		return;
	}
	sooner(&look_ms, g->came_ms + g->hall->config.ping_s * 1000);
	look_at(g, look_ms, clock_mono_ms());
	if (g->notify && g->ticket)
		notify_enter(g);
	else if (!g->notify && g->place->known)
		guest_greet(g);
}

/*
 * What its author's place in the room does not decide, but the words: NULL, or the notice that refuses
 * it.  It may come to be held.
 */
static const char *
look(const struct guest *g, struct chat_ask *a, const struct room_verdict *v, int64_t now_ms)
{
	const struct hall *h = g->hall;
	const char *author;

	if (a->kind == CHAT_EMOTE && !emotes_find(h->emotes, g->stream, a->emote, &a->spots[0]))
		return "emote_unknown";
	if (a->kind == CHAT_EMOTE)
		a->spot_count = a->spots[0].url != NULL;
	if ((a->kind == CHAT_APPROVE || a->kind == CHAT_DENY) && (author = room_author(g->place->room, a->id)))
		snprintf(a->user, sizeof(a->user), "%s", author);
	if (a->kind != CHAT_MESSAGE)
		return NULL;
	a->spot_count = emotes_mark(h->emotes, g->stream, a->text, a->spots);
	if (g->ticket->role != TICKET_VIEWER)
		return NULL;
	if (words_in(h->blocked, g->stream, a->text))
		return "blocked_word";
	a->why = v->hold ? v->hold : words_in(h->suspect, g->stream, a->text) ? "word" : NULL;
	if (!a->why)
		return NULL;
	a->kind = CHAT_HELD;
	return room_can_hold(g->place->room, g->ticket->user, now_ms) ? NULL : "busy";
}

void
guest_message(void *user, const char *text, size_t n)
{
	struct guest *g = user;
	int64_t now_ms = clock_wall_ms();
	struct room_verdict v;
	char body[ROOM_BODY_MAX];
	struct chat_ask a;
	const char *no;
	int size;

	if (g->second != (int)(now_ms / 1000)) {
		g->second = (int)(now_ms / 1000);
		g->frames = 0;
	}
	if (!g->place)
		return;
	if (++g->frames > FRAMES_PER_S && !(g->ticket && g->ticket->role == TICKET_SERVICE)) {
		guest_end(g, 4429, "too_many_messages");
		return;
	}
	if (chat_read(&a, text, n, &no) < 0) {
		guest_notice(g, no, a.ref, NULL);
		return;
	}
	if (a.kind == CHAT_AUTH) {
		login(g, a.token, a.ref);
		return;
	}
	if (!g->greeted) {
		guest_notice(g, g->notify ? "unknown_type" : "unavailable", a.ref, NULL);
		return;
	}
	no = room_judge(g->place->room, g->ticket, &a, now_ms, &v);
	if (!no && g->hall->books && (a.kind == CHAT_MESSAGE || a.kind == CHAT_EMOTE))
		no = books_judge(g->hall->books, g->stream, g->ticket, now_ms, &v.until_ms);
	if (!no)
		no = look(g, &a, &v, now_ms);
	if (no) {
		guest_notice(g, no, a.ref, &v);
		return;
	}
	if ((size = room_body(g->place->room, body, &a, g->ticket, now_ms)) < 0)
		guest_notice(g, "bad_message", a.ref, NULL);
	else
		hall_post(g, &a, body, (size_t)size);
}

void
guest_writable(void *user)
{
	guest_pump(user);
}

void
guest_closed(void *user)
{
	struct guest *g = user;
	struct post *p;

	for (p = g->posts; p; p = p->next)
		p->guest = NULL;
	ev_timer_stop(g->hall->loop, &g->due);
	notify_leave(g);
	if (g->place)
		hall_leave(g);
	hall_uncount(&g->hall->addresses, &g->address);
	hall_uncount(&g->hall->users, &g->user);
	buf_free(&g->out);
	free(g->ticket);
	free(g);
}
