/* Who may say what in a room, and the entry that it becomes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "room_parts.h"
#include "text.h"

/* Who may not speak; bans that are over are forgotten on the way. */
static struct ban *
ban_find(struct room *r, const char *user, int64_t now_ms)
{
	struct ban *b = table_find(&r->bans, user);

	if (!b || !b->until_ms || b->until_ms > now_ms)
		return b;
	table_drop(&r->bans, &b->item);
	free(b);
	return NULL;
}

bool
room_bans(const struct room *r, const char *user)
{
	return table_find(&r->bans, user);
}

static const char *
judge_message(struct room *r, const struct ticket *t, const struct chat_ask *a, int64_t now_ms,
	struct room_verdict *v)
{
	const struct ban *b = t->role >= TICKET_OWNER ? NULL : ban_find(r, t->user, now_ms);
	uint64_t said = table_hash(a->text, strlen(a->text)), ref = room_ref(t->user, a->ref), n;

	if (b && (b->by_owner || t->role < TICKET_MOD)) {
		v->until_ms = b->until_ms;
		return b->until_ms ? "timed_out" : "banned";
	}
	for (n = r->head; ref && n > r->first; n--)
		if (line_at(r, n - 1)->ref == ref &&
			line_at(r, n - 1)->id.ms + ROOM_RESENT_MS > (uint64_t)now_ms) {
			v->twin = line_at(r, n - 1)->id;
			return "duplicate";
		}
	if (t->role != TICKET_VIEWER)
		return NULL;
	if (r->modes.subs && !t->tier)
		return "subs_only";
	if (r->modes.followers_min >= 0 && !t->tier &&
		(!t->followed_s || t->followed_s > now_ms / 1000 - r->modes.followers_min * 60))
		return "followers_only";
	if (r->modes.emote && a->kind != CHAT_EMOTE)
		return "emote_only";
	if (r->modes.links != CHAT_LINKS_ALL && a->kind == CHAT_MESSAGE && text_link(a->text, strlen(a->text))) {
		if (r->modes.links == CHAT_LINKS_HOLD)
			v->hold = "link";
		else if (r->modes.links == CHAT_LINKS_MODS || !t->tier)
			return "links_refused";
	}
	for (n = r->head; r->modes.unique && a->kind == CHAT_MESSAGE && n > r->first; n--)
		if (line_at(r, n - 1)->said == said && !line_at(r, n - 1)->dead)
			return "unique_only";
	return NULL;
}

const char *
room_judge(struct room *r, const struct ticket *t, const struct chat_ask *a, int64_t now_ms,
	struct room_verdict *v)
{
	const struct line *l;
	const char *no;

	*v = (struct room_verdict){ 0 };
	if (!t)
		return "login_required";
	if (t->exp_s <= now_ms / 1000)
		return "token_expired";
	if (a->kind == CHAT_MESSAGE || a->kind == CHAT_EMOTE) {
		if ((no = judge_message(r, t, a, now_ms, v)))
			return no;
	} else if (a->kind >= CHAT_SUB) {
		return t->role == TICKET_SERVICE ? NULL : "no_permission";
	} else if (t->role < TICKET_MOD || a->kind < CHAT_MESSAGE) {
		return "no_permission";
	}
	if (a->has_id && (!(l = room_line(r, a->id)) || l->dead ||
		!(a->kind == CHAT_APPROVE || a->kind == CHAT_DENY ? is_waiting(l, now_ms) : is_said(l->kind))))
		return "message_unknown";
	if ((a->kind == CHAT_BAN || a->kind == CHAT_TIMEOUT) && r->bans.count >= ROOM_BANS_MAX &&
		!table_find(&r->bans, a->user))
		return "too_many_bans";
	return NULL;
}

int64_t
room_pause_ms(const struct room *r, const struct ticket *t)
{
	return t->role == TICKET_VIEWER ? r->modes.slow_s * 1000 : 0;
}

static void
say_modes(struct json *j, const struct chat_modes *m)
{
	json_int(j, "slow", m->slow_s);
	json_int(j, "followers", m->followers_min);
	json_bool(j, "subs", m->subs);
	json_bool(j, "emote", m->emote);
	json_bool(j, "unique", m->unique);
	json_str(j, "links", chat_links_text(m->links));
}

void
room_say_modes(const struct room *r, struct json *j)
{
	say_modes(j, &r->modes);
}

void
room_say_pin(const struct room *r, struct json *j)
{
	if (r->pin)
		json_raw(j, "pin", r->pin);
}

static void
say_author(struct json *j, const struct ticket *t)
{
	char text[TICKET_BADGES * (TICKET_BADGE_MAX * 2 + 3) + 3];
	json_t *badges;
	size_t i;

	json_str(j, "user", t->user);
	json_str(j, "name", t->name);
	if (t->role != TICKET_VIEWER)
		json_str(j, "role", ticket_role_text(t->role));
	if (t->tier)
		json_int(j, "tier", t->tier);
	if (!t->badge_count)
		return;
	badges = json_array();
	for (i = 0; i < t->badge_count; i++)
		json_array_append_new(badges, json_string(t->badges[i]));
	i = json_dumpb(badges, text, sizeof(text) - 1, JSON_COMPACT);
	json_decref(badges);
	if (i && i < sizeof(text)) {
		text[i] = '\0';
		json_raw(j, "badges", text);
	}
}

