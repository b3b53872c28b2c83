#include "chat.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "names.h"
#include "text.h"

static const char *const kinds[] = { [CHAT_AUTH] = "auth", [CHAT_HISTORY] = "history",
	[CHAT_MESSAGE] = "message", [CHAT_EMOTE] = "emote", [CHAT_HELD] = "held", [CHAT_DELETE] = "delete", [CHAT_TIMEOUT] = "timeout",
	[CHAT_BAN] = "ban", [CHAT_UNBAN] = "unban", [CHAT_CLEAR] = "clear", [CHAT_MODES] = "modes",
	[CHAT_PIN] = "pin", [CHAT_UNPIN] = "unpin",
	[CHAT_APPROVE] = "approve", [CHAT_DENY] = "deny", [CHAT_SUB] = "sub", [CHAT_GIFT] = "gift",
	[CHAT_RAID] = "raid" };

static const struct {
	const char *id, *text;
} notices[] = {
	{ "bad_message", "This is no message that the chat understands." },
	{ "unknown_type", "This type of message is not known." },
	{ "text_missing", "There is nothing in the message." },
	{ "text_too_long", "A message has 500 characters at most." },
	{ "text_refused", "The message holds characters that are not let through." },
	{ "blocked_word", "There is a word in it that is not written here." },
	{ "links_refused", "Links are not written here now." },
	{ "emote_unknown", "There is no such emote here." },
	{ "held", "A moderator looks at it first." },
	{ "held_denied", "A moderator did not let it through." },
	{ "held_expired", "No moderator looked at it in time." },
	{ "field_missing", "A field of the message is missing or out of bounds." },
	{ "login_required", "Log in to write." },
	{ "token_refused", "The token is not good here; get a new one." },
	{ "token_expired", "The token is over; get a new one." },
	{ "no_permission", "Only moderators may do this." },
	{ "banned", "You are banned from this chat." },
	{ "timed_out", "You may not write for a while." },
	{ "followers_only", "Only followers may write now." },
	{ "subs_only", "Only subscribers may write now." },
	{ "emote_only", "Only emotes may be sent now." },
	{ "unique_only", "This was said already; say something new." },
	{ "duplicate", "This message arrived before." },
	{ "message_unknown", "There is no such message any more." },
	{ "too_many_bans", "The room has too many bans." },
	{ "unavailable", "The chat cannot take messages now; try again." },
	{ "busy", "Too much at once; wait for the answers." },
};

const char *
chat_notice_text(const char *notice)
{
	size_t i;

	for (i = 0; i < sizeof(notices) / sizeof(*notices); i++)
		if (!strcmp(notices[i].id, notice))
			return notices[i].text;
	return notice;
}

const char *
chat_kind_text(enum chat_kind kind)
{
	return kinds[kind];
}

int
chat_kind(const char *text)
{
	return NAMES_FIND(kinds, text);
}

static const char *const links[] = { [CHAT_LINKS_ALL] = "all", [CHAT_LINKS_SUBS] = "subs",
	[CHAT_LINKS_MODS] = "mods", [CHAT_LINKS_HOLD] = "hold" };

const char *
chat_links_text(enum chat_links who)
{
	return links[who];
}

int
chat_links(const char *text)
{
	return NAMES_FIND(links, text);
}

static int
number(const char **text, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	*out = strtoull(*text, &end, 10);
	*text = end;
	return errno ? -EINVAL : 0;
}

int
chat_id_read(struct chat_id *id, const char *text)
{
	struct chat_id got;

	if (number(&text, &got.ms) < 0 || *text++ != '-' || number(&text, &got.seq) < 0 || *text)
		return -EINVAL;
	*id = got;
	return 0;
}

const char *
chat_id_text(char text[CHAT_ID_TEXT], struct chat_id id)
{
	snprintf(text, CHAT_ID_TEXT, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
	return text;
}

int
chat_id_order(struct chat_id a, struct chat_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

/* An optional field: absent is fine and empty, anything but a good word is not. */
static bool
word(char *to, size_t max, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!v)
		return true;
	if (!s || !ticket_word_good(s, n, max))
		return false;
	memcpy(to, s, n + 1);
	return true;
}

static bool
whole(int64_t *to, const json_t *o, const char *key, int64_t min, int64_t max)
{
	const json_t *v = json_object_get(o, key);

	*to = json_integer_value(v);
	return json_is_integer(v) && *to >= min && *to <= max;
}

static bool
flag(bool *to, bool *has, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	*has = v != NULL;
	*to = json_is_true(v);
	return !v || json_is_boolean(v);
}

static const char *
take_text(struct chat_ask *a, const json_t *o)
{
	const json_t *v = json_object_get(o, "text");
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s || text_blank(s, n))
		return "text_missing";
	if (n > CHAT_TEXT_MAX * 4 || text_count(s, n) > CHAT_TEXT_MAX)
		return "text_too_long";
	if (!text_plain(s, n))
		return "text_refused";
	memcpy(a->text, s, n + 1);
	return NULL;
}

