#include "ask.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

static const struct {
	const char *name;
	enum ask_kind kind;
} notices[] = {
	{ "started", ASK_STARTED },
	{ "ended", ASK_ENDED },
	{ "abandoned", ASK_ABANDONED },
	{ "broadcast-ended", ASK_BROADCAST_ENDED },
	{ "live", ASK_LIVE },
	{ "sync", ASK_SYNC },
};

/* An absent field is an empty one; one of another type, or too long, is an error. */
static int
take_text(const json_t *o, const char *name, char *to, size_t cap)
{
	const json_t *v = json_object_get(o, name);
	size_t n = json_string_length(v);

	if (!v)
		return 0;
	if (!json_is_string(v) || n >= cap)
		return -EBADMSG;
	memcpy(to, json_string_value(v), n + 1);
	return 0;
}

static int
take_int(const json_t *o, const char *name, int64_t *to)
{
	const json_t *v = json_object_get(o, name);

	*to = json_integer_value(v);
	return v && (!json_is_integer(v) || *to < 0 || *to >= INT64_C(1) << 53) ? -EBADMSG : 0;
}

/*
 * A line with bytes that are not UTF-8 is refused, but its sender should hear so: with those
 * bytes replaced it may still parse, for the sake of its id.
 */
static json_t *
load(const char *line, size_t n, bool *foreign)
{
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	char ascii[ASK_LINE_MAX];
	size_t i;

	*foreign = false;
	if (o || n > sizeof(ascii))
		return o;
	for (i = 0; i < n; i++) {
		*foreign |= (line[i] & 0x80) != 0;
		ascii[i] = line[i] & 0x80 ? '?' : line[i];
	}
	if (*foreign)
		o = json_loadb(ascii, n, JSON_REJECT_DUPLICATES, NULL);
	explicit_bzero(ascii, n);
	return o;
}

const char *
ask_notice(enum ask_kind kind)
{
	size_t i;

	for (i = 0; i < sizeof(notices) / sizeof(*notices); i++)
		if (notices[i].kind == kind)
			return notices[i].name;
	return NULL;
}

static int
take_password(const json_t *o, struct adobe_answer *to)
{
	const json_t *p = json_object_get(o, "password");

	if (!p)
		return 0;
	return take_text(p, "user", to->user, sizeof(to->user)) |
		take_text(p, "challenge", to->challenge, sizeof(to->challenge)) |
		take_text(p, "own", to->own, sizeof(to->own)) |
		take_text(p, "response", to->response, sizeof(to->response));
}

int
ask_parse(struct ask *a, const char *line, size_t n)
{
	const char *notice, *ask;
	bool foreign;
	json_t *o;
	size_t i;
	int r = 0;

	memset(a, 0, sizeof(*a));
	if (!(o = load(line, n, &foreign)))
		return -EBADMSG;
	ask = json_string_value(json_object_get(o, "ask"));
	notice = json_string_value(json_object_get(o, "notice"));
	r |= take_text(o, "id", a->id, sizeof(a->id));
	r |= take_text(o, "app", a->app, sizeof(a->app));
	r |= take_text(o, "query", a->query, sizeof(a->query));
	r |= take_text(o, "session", a->session, sizeof(a->session));
	r |= take_text(o, "broadcast", a->broadcast, sizeof(a->broadcast));
	r |= take_text(o, "stream", a->stream, sizeof(a->stream));
	r |= take_int(o, "epoch", &a->epoch);
	r |= take_int(o, "origin_ms", &a->origin_ms);
	r |= take_int(o, "at_ms", &a->at_ms);
	r |= take_password(o, &a->password);
	take_text(o, "remote", a->remote, sizeof(a->remote));
	take_text(o, "tcurl", a->tcurl, sizeof(a->tcurl));
	take_text(o, "client", a->client, sizeof(a->client));
	a->key_bad = take_text(o, "key", a->key, sizeof(a->key)) < 0 || !*a->key || foreign;
	if (ask) {
		a->kind = !strcmp(ask, "publish") ? ASK_PUBLISH : ASK_OTHER;
		if (!*a->id)
			r = -EBADMSG;
	} else if (notice) {
		a->kind = ASK_OTHER;
		for (i = 0; i < sizeof(notices) / sizeof(*notices); i++)
			if (!strcmp(notice, notices[i].name))
				a->kind = notices[i].kind;
	} else {
		r = -EBADMSG;
	}
	json_decref(o);
	return r ? -EBADMSG : 0;
}