static void
say_moderation(const struct room *r, struct json *j, const struct chat_ask *a, const struct ticket *t,
	int64_t now_ms)
{
	struct chat_modes m = r->modes;
	char text[CHAT_ID_TEXT];
	const struct line *l;

	if (a->kind == CHAT_MODES) {
		m.slow_s = a->has_slow ? a->modes.slow_s : m.slow_s;
		m.followers_min = a->has_followers ? a->modes.followers_min : m.followers_min;
		m.subs = a->has_subs ? a->modes.subs : m.subs;
		m.emote = a->has_emote ? a->modes.emote : m.emote;
		m.unique = a->has_unique ? a->modes.unique : m.unique;
		m.links = a->has_links ? a->modes.links : m.links;
		say_modes(j, &m);
	}
	if (a->has_id)
		json_str(j, "target", chat_id_text(text, a->id));
	if (*a->user)
		json_str(j, "user", a->user);
	if (a->kind == CHAT_TIMEOUT) {
		json_int(j, "seconds", a->seconds);
		json_int(j, "until", now_ms + a->seconds * 1000);
	}
	if (*a->reason)
		json_str(j, "reason", a->reason);
	json_str(j, "by", t->user);
	json_str(j, "role", ticket_role_text(t->role));
	if (a->kind == CHAT_PIN && (l = room_line(r, a->id)))
		json_raw(j, "message", (const char *)l->frame + l->head);
}

/* A held message is said, now, in its author's name. */
static int
approved(const struct room *r, char body[ROOM_BODY_MAX], const struct chat_ask *a, const struct ticket *t,
	int64_t now_ms)
{
	const struct line *l = room_line(r, a->id);
	json_t *o = l ? json_loadb((const char *)l->frame + l->head, l->size - l->head, 0, NULL) : NULL;
	size_t n;

	json_object_set(o, "held", json_object_get(o, "id"));
	json_object_del(o, "id");
	json_object_del(o, "why");
	json_object_set_new(o, "type", json_string(chat_kind_text(CHAT_MESSAGE)));
	json_object_set_new(o, "ts", json_integer(now_ms));
	json_object_set_new(o, "by", json_string(t->user));
	n = o ? json_dumpb(o, body, ROOM_BODY_MAX, JSON_COMPACT) : 0;
	json_decref(o);
	return n && n <= ROOM_BODY_MAX ? (int)n : -EMSGSIZE;
}

static void
say_spots(struct json *j, const struct chat_ask *a)
{
	char text[CHAT_SPOTS_MAX * 256];
	struct json spot;
	size_t n = 0;
	int i;

	if (!a->spot_count)
		return;
	for (i = 0; i < a->spot_count; i++) {
		text[n++] = i ? ',' : '[';
		json_begin(&spot, text + n, sizeof(text) - n - 1);
		json_str(&spot, "emote", a->spots[i].name);
		json_int(&spot, "from", a->spots[i].from);
		json_int(&spot, "to", a->spots[i].to);
		json_str(&spot, "url", a->spots[i].url);
		n += (size_t)json_end(&spot);
	}
	text[n] = ']';
	text[n + 1] = '\0';
	json_raw(j, "emotes", text);
}

int
room_body(const struct room *r, char body[ROOM_BODY_MAX], const struct chat_ask *a,
	const struct ticket *t, int64_t now_ms)
{
	char text[CHAT_ID_TEXT];
	struct json j;

	if (a->kind == CHAT_APPROVE)
		return approved(r, body, a, t, now_ms);
	json_begin(&j, body, ROOM_BODY_MAX);
	json_str(&j, "type", chat_kind_text(a->kind));
	json_int(&j, "ts", now_ms);
	if (a->kind == CHAT_MESSAGE || a->kind == CHAT_EMOTE || a->kind == CHAT_HELD) {
		say_author(&j, t);
		if (a->kind == CHAT_EMOTE)
			json_str(&j, "emote", a->emote);
		else
			json_str(&j, "text", a->text);
		say_spots(&j, a);
		json_str(&j, "why", a->why);
		if (a->has_id)
			json_str(&j, "reply", chat_id_text(text, a->id));
	} else if (a->kind >= CHAT_SUB) {
		json_str(&j, "user", a->user);
		if (*a->name)
			json_str(&j, "name", a->name);
		json_int(&j, a->kind == CHAT_RAID ? "viewers" : "tier",
			a->kind == CHAT_RAID ? a->count : a->tier);
		if (a->kind == CHAT_GIFT)
			json_int(&j, "count", a->count);
	} else {
		say_moderation(r, &j, a, t, now_ms);
	}
	if (*a->ref)
		json_str(&j, "ref", a->ref);
	return json_end(&j);
}
