#include "mark.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"
#include "json.h"
#include "names.h"

#define MARK_TEXT 4096

static const char name[] = "onLvMark";
static const char *const kinds[] = { "session", "gap", "discontinuity", "params", "tick", "end" };

static void
take_text(json_t *o, const char *key, char *to, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, key));
	size_t n = s ? strlen(s) : 0;

	if (n >= cap)
		n = 0; /* over its bound is not ours: as if absent */
	if (n)
		memcpy(to, s, n);
	to[n] = '\0';
}

int
mark_parse(const struct flv_tag *tag, struct mark *m)
{
	struct amf_in in;
	struct amf_value v;
	const uint8_t *values;
	size_t size;
	json_t *o;
	int kind;

	if (!flv_script(tag, name, &values, &size))
		return 0;
	amf_begin(&in, values, size);
	if (amf_next(&in, &v) != 1 || v.type != AMF_STRING || v.len > MARK_TEXT)
		return -EBADMSG;
	if (!(o = json_loadb(v.str, v.len, JSON_REJECT_DUPLICATES, NULL)))
		return -EBADMSG;
	memset(m, 0, sizeof(*m));
	if ((kind = NAMES_FIND(kinds, json_string_value(json_object_get(o, "mark")))) >= 0)
		m->kind = (enum mark_kind)kind;
	take_text(o, "stream", m->stream, sizeof(m->stream));
	take_text(o, "broadcast", m->broadcast, sizeof(m->broadcast));
	take_text(o, "session", m->session, sizeof(m->session));
	take_text(o, "user", m->user, sizeof(m->user));
	take_text(o, "reason", m->reason, sizeof(m->reason));
	m->epoch = json_integer_value(json_object_get(o, "epoch"));
	m->origin_ms = json_integer_value(json_object_get(o, "origin_ms"));
	m->wall_ms = json_integer_value(json_object_get(o, "wall_ms"));
	json_decref(o);
	if (*m->stream && !mark_stream_name(m->stream))
		return -EBADMSG;
	return kind >= 0;
}

int
mark_note(struct mark_seen *s, const struct flv_tag *tag, struct mark *m)
{
	int r = mark_parse(tag, m);

	if (r <= 0)
		return r;
	s->any = true;
	if (m->kind == MARK_SESSION || m->kind == MARK_END)
		s->end = m->kind == MARK_END;
	return r;
}

bool
mark_orphan(const struct mark_seen *s)
{
	return s->any && !s->end;
}
