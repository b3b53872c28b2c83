#include "auth.h"
#include "json.h"

#define TOLD_MAX 4096 /* bytes of one line */

static void
put_line(struct buf *out, struct json *j)
{
	int n = json_end(j);

	if (n < 0) /* cannot be: every field is bounded */
		return;
	buf_append(out, j->text, (size_t)n);
	buf_append(out, "\n", 1);
}

void
verdict_allow(struct buf *out, const char *id, const struct verdict *v)
{
	char text[TOLD_MAX];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "id", id);
	json_bool(&j, "allow", true);
	json_str(&j, "stream", v->stream);
	json_str(&j, "user", *v->user ? v->user : NULL);
	json_str(&j, "broadcast", v->broadcast);
	json_int(&j, "origin_ms", v->origin_ms);
	json_int(&j, "epoch", v->epoch);
	json_bool(&j, "resumed", v->resumed);
	if (v->max_kbps)
		json_int(&j, "max_kbps", v->max_kbps);
	if (v->until_ms)
		json_int(&j, "until_ms", v->until_ms);
	put_line(out, &j);
}

static void
refuse(struct buf *out, const char *id, const char *reason, const char *busy)
{
	char text[TOLD_MAX];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "id", id);
	json_bool(&j, "allow", false);
	json_str(&j, "reason", reason);
	if (busy) { /* the stream, so that the door can ask its publisher to give way */
		json_bool(&j, "busy", true);
		json_str(&j, "stream", busy);
	}
	put_line(out, &j);
}

void
verdict_refuse(struct buf *out, const char *id, const char *reason)
{
	refuse(out, id, reason, NULL);
}

void
verdict_busy(struct buf *out, const char *id, const char *stream)
{
	refuse(out, id, "already publishing", stream);
}

void
verdict_kick(struct buf *out, const char *stream, const char *reason)
{
	char text[TOLD_MAX], who[128];
	struct json j, inner;

	json_begin(&inner, who, sizeof(who));
	json_str(&inner, "stream", stream);
	json_end(&inner);
	json_begin(&j, text, sizeof(text));
	json_raw(&j, "kick", who);
	json_str(&j, "reason", reason);
	put_line(out, &j);
}
