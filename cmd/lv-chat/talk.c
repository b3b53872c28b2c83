#include "talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "chat.h"
#include "die.h"
#include "fdio.h"
#include "hash.h"
#include "whole.h"
#include "wsclient.h"

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define AGAIN_MS 500 /* after "unavailable" */

struct talk {
	struct talk_config config;
	struct ev_loop *loop;
	struct wsclient *ws;
	struct buf ask; /* what is said and not answered; empty: nothing */
	char ref[CHAT_REF_MAX + 1], salt[17];
	uint64_t asked; /* how many */
	struct chat_id last, newest; /* the last entry that was heard; the newest when the room was entered */
	bool begun, joined, ended, ending;
	int64_t retry_ms;
	long printed;
	int status;
	ev_timer retry, again;
};

static void
finish(struct talk *t, int status)
{
	t->ending = true;
	t->status = status;
	wsclient_close(t->ws);
	if (!t->joined)
		ev_break(t->loop, EVBREAK_ALL);
}

/* The first line of a file of its owner's. */
static int
token_read(const char *path, char token[TICKET_TEXT_MAX + 1])
{
	struct buf text = { 0 };
	int r = whole_read(path, TICKET_TEXT_MAX, true, &text, NULL);
	size_t n = buf_len(&text);

	if (r == -EPERM)
		complain(0, "%s can be read by others: chmod 600 %s", path, path);
	else if (r < 0)
		complain(r, "cannot open %s", path);
	if (r >= 0) {
		if (n)
			memcpy(token, buf_data(&text), n);
		token[n] = '\0';
		token[strcspn(token, "\r\n")] = '\0';
	}
	buf_free(&text);
	return r == -EPERM ? EX_NOPERM : r < 0 ? EX_NOINPUT : EX_OK;
}

static int
enter(struct talk *t)
{
	struct chat_id from = chat_id_order(t->last, t->newest) > 0 ? t->last : t->newest;
	char token[TICKET_TEXT_MAX + 1], path[256], id[CHAT_ID_TEXT];
	int r;

	if (t->config.token_path && (r = token_read(t->config.token_path, token)))
		return r;
	if (t->begun || t->config.offset)
		snprintf(path, sizeof(path), "/chat?stream=%s&offset=%s", t->config.room, chat_id_text(id, from));
	else
		snprintf(path, sizeof(path), "/chat?stream=%s", t->config.room);
	r = wsclient_connect(t->ws, t->config.url, path, t->config.token_path ? token : NULL);
	explicit_bzero(token, sizeof(token));
	return r < 0 ? EX_USAGE : EX_OK;
}

static void
on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	struct talk *t = w->data;
	int r = enter(t);

	(void)loop;
	(void)events;
	if (r)
		finish(t, r);
}

static void
say(struct talk *t)
{
	if (t->joined && buf_len(&t->ask))
		wsclient_send(t->ws, (const char *)buf_data(&t->ask), buf_len(&t->ask));
}

static void
on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	say(w->data);
}

static void
say_later(struct talk *t, int64_t ms)
{
	ev_timer_set(&t->again, (double)ms / 1000, 0);
	ev_timer_start(t->loop, &t->again);
}

/* Every ask has a ref: it is known again in its answer, and by the server when it comes twice. */
static int
give_ref(struct talk *t)
{
	json_t *o = json_loadb((const char *)buf_data(&t->ask), buf_len(&t->ask), 0, NULL);
	const char *ref = json_string_value(json_object_get(o, "ref"));
	char *text = NULL;

	if (!json_is_object(o)) {
		json_decref(o);
		return -EBADMSG;
	}
	if (!ref || strlen(ref) > CHAT_REF_MAX)
		snprintf(t->ref, sizeof(t->ref), "%s%" PRIu64, t->salt, ++t->asked);
	else
		snprintf(t->ref, sizeof(t->ref), "%s", ref);
	json_object_set_new(o, "ref", json_string(t->ref));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	buf_clear(&t->ask);
	if (text)
		buf_append(&t->ask, text, strlen(text));
	free(text);
	return text ? t->ask.error : -ENOMEM;
}

