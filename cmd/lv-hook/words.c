#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

static const struct {
	const char *event;
	enum hook_call call;
} told[] = { { "publish.started", HOOK_PUBLISH }, { "publish.ended", HOOK_UNPUBLISH }, { "play.started", HOOK_PLAY },
	{ "play.ended", HOOK_STOP }, { "segment.written", HOOK_HLS }, { "vod.ready", HOOK_DVR },
	{ "publish.started", HOOK_CONNECT }, { "publish.ended", HOOK_CLOSE } };
#define TOLD (sizeof(told) / sizeof(*told))

static const char *
text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static bool
call_of(const struct words *w, const char *event, enum hook_call *call)
{
	size_t i;

	for (i = 0; event && i < TOLD; i++)
		if (!strcmp(event, told[i].event) && (!w->one || w->call == told[i].call)) {
			*call = told[i].call;
			return w->format != HOOK_JSON && hook_call_name(w->format, *call);
		}
	return false;
}

bool
words_take_call(struct words *w, const char *name)
{
	const char *known;
	size_t i;

	for (i = 0; i < TOLD && w->format != HOOK_JSON; i++)
		if ((known = hook_call_name(w->format, told[i].call)) && !strcmp(known, name)) {
			w->one = true;
			w->call = told[i].call;
			return true;
		}
	return false;
}

static bool
asked_for(const struct words *w, const char *event)
{
	char **name;

	for (name = w->only; name && *name; name++)
		if (!strcmp(*name, event))
			return true;
	return !w->only;
}

int
words_wanted(const struct words *w, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, 0, NULL);
	const char *event = text_of(o, "event"), *src = text_of(o, "src");
	enum hook_call call;
	int r;

	if (!event)
		r = -EBADMSG;
	else if (src && !strcmp(src, "lv-hook")) /* that it was refused would be refused as well, without end */
		r = 0;
	else
		r = asked_for(w, event) && (w->format == HOOK_JSON || call_of(w, event, &call));

	json_decref(o);
	return r;
}

int
words_of(const struct words *w, const char *line, size_t n, char body[HOOK_TEXT])
{
	json_t *o = json_loadb(line, n, 0, NULL);
	const char *stream = text_of(o, "stream"), *path = text_of(o, "path"), *track = text_of(o, "track");
	const char *app = text_of(o, "app");
	char file[512], playlist[256];
	enum hook_call call;
	int r = -EBADMSG;

	snprintf(file, sizeof(file), "%s/%s", stream ? stream : "", path ? path : "");
	snprintf(playlist, sizeof(playlist), "%s/%s/index.m3u8", stream ? stream : "", track ? track : "");
	if (call_of(w, text_of(o, "event"), &call))
		r = hook_body(body, w->format, call, &(struct hook_facts){ .server = w->server,
			.client = text_of(o, "session"), .remote = text_of(o, "remote"), .app = app ? app : "live",
			.stream = stream, .broadcast = text_of(o, "broadcast"), .agent = text_of(o, "client"),
			.file = call == HOOK_DVR ? path : file, .playlist = playlist, .cwd = w->cwd,
			.dur_ms = json_integer_value(json_object_get(o, "dur_ms")),
			.received = json_integer_value(json_object_get(o, "size_bytes")),
			.seq = json_integer_value(json_object_get(o, "seq")) });
	json_decref(o);
	return r;
}
