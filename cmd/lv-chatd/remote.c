/*
 * Rooms that several boxes share, in Redis.  A stream holds the entries of a room, and its ids are
 * theirs; one script, post.lua, checks the limit, adds the entry, does to the stream what moderation does, and
 * publishes it, so that all boxes have one order and one history.
 *
 *   stream_chat:STREAM        the last 1000 entries: e the entry, u whose it is, k its kind
 *   chat_state:STREAM         floor: the last id that is no more in the stream; modes, pin: entries
 *   chat_bans:STREAM          user to the entry that banned him
 *   chat_limit:USER:STREAM    when the user wrote last
 *   chat_ref:USER:STREAM:REF  the id of what he said with this ref, for five minutes
 *   chat:STREAM               published: "ID ENTRY", or "v BOX VIEWERS"
 *   notify:USER, inbox:USER   published, and a list of, what lv-notify tells
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "hash.h"
#include "redis.h"

#define KEY_MAX 320

static const char post_script[] =
#include "post.lua.inc"
	;
static const char fill_script[] =
#include "fill.lua.inc"
	;

struct remote {
	struct hall *hall;
	struct redis *redis;
	char *password;
	uint64_t box; /* who we are among those who count viewers */
	char post_sha[48], fill_sha[48];
	bool ready, away; /* both scripts are there; nothing to wait for */
};

static struct redis_word
word(const char *text)
{
	return (struct redis_word){ text, strlen(text) };
}

static bool
key_of(char key[KEY_MAX], const char *kind, const char *stream)
{
	return snprintf(key, KEY_MAX, "%s:%s", kind, stream) < KEY_MAX;
}

static struct place *
place_of(struct remote *r, const char *channel)
{
	return strncmp(channel, "chat:", 5) ? NULL : table_find(&r->hall->places, channel + 5);
}

static int
apply(struct hall *h, struct place *p, const char *id_text, const char *body, size_t n)
{
	struct chat_id id;

	if (!id_text || !body || chat_id_read(&id, id_text) < 0)
		return -EBADMSG;
	return hall_apply(h, p, id, body, n);
}

static void fill(struct remote *, struct place *);

static void
on_filled(void *ctx, void *about, const struct redis_reply *reply)
{
	const struct redis_reply *state = redis_item(reply, 1), *log = redis_item(reply, 2), *entry;
	struct remote *r = ctx;
	char *stream = about;
	struct place *p = table_find(&r->hall->places, stream);
	struct chat_id floor;
	const char *text, *id;
	size_t i, n;

	free(stream);
	if (!p)
		return;
	p->filling = false;
	if (!redis_count(reply)) { /* the link is down, and comes back; until then there is what we have */
		if (redis_error(reply))
			warning(0, "Redis: %s", redis_error(reply));
		hall_known(p);
		return;
	}
	if ((id = redis_text(redis_item(reply, 0), &n)) && chat_id_read(&floor, id) == 0)
		room_floor(p->room, floor);
	for (i = 0; i < redis_count(state); i++)
		if ((text = redis_text(redis_item(state, i), &n)))
			room_restore(p->room, text, n);
	for (i = 0; i < redis_count(log); i++) {
		entry = redis_item(log, i);
		text = redis_text(redis_item(redis_item(entry, 1), 1), &n);
		apply(r->hall, p, redis_text(redis_item(entry, 0), &(size_t){ 0 }), text, n);
	}
	hall_known(p);
	hall_said(r->hall, p);
	if (p->again)
		fill(r, p);
}

/* All that came after what is here; what is published meanwhile is in it, or makes for another one. */
static void
fill(struct remote *r, struct place *p)
{
	const char *stream = room_name(p->room);
	char log[KEY_MAX], state[KEY_MAX], bans[KEY_MAX], from[CHAT_ID_TEXT + 1] = "-";
	char *about = strdup(stream);

	if (room_head(p->room)) {
		from[0] = '(';
		chat_id_text(from + 1, room_last(p->room));
	}
	key_of(log, "stream_chat", stream);
	key_of(state, "chat_state", stream);
	key_of(bans, "chat_bans", stream);
	p->again = false;
	p->filling = true;
	struct redis_word words[] = { word("EVALSHA"), word(r->fill_sha), word("3"), word(log), word(state),
		word(bans), word(from) };
	if (!about || redis_call(r->redis, on_filled, about, words, 7) < 0) {
		free(about);
		p->filling = false;
		hall_known(p);
	}
}

static void
on_subscribed(void *ctx, const char *channel)
{
	struct remote *r = ctx;
	struct place *p = place_of(r, channel);

	if (p && !p->filling) /* not of notify:USER */
		fill(r, p);
	else if (p)
		p->again = true;
}