void
talk_more(struct talk *t)
{
	int r;

	while (!t->ending && !t->ended && t->joined && !buf_len(&t->ask)) {
		if ((r = t->config.next(t->config.ctx, &t->ask)) == 0)
			return;
		if (r < 0) {
			t->ended = true;
			if (!t->config.print)
				finish(t, t->status);
		} else if (give_ref(t) < 0) {
			complain(0, "not a JSON object: %.*s", (int)buf_len(&t->ask), (char *)buf_data(&t->ask));
			t->status = EX_DATAERR;
			buf_clear(&t->ask);
		} else {
			say(t);
		}
	}
}

static void
print(struct talk *t, const char *text, size_t n)
{
	int r = fdio_write_all(1, text, n);

	if (r >= 0)
		r = fdio_write_all(1, "\n", 1);
	if (r < 0) {
		if (r != -EPIPE)
			complain(r, "cannot write to standard output");
		finish(t, EX_IOERR);
	} else if (++t->printed == t->config.count) {
		finish(t, t->status);
	}
}

static void
said(struct talk *t)
{
	buf_clear(&t->ask);
	talk_more(t);
}

static void
login_again(struct talk *t)
{
	char token[TICKET_TEXT_MAX + 1], text[TICKET_TEXT_MAX + 64];
	int n, r = token_read(t->config.token_path, token);

	if (r) {
		finish(t, r);
		return;
	}
	n = snprintf(text, sizeof(text), "{\"type\":\"auth\",\"token\":\"%s\"}", token);
	wsclient_send(t->ws, text, (size_t)n);
	explicit_bzero(token, sizeof(token));
	explicit_bzero(text, sizeof(text));
	say_later(t, AGAIN_MS);
}

/* The answer to what was said; true when it is settled. */
static bool
answered(struct talk *t, const json_t *o, const char *type)
{
	const char *notice = json_string_value(json_object_get(o, "notice"));
	const char *message = json_string_value(json_object_get(o, "message"));

	if (!strcmp(type, "slowmode")) {
		say_later(t, json_integer_value(json_object_get(o, "waitMs")));
		return false;
	}
	if (strcmp(type, "notice") || !notice)
		return true;
	if (!strcmp(notice, "unavailable") || !strcmp(notice, "busy")) {
		say_later(t, AGAIN_MS);
		return false;
	}
	if (!strcmp(notice, "token_expired") && t->config.token_path) {
		login_again(t);
		return false;
	}
	if (!strcmp(notice, "held")) {
		warning(0, "held: %s", message ? message : "");
	} else if (strcmp(notice, "duplicate")) {
		complain(0, "%s: %s", notice, message ? message : "refused");
		t->status = 1;
	}
	return true;
}

static void
on_joined(struct talk *t, const json_t *o)
{
	const json_t *recovered = json_object_get(o, "recovered");
	const char *offset = json_string_value(json_object_get(o, "offset"));

	t->joined = true;
	t->retry_ms = RETRY_FIRST_MS;
	if (json_is_false(recovered))
		warning(0, "%s: not all that was said meanwhile is known any more", t->config.room);
	if (!t->begun && !json_is_true(recovered) && offset)
		chat_id_read(&t->newest, offset);
	t->begun = true;
	say(t);
	talk_more(t);
}

static void
on_message(void *ctx, const char *text, size_t n)
{
	struct talk *t = ctx;
	json_t *o = json_loadb(text, n, 0, NULL);
	const char *type = json_string_value(json_object_get(o, "type"));
	const char *id_text = json_string_value(json_object_get(o, "id"));
	const char *ref = json_string_value(json_object_get(o, "ref"));
	const char *notice = json_string_value(json_object_get(o, "notice"));
	bool entry, answer, settled = false, fresh = true;
	struct chat_id id;

	if (!type || t->ending)
		goto out;
	entry = id_text && strcmp(type, "notice") && chat_id_read(&id, id_text) == 0;
	answer = ref && buf_len(&t->ask) && !strcmp(ref, t->ref);
	if (!strcmp(type, "joined"))
		on_joined(t, o);
	else if (notice && !strcmp(notice, "token_refused")) {
		complain(0, "the token in %s is not good for %s", t->config.token_path, t->config.room);
		finish(t, EX_NOPERM);
		goto out;
	}
	if (answer)
		settled = answered(t, o, type);
	/* With a hole, the last messages come once more: what was heard is not heard again. */
	if (entry && t->printed && chat_id_order(id, t->last) <= 0)
		fresh = false;
	if (entry && chat_id_order(id, t->last) > 0)
		t->last = id;
	if (fresh && (t->config.print || (t->config.answers && settled)))
		print(t, text, n);
	if (settled && !t->ending)
		said(t);
out:
	json_decref(o);
}

