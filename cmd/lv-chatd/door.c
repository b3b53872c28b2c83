/* At the door: a guest's handshake, who it says that it is, and the first it is told of the room. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chatd.h"
#include "cidr.h"
#include "clock.h"
#include "die.h"
#include "web.h"

#define FAILURES_MAX 5

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
	guest_say_json(g, &j);
}

/* The token says who it is; another person does not take over a connection. */
void
guest_login(struct guest *g, const char *token, const char *ref)
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
	if (g->place && g->place->known && !g->notify && !g->greeted)
		guest_greet(g);
	else
		guest_show_all_held(g);
	if (g->notify && !g->listeners && g->place)
		notify_enter(g);
}

/* Who says nothing takes a place too; twice as many as may come in, so that who is over is told in HTTP. */
int
door_arrived(void *ctx, const char *remote, void **mark)
{
	struct hall *h = ctx;
	int most = h->config.per_address, r;
	struct count *c = NULL;
	char who[48];

	cidr_customer(who, remote);
	r = hall_count(&h->arrivals, &c, who, most > INT_MAX / 2 ? most : 2 * most);
	*mark = c;
	return r;
}

void
door_left(void *ctx, void *mark)
{
	struct hall *h = ctx;
	struct count *c = mark;

	hall_uncount(&h->arrivals, &c);
}

int
guest_open(void *ctx, struct ws_conn *c, void **user)
{
	char path[64], stream[TICKET_STREAM_MAX + 1], origin[256], offset[CHAT_ID_TEXT];
	char token[TICKET_TEXT_MAX + 1], address[48];
	struct hall *h = ctx;
	struct guest *g;
	bool notify;
	int n, r;

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
	cidr_customer(address, ws_remote(c));
	if ((r = hall_count(&h->addresses, &g->address, address, h->config.per_address)) < 0) {
		free(g);
		return r == -EMFILE ? 429 : 503;
	}
	g->hall = h;
	g->conn = c;
	g->came_ms = clock_mono_ms();
	g->has_offset = *offset; /* one that cannot be read is 0-0, after which not all is known */
	chat_id_read(&g->offset, offset);
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
	guest_say_json(g, &j);
	guest_show_all_held(g);
}

void
guest_opened(void *user)
{
	struct guest *g = user;
	char token[TICKET_TEXT_MAX + 1];
	size_t n = buf_len(&g->out);

	if (n)
		memcpy(token, buf_data(&g->out), n);
	buf_clear(&g->out);
	if (n) {
		g->must_login = true; /* it says that it is somebody: nobody else will do */
		guest_login(g, token, NULL);
		if (!g->ticket)
			return;
	}
	if (hall_enter(g) < 0) {
		ws_drop(g->conn);
		return;
	}
	guest_watch(g);
	if (g->notify && g->ticket)
		notify_enter(g);
	else if (!g->notify && !g->must_login && g->place->known)
		guest_greet(g);
}