static void
viewers_heard(struct place *p, const char *text, uint64_t self)
{
	struct box *b, *oldest = p->boxes;
	uint64_t id;
	size_t viewers;

	if (sscanf(text, "v %" SCNx64 " %zu", &id, &viewers) != 2 || id == self)
		return;
	for (b = p->boxes; b < p->boxes + BOXES_MAX && b->id != id; b++)
		if (b->seen_ms < oldest->seen_ms)
			oldest = b;
	if (b == p->boxes + BOXES_MAX)
		b = oldest;
	*b = (struct box){ id, viewers, clock_mono_ms() };
}

static void
on_heard(void *ctx, const char *channel, const char *text, size_t n)
{
	struct remote *r = ctx;
	struct place *p = place_of(r, channel);
	size_t len = strcspn(text, " ");
	char id[CHAT_ID_TEXT];

	if (!strncmp(channel, "notify:", 7))
		notify_heard(r->hall, channel + 7, text, n, false);
	if (!p)
		return;
	if (*text == 'v') {
		viewers_heard(p, text, r->box);
	} else if (p->filling) {
		p->again = true;
	} else if (len < sizeof(id) && len < n) {
		memcpy(id, text, len);
		id[len] = '\0';
		apply(r->hall, p, id, text + len + 1, n - len - 1);
	}
}

static void
tell(const char *name, const char *why)
{
	struct event e;

	event_begin(&e, name);
	event_str(&e, "reason", why);
	event_send(&e);
}

/* Until it is back there is what this box has. */
static void
go_without(struct remote *r)
{
	struct place *p;

	r->ready = false;
	r->away = true;
	for (p = table_next(&r->hall->places, NULL); p; p = table_next(&r->hall->places, p)) {
		p->filling = p->again = false;
		hall_known(p);
	}
}

static void
on_loaded(void *ctx, void *about, const struct redis_reply *reply)
{
	struct remote *r = ctx;
	const char *sha;
	struct place *p;
	char channel[KEY_MAX];
	size_t n;

	if (!(sha = redis_text(reply, &n)) || n >= sizeof(r->post_sha)) {
		if (redis_error(reply)) /* "LOADING", say */
			redis_retry(r->redis, redis_error(reply));
		return;
	}
	memcpy(about, sha, n + 1);
	if (about != r->fill_sha)
		return;
	r->ready = true;
	r->away = false;
	tell("redis.back", NULL);
	for (p = table_next(&r->hall->places, NULL); p; p = table_next(&r->hall->places, p)) {
		if (!*room_name(p->room))
			continue;
		key_of(channel, "chat", room_name(p->room));
		redis_subscribe(r->redis, channel);
	}
	notify_again(r->hall);
}

static void
load(struct remote *r)
{
	r->ready = false;
	redis_call(r->redis, on_loaded, r->post_sha,
		(struct redis_word[]){ word("SCRIPT"), word("LOAD"), word(post_script) }, 3);
	redis_call(r->redis, on_loaded, r->fill_sha,
		(struct redis_word[]){ word("SCRIPT"), word("LOAD"), word(fill_script) }, 3);
}

static void
on_up(void *ctx)
{
	load(ctx);
}

static void
on_down(void *ctx, const char *why)
{
	struct remote *r = ctx;

	if (!r->away) {
		warning(0, "Redis is away: %s", why);
		tell("redis.away", why);
	}
	go_without(r);
}

static void
on_took(void *ctx, double seconds)
{
	(void)ctx;
	metrics_observe(&chat_figures.redis, seconds);
}

int
remote_new(struct remote **out, struct hall *hall, const char *url, const char *password)
{
	struct remote *r = calloc(1, sizeof(*r));
	struct redis_config config = { .ctx = r, .url = url, .up = on_up, .down = on_down,
		.subscribed = on_subscribed, .heard = on_heard, .took = on_took };
	int e = -ENOMEM;

	if (!r || (password && !(r->password = strdup(password))))
		goto fail;
	r->hall = hall;
	config.password = r->password;
	if ((e = hash_random(&r->box, sizeof(r->box))) < 0 || (e = redis_new(&r->redis, hall->loop, &config)) < 0)
		goto fail;
	*out = r;
	return 0;
fail:
	if (r)
		free(r->password);
	free(r);
	return e;
}

void
remote_free(struct remote **remote)
{
	struct remote *r = *remote;

	if (!r)
		return;
	redis_free(&r->redis);
	if (r->password)
		explicit_bzero(r->password, strlen(r->password));
	free(r->password);
	free(r);
	*remote = NULL;
}

bool
remote_is_away(const struct remote *r)
{
	return r->away;
}

void
remote_enter(struct remote *r, struct place *p)
{
	char channel[KEY_MAX];

	key_of(channel, "chat", room_name(p->room));
	if (r->ready)
		redis_subscribe(r->redis, channel);
}

void
remote_leave(struct remote *r, struct place *p)
{
	char channel[KEY_MAX];

	key_of(channel, "chat", room_name(p->room));
	redis_unsubscribe(r->redis, channel);
}

