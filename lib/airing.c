#include "airing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "json.h"
#include "keys.h"

#define ID_DIGITS 10

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char *const states[] = { "ended", "held", "reserved", "live" };

bool
airing_id_good(const char *id)
{
	size_t n = strlen(id);

	return n >= ID_DIGITS && n < AIRING_ID &&
		strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz") == n;
}

void
airing_id_text(char text[AIRING_ID], int64_t ms)
{
	int i;

	for (i = ID_DIGITS - 1; i >= 0; i--, ms >>= 5)
		text[i] = digits[ms & 31];
	text[ID_DIGITS] = '\0';
}

int64_t
airing_id_ms(const char *id)
{
	const char *d;
	int64_t ms = 0;
	int i;

	for (i = 0; i < ID_DIGITS && id[i]; i++)
		ms = ms << 5 | ((d = strchr(digits, id[i])) ? d - digits : 0);
	return ms;
}

int
airings_new(struct airings **out, int64_t hold_ms)
{
	if (!(*out = calloc(1, sizeof(**out))))
		return -ENOMEM;
	(*out)->hold_ms = hold_ms;
	return 0;
}

void
airings_free(struct airings **a)
{
	if (*a) {
		free((*a)->all);
		free(*a);
	}
	*a = NULL;
}

static struct airing *
by_stream(const struct airings *a, const char *stream)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (!strcmp(a->all[i].stream, stream))
			return &a->all[i];
	return NULL;
}

static struct airing *
by_broadcast(const struct airings *a, const char *broadcast)
{
	size_t i;

	for (i = 0; *broadcast && i < a->count; i++)
		if (!strcmp(a->all[i].broadcast, broadcast))
			return &a->all[i];
	return NULL;
}

static struct airing *
by_session(const struct airings *a, const char *session)
{
	size_t i;

	for (i = 0; *session && i < a->count; i++)
		if (!strcmp(a->all[i].session, session))
			return &a->all[i];
	return NULL;
}

static struct airing *
add(struct airings *a, const char *stream)
{
	struct airing *x;

	if (a->count == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 16;

		if (!(x = reallocarray(a->all, cap, sizeof(*x))))
			return NULL;
		a->all = x;
		a->cap = cap;
	}
	x = &a->all[a->count++];
	memset(x, 0, sizeof(*x));
	memcpy(x->stream, stream, strlen(stream) + 1); /* checked by keys_stream_good */
	return x;
}

static void
note_id(struct airings *a, const char *broadcast)
{
	int64_t ms = airing_id_ms(broadcast);

	if (strlen(broadcast) == ID_DIGITS && ms > a->last_id_ms)
		a->last_id_ms = ms;
}

static bool
take_text(const json_t *o, const char *name, char *to, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, name));

	if (!s || strlen(s) >= cap)
		return false;
	memcpy(to, s, strlen(s) + 1);
	return true;
}

static int
load_line(struct airings *a, const char *line, size_t n, int64_t saved_ms)
{
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	struct airing was = { 0 }, *x;
	char state[16];
	int r = 1;

	if (!o)
		return 1;
	if (!take_text(o, "stream", was.stream, sizeof(was.stream)) || !keys_stream_good(was.stream) ||
		!take_text(o, "broadcast", was.broadcast, sizeof(was.broadcast)) ||
		!airing_id_good(was.broadcast) || !take_text(o, "state", state, sizeof(state)))
		goto out;
	was.origin_ms = json_integer_value(json_object_get(o, "origin_ms"));
	was.epoch = json_integer_value(json_object_get(o, "epoch"));
	was.seen_ms = json_integer_value(json_object_get(o, "seen_ms"));
	if (was.epoch < 0 || was.epoch >= INT64_C(1) << 53)
		goto out;
	was.hearsay = true;
	if (!strcmp(state, "live")) {
		was.state = AIRING_HELD;
		was.seen_ms = saved_ms;
	} else if (!strcmp(state, "held") ||
		(!strcmp(state, "reserved") && !json_is_true(json_object_get(o, "fresh")))) {
		was.state = AIRING_HELD;
	}
	if (!(x = by_stream(a, was.stream)) && !(x = add(a, was.stream))) {
		r = -ENOMEM;
		goto out;
	}
	if (x->epoch > was.epoch)
		was.epoch = x->epoch;
	*x = was;
	note_id(a, was.broadcast);
	r = 0;
out:
	json_decref(o);
	return r;
}

int
airings_load(struct airings *a, const char *text, size_t n, int64_t saved_ms)
{
	size_t len;
	int bad = 0, r;

	for (; n; text += len, n -= len) {
		const char *end = memchr(text, '\n', n);

		len = end ? (size_t)(end - text) + 1 : n;
		if ((r = load_line(a, text, len, saved_ms)) < 0)
			return r;
		bad += r;
	}
	return bad;
}

int
airings_text(const struct airings *a, struct buf *out)
{
	char text[512];
	struct json j;
	size_t i;
	int n;

	for (i = 0; i < a->count; i++) {
		const struct airing *x = &a->all[i];

		json_begin(&j, text, sizeof(text));
		json_str(&j, "stream", x->stream);
		json_str(&j, "broadcast", x->broadcast);
		json_int(&j, "origin_ms", x->origin_ms);
		json_int(&j, "epoch", x->epoch);
		json_str(&j, "state", states[x->state]);
		if (x->state == AIRING_RESERVED)
			json_bool(&j, "fresh", x->fresh);
		json_int(&j, "seen_ms", x->seen_ms);
		if ((n = json_end(&j)) < 0)
			return n;
		buf_append(out, text, (size_t)n);
		buf_append(out, "\n", 1);
	}
	return out->error;
}