static void
on_opened(void *ctx)
{
	(void)ctx; /* the server speaks first */
}

static void
on_closed(void *ctx, unsigned code, const char *why)
{
	struct talk *t = ctx;
	json_t *o = json_loads(why, 0, NULL);
	const json_t *advice = json_object_get(o, "retryMs");
	const char *reason = json_string_value(json_object_get(o, "reason"));
	int64_t wait_ms;

	t->joined = false;
	ev_timer_stop(t->loop, &t->again);
	if (t->ending) {
		ev_break(t->loop, EVBREAK_ALL);
	} else if (code == 4401 || !t->begun) {
		complain(0, "%s%s%s: %s", t->config.url, code == 4401 ? " lets nobody in who does not log in" : "",
			code == 4401 ? "" : " cannot be reached", reason ? reason : why);
		finish(t, code == 4401 ? EX_NOPERM : EX_UNAVAILABLE);
	} else {
		wait_ms = json_is_integer(advice) ? json_integer_value(advice) : (int64_t)(t->retry_ms * drand48());
		t->retry_ms = t->retry_ms * 2 < RETRY_MAX_MS ? t->retry_ms * 2 : RETRY_MAX_MS;
		inform("the connection ended (%u %s), back in %" PRId64 " ms", code, reason ? reason : why, wait_ms);
		ev_timer_set(&t->retry, (double)(wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS) / 1000, 0);
		ev_timer_start(t->loop, &t->retry);
	}
	json_decref(o);
}

int
talk_new(struct talk **out, struct ev_loop *loop, const struct talk_config *config)
{
	struct wsclient_config ws = { .opened = on_opened, .message = on_message, .closed = on_closed };
	struct talk *t = calloc(1, sizeof(*t));
	uint64_t salt;
	int r;

	if (!t || hash_random(&salt, sizeof(salt)) < 0) {
		free(t);
		return EX_OSERR;
	}
	*out = ws.ctx = t;
	t->config = *config;
	t->loop = loop;
	t->retry_ms = RETRY_FIRST_MS;
	snprintf(t->salt, sizeof(t->salt), "%016" PRIx64, salt);
	srand48((long)salt);
	if (config->offset)
		chat_id_read(&t->last, config->offset);
	ev_timer_init(&t->retry, on_retry, 0, 0);
	ev_timer_init(&t->again, on_again, 0, 0);
	t->retry.data = t->again.data = t;
	if ((r = wsclient_new(&t->ws, loop, &ws)) < 0) {
		complain(0, "cannot start: is libwebsockets' libev plugin (libwebsockets-evlib-ev) installed?");
		return EX_OSERR;
	}
	if ((r = enter(t)) == EX_USAGE)
		complain(0, "--url %s: like ws://HOST:PORT or wss://HOST", config->url);
	return r ? r : t->ending ? t->status : EX_OK; /* it may have failed at once */
}

void
talk_end(struct talk *t)
{
	if (t->ending)
		ev_break(t->loop, EVBREAK_ALL);
	else
		finish(t, t->status);
}

int
talk_status(const struct talk *t)
{
	return t->status;
}

void
talk_free(struct talk **talk)
{
	struct talk *t = *talk;

	if (!t)
		return;
	wsclient_free(&t->ws);
	buf_free(&t->ask);
	free(t);
	*talk = NULL;
}
