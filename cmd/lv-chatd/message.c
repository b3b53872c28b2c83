/* What a guest says: how fast, whether it may, and on with it into the room. */
#include <stdio.h>

#include "chatd.h"
#include "clock.h"

#define FRAMES_PER_S 50

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

static void
tell_history(struct guest *g, const struct chat_ask *a)
{
	struct chat_id before = a->has_id ? a->id : (struct chat_id){ UINT64_MAX, UINT64_MAX };
	struct buf entries = { 0 };
	char text[ROOM_BATCH + 512];
	struct json j;
	bool more;

	buf_append(&entries, "[", 1);
	more = room_say_before(g->place->room, before, a->count, &entries);
	buf_append(&entries, "]", 2);
	json_begin(&j, text, sizeof(text));
	json_str(&j, "type", chat_kind_text(a->kind));
	if (!entries.error)
		json_raw(&j, "entries", (const char *)buf_data(&entries));
	json_bool(&j, "more", more);
	if (*a->ref)
		json_str(&j, "ref", a->ref);
	guest_say_json(g, &j);
	buf_free(&entries);
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
		guest_login(g, a.token, a.ref);
		return;
	}
	if (!g->greeted) {
		guest_notice(g, g->notify ? "unknown_type" : g->must_login ? "login_required" : "unavailable", a.ref, NULL);
		return;
	}
	if (a.kind == CHAT_HISTORY && !buf_len(&g->out)) {
		tell_history(g, &a);
		return;
	}
	no = a.kind == CHAT_HISTORY ? "busy" : room_judge(g->place->room, g->ticket, &a, now_ms, &v);
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
