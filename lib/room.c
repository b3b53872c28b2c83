#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bytes.h"
#include "room_parts.h"

size_t
frame_head(uint8_t head[FRAME_HEAD], size_t payload)
{
	head[0] = 0x81; /* the whole of a text message */
	if (payload < 126) {
		head[1] = (uint8_t)payload;
		return 2;
	}
	if (payload < 65536) {
		head[1] = 126;
		put_be16(head + 2, (uint32_t)payload);
		return 4;
	}
	head[1] = 127;
	put_be64(head + 2, payload);
	return 10;
}

int
room_new(struct room **out, const char *name, struct chat_id floor)
{
	struct room *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->modes.followers_min = -1;
	r->floor = r->last = floor;
	*out = r;
	return 0;
}

void
room_free(struct room **room)
{
	struct room *r = *room;

	if (!r)
		return;
	for (; r->first < r->head; r->first++)
		free(r->ring[r->first % ROOM_KEEP]);
	table_empty(&r->bans, free);
	buf_free(&r->batch.frames);
	free(r->pin);
	free(r);
	*room = NULL;
}

const char *
room_name(const struct room *r)
{
	return r->name;
}

struct chat_id
room_last(const struct room *r)
{
	return r->last;
}

struct chat_id
room_next_id(const struct room *r, int64_t now_ms)
{
	struct chat_id id = { (uint64_t)now_ms, 0 };

	if (id.ms <= r->last.ms)
		id = (struct chat_id){ r->last.ms, r->last.seq + 1 };
	return id;
}

struct line *
room_line(const struct room *r, struct chat_id id)
{
	uint64_t n;

	for (n = r->head; n > r->first; n--)
		if (!chat_id_order(line_at(r, n - 1)->id, id))
			return line_at(r, n - 1);
	return NULL;
}

uint64_t
room_ref(const char *user, const char *ref)
{
	return *ref ? table_hash(user, strlen(user)) * 31 + table_hash(ref, strlen(ref)) : 0;
}

static void
hide(struct room *r, struct line *l)
{
	r->held -= l->kind == CHAT_HELD && !l->dead;
	l->dead = true;
}

static void
unpin(struct room *r)
{
	free(r->pin);
	r->pin = NULL;
}

/* A message, and where it is pinned: what is taken away is not shown there either. */
static void
hide_message(struct room *r, struct line *l)
{
	uint64_t n;

	hide(r, l);
	for (n = r->head; n > r->first && line_at(r, n - 1) != l; n--)
		if (line_at(r, n - 1)->kind == CHAT_PIN && !chat_id_order(line_at(r, n - 1)->shows, l->id))
			hide(r, line_at(r, n - 1));
	if (!chat_id_order(r->pin_id, l->id))
		unpin(r);
}

static void
hide_user(struct room *r, const char *user) /* NULL: everybody */
{
	uint64_t n;

	for (n = r->first; n < r->head; n++)
		if (is_personal(line_at(r, n)->kind) && (!user || !strcmp(line_at(r, n)->user, user)))
			hide(r, line_at(r, n));
	if (!user || !strcmp(r->pin_user, user))
		unpin(r);
}

static int
ban_put(struct room *r, const char *user, int64_t until_ms, bool by_owner)
{
	struct ban *b = table_find(&r->bans, user);

	if (!b) {
		if (r->bans.count >= ROOM_BANS_MAX)
			return -ENOSPC;
		if (!(b = calloc(1, sizeof(*b))))
			return -ENOMEM;
		snprintf(b->user, sizeof(b->user), "%s", user);
		if (table_add(&r->bans, &b->item, b->user) < 0) {
			free(b);
			return -ENOMEM;
		}
	}
	b->until_ms = until_ms;
	b->by_owner = by_owner;
	return 0;
}

static void
held_of(const struct line *l, struct room_held *h)
{
	*h = (struct room_held){ l->id, l->user, (const char *)l->frame + l->head, l->size - l->head };
}

