/* A guest that is here: what it is sent, and whether it still listens. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "chatd.h"
#include "clock.h"
#include "die.h"
#include "event.h"

#define LOGIN_MS 5000
#define SILENT_PINGS 3    /* unanswered for so many times --ping-s, and it is gone */
#define BEHIND_MS 30000   /* nothing taken for so long, and it is cut */
#define OUT_MAX (64 << 10)

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

void
guest_say_json(struct guest *g, struct json *j)
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
	guest_say_json(g, &j);
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
	guest_say_json(g, &j);
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
	guest_say_json(g, &j);
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
	guest_say_json(g, &j);
}

/* What waits, and is older than what the guest is going to read.  Bounded: once a connection. */
void
guest_show_all_held(struct guest *g)
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
	if (g->pinged && g->pinged_ms <= heard_ms) {
		g->pinged_ms = heard_ms;
		g->unanswered = 0;
	}
	if (now_ms - g->pinged_ms >= ping_ms) {
		if (g->unanswered + 1 == SILENT_PINGS) {
			cut(g, "not there any more");
			return;
		}
		g->unanswered += g->pinged; /* counted: after a sleep of our own nobody has been asked for long */
		g->pinged = true;
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

void
guest_watch(struct guest *g)
{
	int64_t look_ms = g->came_ms + LOGIN_MS;

	ev_timer_init(&g->due, on_due, 0, 0);
	g->due.data = g;
	/* Those who came at once are not pinged at once: the first ping is one more, somewhere in the interval. */
	g->pinged_ms = g->came_ms - chance((unsigned)g->hall->config.ping_s * 1000);
	sooner(&look_ms, g->pinged_ms + g->hall->config.ping_s * 1000);
	look_at(g, look_ms, clock_mono_ms());
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