static void
on_posted(void *ctx, void *about, const struct redis_reply *reply)
{
	struct remote *r = ctx;
	const char *error = redis_error(reply), *text;
	struct chat_id id;
	size_t n;

	if ((text = redis_text(reply, &n)) && chat_id_read(&id, text) == 0) {
		hall_posted(r->hall, about, &id, 0, NULL);
	} else if ((text = redis_text(redis_item(reply, 0), &n)) && chat_id_read(&id, text) == 0) {
		hall_posted(r->hall, about, &id, 0, "duplicate");
	} else if (redis_int(reply) > 0) {
		hall_posted(r->hall, about, NULL, redis_int(reply), NULL);
	} else if (redis_int(reply) < 0) { /* another moderator was faster */
		hall_posted(r->hall, about, NULL, 0, "message_unknown");
	} else {
		if (error)
			warning(0, "Redis: %s", error);
		if (error && !strncmp(error, "NOSCRIPT", 8) && r->ready)
			load(r); /* somebody flushed the scripts */
		hall_posted(r->hall, about, NULL, 0, "unavailable");
	}
}

int
remote_post(struct remote *r, struct place *p, struct post *post, const char *body, size_t n, bool limited,
	int64_t pause_ms, const struct chat_ask *a)
{
	const struct chatd_config *c = &r->hall->config;
	const char *stream = room_name(p->room);
	char log[KEY_MAX], limit[KEY_MAX], state[KEY_MAX], bans[KEY_MAX], channel[KEY_MAX], who[KEY_MAX];
	char max[16], window[16], pause[24], id[CHAT_ID_TEXT] = "", ref[KEY_MAX] = "";

	if (!r->ready)
		return -ENOTCONN;
	key_of(log, "stream_chat", stream);
	key_of(who, post->by, stream);
	if (!key_of(limit, "chat_limit", who) || (*post->ref && snprintf(ref, KEY_MAX, "chat_ref:%s:%s", who, post->ref) >= KEY_MAX))
		return -EMSGSIZE;
	key_of(state, "chat_state", stream);
	key_of(bans, "chat_bans", stream);
	key_of(channel, "chat", stream);
	snprintf(max, sizeof(max), "%d", limited ? c->messages : 0);
	snprintf(window, sizeof(window), "%d", c->window_ms);
	snprintf(pause, sizeof(pause), "%" PRId64, pause_ms);
	if (a->kind == CHAT_DELETE || a->kind == CHAT_APPROVE || a->kind == CHAT_DENY)
		chat_id_text(id, a->id);
	struct redis_word words[] = { word("EVALSHA"), word(r->post_sha), word("5"), word(log), word(limit),
		word(state), word(bans), word(ref), word(channel), { body, n },
		word(a->kind >= CHAT_SUB || a->kind == CHAT_APPROVE ? post->user : post->by), word(chat_kind_text(a->kind)), word(max),
		word(window), word(pause), word(*id ? id : post->user) };
	return redis_call(r->redis, on_posted, post, words, 16);
}

void
remote_tell_viewers(struct remote *r, struct place *p)
{
	char channel[KEY_MAX], text[64];

	key_of(channel, "chat", room_name(p->room));
	p->published = p->count;
	snprintf(text, sizeof(text), "v %" PRIx64 " %zu", r->box, p->count);
	redis_call(r->redis, NULL, NULL, (struct redis_word[]){ word("PUBLISH"), word(channel), word(text) }, 3);
}

void
remote_follow(struct remote *r, const char *user)
{
	char channel[KEY_MAX];

	if (r->ready && key_of(channel, "notify", user))
		redis_subscribe(r->redis, channel);
}

void
remote_unfollow(struct remote *r, const char *user)
{
	char channel[KEY_MAX];

	if (key_of(channel, "notify", user))
		redis_unsubscribe(r->redis, channel);
}

static void
on_inbox(void *ctx, void *about, const struct redis_reply *reply)
{
	struct remote *r = ctx;
	struct buf text = { 0 };
	char *user = about;
	const char *message;
	size_t i, n;

	buf_printf(&text, "{\"type\":\"inbox\",\"messages\":[");
	for (i = redis_count(reply); i > 0; i--) { /* the newest is the first there, and the last here */
		if (!(message = redis_text(redis_item(reply, i - 1), &n)) || !n || *message != '{')
			continue;
		buf_append(&text, ",", buf_data(&text)[buf_len(&text) - 1] != '[');
		buf_append(&text, message, n);
	}
	buf_printf(&text, "]}");
	if (reply && !redis_error(reply) && !text.error)
		notify_heard(r->hall, user, (char *)buf_data(&text), buf_len(&text), true);
	buf_free(&text);
	free(user);
}

void
remote_inbox(struct remote *r, const char *user)
{
	char key[KEY_MAX], *about = strdup(user);

	if (!about || !key_of(key, "inbox", user) || !r->ready ||
		redis_call(r->redis, on_inbox, about,
			(struct redis_word[]){ word("LRANGE"), word(key), word("0"), word("49") }, 4) < 0)
		free(about);
}