bool
chat_emote_good(const char *s)
{
	return *s && s[strspn(s, CHAT_EMOTE_CHARS)] == '\0';
}

static bool
take_modes(struct chat_ask *a, const json_t *o)
{
	const json_t *who = json_object_get(o, "links");
	const char *text = json_string_value(who);
	int64_t n = 0;

	a->has_links = who != NULL;
	if (who && (!text || (n = chat_links(text)) < 0))
		return false;
	a->modes.links = (enum chat_links)n;
	n = 0;
	a->has_slow = json_object_get(o, "slow") != NULL;
	if (a->has_slow && !whole(&n, o, "slow", 0, CHAT_SLOW_MAX_S))
		return false;
	a->modes.slow_s = (int)n;
	n = -1;
	a->has_followers = json_object_get(o, "followers") != NULL;
	if (a->has_followers && !whole(&n, o, "followers", -1, CHAT_FOLLOWERS_MAX_MIN))
		return false;
	a->modes.followers_min = (int)n;
	return flag(&a->modes.subs, &a->has_subs, o, "subs") &&
		flag(&a->modes.emote, &a->has_emote, o, "emote") &&
		flag(&a->modes.unique, &a->has_unique, o, "unique") &&
		(a->has_slow || a->has_followers || a->has_subs || a->has_emote || a->has_unique || a->has_links);
}

/* Somebody else's event: who, under which name, which tier, how many. */
static bool
take_event(struct chat_ask *a, const json_t *o)
{
	int64_t tier = 1, count = 1;

	if (!*a->user || !word(a->name, TICKET_NAME_MAX, o, "name"))
		return false;
	if (a->kind != CHAT_RAID && json_object_get(o, "tier") && !whole(&tier, o, "tier", 1, 100))
		return false;
	if (a->kind == CHAT_GIFT && !whole(&count, o, "count", 1, CHAT_GIFTS_MAX))
		return false;
	if (a->kind == CHAT_RAID && !whole(&count, o, "viewers", 0, 100000000))
		return false;
	a->tier = (int)tier;
	a->count = (int)count;
	return true;
}

static bool
take_history(struct chat_ask *a, const json_t *o)
{
	int64_t count = CHAT_HISTORY_MAX / 2;

	if (json_object_get(o, "count") && !whole(&count, o, "count", 1, CHAT_HISTORY_MAX))
		return false;
	a->count = (int)count;
	return true;
}

static const char *
take(struct chat_ask *a, const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type")), *s;
	int kind;

	if (!type)
		return "bad_message";
	if (!word(a->ref, CHAT_REF_MAX, o, "ref"))
		return "field_missing";
	if ((kind = chat_kind(type)) < 0 || kind == CHAT_HELD)
		return "unknown_type";
	a->kind = (enum chat_kind)kind;
	if (!word(a->user, TICKET_USER_MAX, o, "user") || !word(a->reason, CHAT_REASON_MAX, o, "reason"))
		return "field_missing";
	s = json_string_value(json_object_get(o, kind == CHAT_MESSAGE ? "reply" : "id"));
	if (s && !(a->has_id = chat_id_read(&a->id, s) == 0))
		return "field_missing";
	switch (a->kind) {
	case CHAT_AUTH:
		if (!word(a->token, TICKET_TEXT_MAX, o, "token") || !*a->token)
			return "field_missing";
		return NULL;
	case CHAT_HISTORY:
		return take_history(a, o) ? NULL : "field_missing";
	case CHAT_MESSAGE:
		return take_text(a, o);
	case CHAT_EMOTE:
		if (!word(a->emote, CHAT_EMOTE_MAX, o, "emote") || !chat_emote_good(a->emote))
			return "field_missing";
		return NULL;
	case CHAT_DELETE:
	case CHAT_PIN:
	case CHAT_APPROVE:
	case CHAT_DENY:
		return a->has_id ? NULL : "field_missing";
	case CHAT_TIMEOUT:
		return *a->user && whole(&a->seconds, o, "seconds", 1, CHAT_TIMEOUT_MAX_S) ? NULL : "field_missing";
	case CHAT_BAN:
	case CHAT_UNBAN:
		return *a->user ? NULL : "field_missing";
	case CHAT_MODES:
		return take_modes(a, o) ? NULL : "field_missing";
	case CHAT_SUB:
	case CHAT_GIFT:
	case CHAT_RAID:
		return take_event(a, o) ? NULL : "field_missing";
	default:
		return NULL;
	}
}

int
chat_read(struct chat_ask *a, const char *text, size_t n, const char **notice)
{
	json_t *o = n <= CHAT_FRAME_MAX ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;

	memset(a, 0, sizeof(*a));
	*notice = json_is_object(o) ? take(a, o) : "bad_message";
	json_decref(o);
	return *notice ? -EBADMSG : 0;
}
