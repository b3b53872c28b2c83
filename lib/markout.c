/* The writing half of mark, apart so that a static program need not carry a JSON parser. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"
#include "json.h"
#include "mark.h"

static const char *const kinds[] = { "session", "gap", "discontinuity", "params", "tick", "end" };

static void
put_text(struct json *j, const char *key, const char *value)
{
	json_str(j, key, *value ? value : NULL);
}

static void
put_int(struct json *j, const char *key, int64_t value)
{
	if (value)
		json_int(j, key, value);
}

void
mark_put(struct buf *b, int64_t dts, const struct mark *m)
{
	char text[2048]; /* every field at its bound, escaped at its worst, fits */
	struct buf body = { 0 };
	struct json j;
	int n;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "mark", kinds[m->kind]);
	put_text(&j, "stream", m->stream);
	put_text(&j, "broadcast", m->broadcast);
	put_int(&j, "epoch", m->epoch);
	put_int(&j, "origin_ms", m->origin_ms);
	put_text(&j, "session", m->session);
	put_text(&j, "user", m->user);
	put_text(&j, "reason", m->reason);
	put_int(&j, "wall_ms", m->wall_ms);
	n = json_end(&j);
	amf_put_string(&body, "onLvMark");
	amf_put_stringn(&body, text, n > 0 ? (size_t)n : 0);
	flv_put_tag(b, FLV_SCRIPT, dts, buf_data(&body), buf_len(&body));
	if (body.error && !b->error)
		b->error = body.error;
	buf_free(&body);
}

bool
mark_stream_name(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > 64)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
			return false;
	return true;
}

static void
from_env(const char *key, char *to, size_t cap)
{
	const char *s = getenv(key);
	size_t n = s ? strlen(s) : 0;

	if (n < cap && n)
		memcpy(to, s, n);
	to[n < cap ? n : 0] = '\0';
}

void
mark_from_env(struct mark *m)
{
	const char *s;

	memset(m, 0, sizeof(*m));
	m->kind = MARK_SESSION;
	from_env("LV_STREAM", m->stream, sizeof(m->stream));
	from_env("LV_BROADCAST", m->broadcast, sizeof(m->broadcast));
	from_env("LV_USER", m->user, sizeof(m->user));
	if (!mark_stream_name(m->stream))
		m->stream[0] = '\0';
	if ((s = getenv("LV_EPOCH")))
		m->epoch = strtoll(s, NULL, 10);
	if ((s = getenv("LV_ORIGIN_MS")))
		m->origin_ms = strtoll(s, NULL, 10);
}
