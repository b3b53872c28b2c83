#include "cue.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "amf.h"

#define FRAME_HEADER 10

static json_t *
json_of(struct amf_in *in, struct amf_value *v)
{
	bool list = v->type == AMF_STRICT_ARRAY;
	struct amf_value member;
	json_t *o, *m;
	const char *key;
	size_t n;
	int r;

	if (v->type == AMF_STRING) {
		o = json_stringn(v->str, v->len);
		return o ? o : json_null(); /* no UTF-8 */
	}
	if (v->type == AMF_BOOLEAN)
		return json_boolean(v->boolean);
	if (v->type == AMF_NUMBER || v->type == AMF_DATE) {
		if (v->number > -9e15 && v->number < 9e15 && (double)(json_int_t)v->number == v->number)
			return json_integer((json_int_t)v->number);
		return isfinite(v->number) ? json_real(v->number) : json_null();
	}
	if (!amf_is_container(v))
		return json_null();
	o = list ? json_array() : json_object();
	while ((r = amf_member(in, v, &key, &n, &member)) > 0) {
		if (!(m = json_of(in, &member))) {
			r = -EBADMSG;
			break;
		}
		if (list)
			json_array_append_new(o, m);
		else
			json_object_setn_new(o, key, n, m); /* a key that is no UTF-8 is left out */
	}
	if (r < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* 28 bits in four bytes, none of which looks like the beginning of sound. */
static void
put_size(struct buf *b, size_t n)
{
	int shift;

	for (shift = 21; shift >= 0; shift -= 7)
		buf_u8(b, (unsigned)(n >> shift & 127));
}

static void
put_tag(struct buf *b, const char *name, const char *text)
{
	size_t n = 1 + strlen(name) + 1 + strlen(text) + 1;

	buf_append(b, "ID3\4\0\0", 6);
	put_size(b, FRAME_HEADER + n);
	buf_append(b, "TXXX", 4);
	put_size(b, n);
	buf_be16(b, 0);
	buf_u8(b, 3); /* UTF-8 */
	buf_append(b, name, strlen(name) + 1);
	buf_append(b, text, strlen(text) + 1);
}

int
cue_id3(const struct flv_tag *tag, struct buf *b)
{
	static const char *const names[] = { "onTextData", "onCuePoint" };
	const uint8_t *values;
	struct amf_value v;
	struct amf_in in;
	json_t *o;
	char *text;
	size_t size, i;
	int r;

	for (i = 0; i < 2 && !flv_script(tag, names[i], &values, &size); i++)
		;
	if (i == 2)
		return 0;
	amf_begin(&in, values, size);
	if ((r = amf_next(&in, &v)) <= 0 || !(o = json_of(&in, &v)))
		return -EBADMSG;
	text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(o);
	if (!text)
		return -ENOMEM;
	r = strlen(text) > CUE_MAX ? -EMSGSIZE : 1;
	if (r > 0)
		put_tag(b, names[i], text);
	free(text);
	return b->error ? b->error : r;
}
