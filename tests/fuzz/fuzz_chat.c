/*
 * Lines from strangers: the first byte of each says who speaks (or that the line is an entry from
 * another box), the rest is what it says.  What the room makes of it is read as frames again.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "emotes.h"
#include "room.h"
#include "words.h"

#define NOW 1764000000000

static struct emotes *emotes;

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
speak(struct room *r, unsigned who, const char *text, size_t n, int64_t now_ms)
{
	struct ticket t = { .role = who & 3, .tier = who >> 2 & 1, .followed_s = who >> 3 & 1, .exp_s = NOW,
		.badges = { "x" }, .badge_count = who >> 4 & 1 };
	static char body[ROOM_BODY_MAX];
	struct room_verdict v;
	struct chat_ask a;
	const char *no;
	int size;

	t.user[0] = t.name[0] = (char)('1' + (who & 1));
	if (chat_read(&a, text, n, &no) < 0 || room_judge(r, &t, &a, now_ms, &v))
		return;
	if (a.kind == CHAT_MESSAGE)
		a.spot_count = emotes_mark(emotes, "alice", a.text, a.spots);
	if (a.kind == CHAT_MESSAGE && v.hold && room_can_hold(r, t.user, now_ms)) {
		a.kind = CHAT_HELD;
		a.why = v.hold;
	}
	if ((size = room_body(r, body, &a, &t, now_ms)) < 0)
		abort(); /* everything that may be said fits */
	if (room_apply(r, room_next_id(r, now_ms), body, (size_t)size) < 0)
		abort();
}

/* Every frame whole, every payload an object. */
static void
read_all(struct room *r, uint64_t at, uint64_t joined, bool moderator)
{
	const uint8_t *p;
	size_t n, head, len;
	json_t *o;

	while ((n = room_batch(r, &at, joined, moderator, &p)))
		for (; n; p += head + len, n -= head + len) {
			head = p[1] < 126 ? 2 : 4;
			len = p[1] < 126 ? p[1] : (size_t)p[2] << 8 | p[3];
			if (p[0] != 0x81 || p[1] > 126 || head + len > n)
				abort();
			if (!(o = json_loadb((const char *)p + head, len, 0, NULL)))
				abort();
			json_decref(o);
		}
	if (at != room_head(r))
		abort();
}

static void
look_back(const struct room *r, struct chat_id id)
{
	struct buf b = { 0 };
	json_t *o;

	buf_append(&b, "[", 1);
	room_say_before(r, id, 100, &b);
	buf_append(&b, "]", 1);
	if (buf_len(&b) > ROOM_BATCH + 2 || !(o = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL)))
		abort();
	json_decref(o);
	buf_free(&b);
}

static void
block(const char *text, size_t n)
{
	struct words *w;
	int line;

	emotes_free(&emotes);
	if (emotes_new(&emotes, text, n, &line) < 0)
		emotes = NULL;

	if (words_new(&w, text, n, &line) < 0)
		return;
	words_in(w, "alice", "a bad \xd0\x9f\xd0\xbb thing*, b\xcc\x81");
	words_free(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end;
	struct chat_id floor = { NOW - 1, 0 }, id;
	int64_t now_ms = NOW - 100000;
	struct room_held h;
	struct room *r;
	size_t n;

	if (room_new(&r, "alice", floor) < 0)
		return 0;
	for (; size; text += n, size -= n) {
		end = memchr(text, '\n', size);
		n = end ? (size_t)(end - text) + 1 : size;
		if (n < 2)
			continue;
		if (*text == '%')
			block(text + 1, size - 1); /* all the rest is a list */
		else if (*text == '#')
			room_apply(r, room_next_id(r, now_ms), text + 1, n - 1 - (end != NULL));
		else
			speak(r, (unsigned char)*text, text + 1, n - 1 - (end != NULL), now_ms);
		now_ms += 700;
		while (room_held_over(r, now_ms, &h))
			;
	}
	read_all(r, room_first(r), 0, false);
	read_all(r, room_first(r), 0, true);
	read_all(r, room_back(r, 5), room_head(r), true);
	if (chat_id_read(&id, "1764000000000-0") == 0)
		room_after(r, id, &(uint64_t){ 0 });
	look_back(r, id);
	room_free(&r);
	emotes_free(&emotes);
	return 0;
}