static void
set_text(char *to, size_t cap, const char *from)
{
	size_t n = strlen(from);

	if (n >= cap)
		n = cap - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* The session is over; what is left of the broadcast depends on whether it ever began. */
static void
release(struct airings *a, struct airing *x, int64_t now_ms)
{
	x->state = x->state == AIRING_RESERVED && x->fresh ? AIRING_ENDED : AIRING_HELD;
	x->session[0] = '\0';
	x->seen_ms = now_ms;
	a->dirty = true;
}

int
airings_ask(struct airings *a, const char *stream, const char *session, int64_t now_ms,
	const struct airing **out, bool *resumed)
{
	struct airing *x = by_stream(a, stream);

	airings_expire(a, now_ms);
	if (!x && !(x = add(a, stream)))
		return -ENOMEM;
	if (x->state >= AIRING_RESERVED)
		return 0;
	*resumed = x->state == AIRING_HELD && (!x->hearsay || now_ms - x->seen_ms < a->hold_ms);
	if (!*resumed) {
		a->last_id_ms = now_ms > a->last_id_ms ? now_ms : a->last_id_ms + 1;
		airing_id_text(x->broadcast, a->last_id_ms);
		x->origin_ms = now_ms;
	}
	x->fresh = !*resumed;
	x->hearsay = false;
	x->epoch++;
	x->state = AIRING_RESERVED;
	x->seen_ms = now_ms;
	set_text(x->session, sizeof(x->session), session);
	a->dirty = true;
	*out = x;
	return 1;
}

/* A session runs.  The door knows best: what it names is so, even when we had forgotten it. */
static int
publishing(struct airings *a, const struct ask *n, int64_t now_ms)
{
	struct airing *x = by_broadcast(a, n->broadcast);

	if (!x) {
		if (!airing_id_good(n->broadcast) || !keys_stream_good(n->stream))
			return 0;
		if (!(x = by_stream(a, n->stream)) && !(x = add(a, n->stream)))
			return -ENOMEM;
		set_text(x->broadcast, sizeof(x->broadcast), n->broadcast);
		x->origin_ms = n->origin_ms ? n->origin_ms : airing_id_ms(n->broadcast);
		note_id(a, n->broadcast);
	}
	if (n->epoch > x->epoch)
		x->epoch = n->epoch;
	set_text(x->session, sizeof(x->session), n->session);
	x->state = AIRING_LIVE;
	x->hearsay = x->fresh = false;
	x->proved = true;
	x->seen_ms = now_ms;
	a->dirty = true;
	return 1;
}

static int
session_over(struct airings *a, const struct ask *n, int64_t now_ms)
{
	struct airing *x = *n->session ? by_session(a, n->session) : by_broadcast(a, n->broadcast);

	if (!x || x->state < AIRING_RESERVED || (*n->broadcast && strcmp(x->broadcast, n->broadcast)))
		return 0;
	if (n->kind == ASK_ABANDONED && x->state == AIRING_RESERVED && x->fresh && x->epoch == 1) {
		/* Nobody ever published it.  Where a back end alone judges, anybody names streams, without end. */
		*x = a->all[--a->count];
		a->dirty = true;
	} else {
		release(a, x, now_ms);
	}
	return 1;
}

static int
broadcast_over(struct airings *a, const struct ask *n, int64_t now_ms)
{
	struct airing *x = by_broadcast(a, n->broadcast);

	if (!x)
		return 0;
	if (x->state == AIRING_RESERVED) /* somebody was let in again before we heard of the end */
		return 1;
	x->state = AIRING_ENDED;
	x->session[0] = '\0';
	x->seen_ms = now_ms;
	a->dirty = true;
	return 1;
}

/* All that is live has been named: what was live for us and was not named has gone. */
static void
synced(struct airings *a, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		struct airing *x = &a->all[i];

		if (x->state == AIRING_LIVE && !x->proved)
			release(a, x, now_ms);
		x->proved = false;
	}
}

int
airings_tell(struct airings *a, const struct ask *n, int64_t now_ms)
{
	switch (n->kind) {
	case ASK_STARTED:
	case ASK_LIVE:
		return publishing(a, n, now_ms);
	case ASK_ENDED:
	case ASK_ABANDONED:
		return session_over(a, n, now_ms);
	case ASK_BROADCAST_ENDED:
		return broadcast_over(a, n, now_ms);
	case ASK_SYNC:
		synced(a, now_ms);
		return 1;
	default:
		return 0;
	}
}

void
airings_expire(struct airings *a, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (a->all[i].state == AIRING_RESERVED &&
			now_ms - a->all[i].seen_ms >= AIRING_RESERVED_MS)
			release(a, &a->all[i], now_ms);
}

void
airings_close(struct airings *a, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (a->all[i].state == AIRING_RESERVED)
			release(a, &a->all[i], now_ms);
}