static const char *
field(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* What an entry does to the room beside being read. */
static int
apply_effect(struct room *r, enum chat_kind kind, const json_t *o)
{
	const char *user = field(o, "user"), *role = field(o, "role");
	const json_t *message = json_object_get(o, "message");
	struct chat_id target;
	int links;
	struct line *l;
	struct ban *b;

	switch (kind) {
	case CHAT_MESSAGE: /* it may have been held */
	case CHAT_DELETE:
	case CHAT_DENY:
		if (chat_id_read(&target, field(o, kind == CHAT_MESSAGE ? "held" : "target")) == 0 &&
			(l = room_line(r, target)) && (kind == CHAT_DELETE || l->kind == CHAT_HELD)) {
			hide_message(r, l);
			r->denied = kind == CHAT_DENY ? l : NULL;
		}
		return 0;
	case CHAT_TIMEOUT:
	case CHAT_BAN:
		hide_user(r, user);
		return ban_put(r, user, json_integer_value(json_object_get(o, "until")),
			ticket_role(role) >= TICKET_OWNER);
	case CHAT_UNBAN:
		if ((b = table_find(&r->bans, user))) {
			table_drop(&r->bans, &b->item);
			free(b);
		}
		return 0;
	case CHAT_CLEAR:
		hide_user(r, NULL);
		return 0;
	case CHAT_MODES:
		links = chat_links(field(o, "links"));
		r->modes = (struct chat_modes){
			.slow_s = (int)json_integer_value(json_object_get(o, "slow")),
			.followers_min = (int)json_integer_value(json_object_get(o, "followers")),
			.subs = json_is_true(json_object_get(o, "subs")),
			.emote = json_is_true(json_object_get(o, "emote")),
			.unique = json_is_true(json_object_get(o, "unique")),
			.links = links < 0 ? CHAT_LINKS_ALL : (enum chat_links)links,
		};
		return 0;
	case CHAT_PIN:
	case CHAT_UNPIN:
		unpin(r);
		if (kind == CHAT_PIN && chat_id_read(&r->pin_id, field(message, "id")) == 0) {
			r->pin = json_dumps(message, JSON_COMPACT);
			snprintf(r->pin_user, sizeof(r->pin_user), "%s", field(message, "user"));
		}
		return 0;
	default:
		return 0;
	}
}

static struct line *
line_make(struct chat_id id, enum chat_kind kind, const json_t *o, const char *body, size_t n)
{
	const json_t *whose = kind == CHAT_PIN ? json_object_get(o, "message") : o;
	uint8_t head[FRAME_HEAD];
	char text[CHAT_ID_TEXT], start[CHAT_ID_TEXT + 16];
	size_t len = (size_t)snprintf(start, sizeof(start), "{\"id\":\"%s\",", chat_id_text(text, id));
	size_t h = frame_head(head, len + n - 1);
	struct line *l = calloc(1, sizeof(*l) + h + len + n);

	if (!l)
		return NULL;
	l->id = id;
	l->kind = kind;
	l->head = h;
	l->size = h + len + n - 1; /* and a NUL behind */
	snprintf(l->user, sizeof(l->user), "%s", field(whose, "user"));
	if (kind == CHAT_PIN)
		chat_id_read(&l->shows, field(whose, "id"));
	if (kind == CHAT_MESSAGE)
		l->said = table_hash(field(o, "text"), strlen(field(o, "text")));
	l->ref = room_ref(l->user, field(o, "ref"));
	memcpy(l->frame, head, h);
	memcpy(l->frame + h, start, len);
	memcpy(l->frame + h + len, body + 1, n - 1);
	return l;
}

int
room_apply(struct room *r, struct chat_id id, const char *body, size_t n)
{
	json_t *o = n > 2 && n <= ROOM_BODY_MAX && *body == '{' ? json_loadb(body, n, 0, NULL) : NULL;
	int kind = chat_kind(field(o, "type")), e = -EBADMSG;
	struct line *l;

	if (kind < CHAT_MESSAGE || kind == CHAT_APPROVE)
		goto out;
	e = -EEXIST;
	if (chat_id_order(id, r->last) <= 0)
		goto out;
	e = -ENOMEM;
	if (!(l = line_make(id, (enum chat_kind)kind, o, body, n)))
		goto out;
	r->denied = NULL;
	if (r->head - r->first == ROOM_KEEP) {
		r->floor = line_at(r, r->first)->id;
		hide(r, line_at(r, r->first));
		free(line_at(r, r->first++));
	}
	e = apply_effect(r, l->kind, o);
	r->ring[r->head++ % ROOM_KEEP] = l;
	r->held += l->kind == CHAT_HELD;
	if (is_secret(l->kind))
		r->secret_end = r->head;
	r->last = id;
	r->batch.to = 0; /* others may be dead now */
out:
	json_decref(o);
	return e;
}

void
room_floor(struct room *r, struct chat_id floor)
{
	if (r->head && chat_id_order(floor, r->last) <= 0)
		return;
	r->floor = r->last = floor; /* what came before it may have holes */
}

int
room_restore(struct room *r, const char *body, size_t n)
{
	json_t *o = n <= ROOM_BODY_MAX ? json_loadb(body, n, 0, NULL) : NULL;
	int kind = chat_kind(field(o, "type")), e = -EBADMSG;

	if (kind == CHAT_BAN || kind == CHAT_TIMEOUT || kind == CHAT_MODES || kind == CHAT_PIN)
		e = apply_effect(r, (enum chat_kind)kind, o);
	json_decref(o);
	return e;
}

bool
room_held(const struct room *r, uint64_t *at, int64_t now_ms, struct room_held *h)
{
	uint64_t n = *at < r->first ? r->first : *at;

	if (!r->held)
		return false;
	while (n < r->head && !is_waiting(line_at(r, n), now_ms))
		n++;
	*at = n + 1;
	if (n >= r->head)
		return false;
	held_of(line_at(r, n), h);
	return true;
}

bool
room_held_over(struct room *r, int64_t now_ms, struct room_held *h)
{
	struct line *l;
	uint64_t n;

	for (n = r->first; r->held && n < r->head; n++) {
		l = line_at(r, n);
		if (l->kind != CHAT_HELD || l->dead || is_waiting(l, now_ms))
			continue;
		hide(r, l);
		held_of(l, h);
		if (l->id.ms + 2 * ROOM_HELD_MS > (uint64_t)now_ms) /* else nobody waits any more */
			return true;
	}
	return false;
}

bool
room_denied(const struct room *r, struct room_held *h)
{
	if (r->denied)
		held_of(r->denied, h);
	return r->denied;
}

bool
room_can_hold(const struct room *r, const char *user, int64_t now_ms)
{
	uint64_t at = 0;
	struct room_held h;
	int all = 0, his = 0;

	while (room_held(r, &at, now_ms, &h)) {
		all++;
		his += !strcmp(h.user, user);
	}
	return all < ROOM_HELD_MAX && his < ROOM_HELD_OF_ONE;
}

const char *
room_author(const struct room *r, struct chat_id id)
{
	const struct line *l = room_line(r, id);

	return l ? l->user : NULL;
}

uint64_t
room_first(const struct room *r)
{
	return r->first;
}

uint64_t
room_head(const struct room *r)
{
	return r->head;
}

uint64_t
room_back(const struct room *r, unsigned n)
{
	uint64_t at = r->head;

	while (at > r->first && n) {
		at--;
		n -= is_said(line_at(r, at)->kind) && !line_at(r, at)->dead;
	}
	return at;
}

int
room_after(const struct room *r, struct chat_id id, uint64_t *at)
{
	uint64_t n = r->head;

	if (chat_id_order(id, r->floor) < 0 || chat_id_order(id, r->last) > 0)
		return -ESTALE;
	while (n > r->first && chat_id_order(line_at(r, n - 1)->id, id) > 0)
		n--;
	*at = n;
	return 0;
}

bool
room_say_before(const struct room *r, struct chat_id id, int count, struct buf *to)
{
	uint64_t end = r->head, from, n;
	size_t left = ROOM_BATCH, told = 0;
	const struct line *l;

	while (end > r->first && chat_id_order(line_at(r, end - 1)->id, id) >= 0)
		end--;
	for (from = end; from > r->first; from--) {
		l = line_at(r, from - 1);
		if (!is_said(l->kind) || l->dead)
			continue;
		if (!count-- || l->size > left)
			break;
		left -= l->size;
	}
	for (n = from; n < end; n++) {
		l = line_at(r, n);
		if (!is_said(l->kind) || l->dead)
			continue;
		buf_append(to, ",", told++ > 0);
		buf_append(to, l->frame + l->head, l->size - l->head);
	}
	return from > r->first;
}

static bool
is_sent(const struct line *l, bool whole, bool secret)
{
	return !l->dead && (is_secret(l->kind) ? secret : whole || is_said(l->kind));
}

size_t
room_batch(struct room *r, uint64_t *at, uint64_t joined, bool moderator, const uint8_t **frames)
{
	bool whole = *at >= joined, secret = moderator && whole && *at < r->secret_end;
	uint64_t from = *at, n = from, end = whole || joined > r->head ? r->head : joined;
	const struct line *l;

	if (r->batch.to > from && r->batch.from == from && r->batch.whole == whole &&
		r->batch.secret == secret && r->batch.to <= end) {
		*at = r->batch.to;
		*frames = buf_data(&r->batch.frames);
		return buf_len(&r->batch.frames);
	}
	buf_clear(&r->batch.frames);
	for (; n < end; n++) {
		l = line_at(r, n);
		if (!is_sent(l, whole, secret))
			continue;
		if (buf_len(&r->batch.frames) && buf_len(&r->batch.frames) + l->size > ROOM_BATCH)
			break;
		if (buf_append(&r->batch.frames, l->frame, l->size) < 0)
			break;
	}
	r->batch.from = from;
	r->batch.to = n;
	r->batch.whole = whole;
	r->batch.secret = secret;
	*at = n;
	*frames = buf_data(&r->batch.frames);
	if (!buf_len(&r->batch.frames) && n < r->head && n > from)
		return room_batch(r, at, joined, moderator, frames); /* nothing of these counts; what comes after may */
	return buf_len(&r->batch.frames);
}
