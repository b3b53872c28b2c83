#include "amf.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

enum { MARK_MOVIECLIP = 4, MARK_REFERENCE = 7, MARK_OBJECT_END = 9, MARK_LONG_STRING = 12,
	MARK_UNSUPPORTED = 13, MARK_XML = 15, MARK_TYPED_OBJECT = 16 };

void
amf_begin(struct amf_in *in, const void *bytes, size_t n)
{
	in->at = bytes;
	in->end = in->at + n;
	in->nodes = 0;
}

static bool
has(const struct amf_in *in, size_t n)
{
	return (size_t)(in->end - in->at) >= n;
}

/* A string whose length field has the given width; 0 or -EBADMSG. */
static int
take_string(struct amf_in *in, int width, const char **str, size_t *len)
{
	if (!has(in, (size_t)width))
		return -EBADMSG;
	*len = width == 2 ? get_be16(in->at) : get_be32(in->at);
	in->at += width;
	if (!has(in, *len))
		return -EBADMSG;
	*str = (const char *)in->at;
	in->at += *len;
	return 0;
}

static int
take_number(struct amf_in *in, struct amf_value *v, size_t width)
{
	if (!has(in, width))
		return -EBADMSG;
	v->number = get_be_double(in->at);
	in->at += width;
	return 1;
}

int
amf_next(struct amf_in *in, struct amf_value *v)
{
	int mark, r;

	memset(v, 0, sizeof(*v));
	if (in->at == in->end)
		return 0;
	if (++in->nodes > AMF_NODES)
		return -E2BIG;
	mark = *in->at++;
	v->type = mark;
	switch (mark) {
	case AMF_NUMBER:
		return take_number(in, v, 8);
	case AMF_BOOLEAN:
		if (!has(in, 1))
			return -EBADMSG;
		v->boolean = *in->at++ != 0;
		return 1;
	case AMF_STRING:
		return (r = take_string(in, 2, &v->str, &v->len)) < 0 ? r : 1;
	case MARK_LONG_STRING:
	case MARK_XML:
		v->type = AMF_STRING;
		return (r = take_string(in, 4, &v->str, &v->len)) < 0 ? r : 1;
	case MARK_TYPED_OBJECT:
		v->type = AMF_OBJECT;
		if ((r = take_string(in, 2, &v->str, &v->len)) < 0) /* its class: nobody asks */
			return r;
		v->str = NULL;
		v->len = 0;
		return 1;
	case AMF_OBJECT:
	case AMF_NULL:
	case AMF_UNDEFINED:
		return 1;
	case MARK_UNSUPPORTED:
		v->type = AMF_UNDEFINED;
		return 1;
	case MARK_REFERENCE:
		v->type = AMF_UNDEFINED;
		if (!has(in, 2))
			return -EBADMSG;
		in->at += 2;
		return 1;
	case AMF_ECMA_ARRAY:
		if (!has(in, 4))
			return -EBADMSG;
		in->at += 4; /* its count is a hint that writers get wrong */
		return 1;
	case AMF_STRICT_ARRAY:
		if (!has(in, 4))
			return -EBADMSG;
		v->left = get_be32(in->at);
		in->at += 4;
		return has(in, v->left) ? 1 : -EBADMSG; /* a member is a byte at least */
	case AMF_DATE:
		return take_number(in, v, 10);
	default:
		return -EBADMSG; /* movie clips, record sets, AMF3 */
	}
}

bool
amf_is_container(const struct amf_value *v)
{
	return v->type == AMF_OBJECT || v->type == AMF_ECMA_ARRAY || v->type == AMF_STRICT_ARRAY;
}

int
amf_member(struct amf_in *in, struct amf_value *c, const char **key, size_t *key_len,
	struct amf_value *member)
{
	int r;

	*key = "";
	*key_len = 0;
	if (c->ended || !amf_is_container(c))
		return 0;
	if (c->type == AMF_STRICT_ARRAY) {
		if (!c->left) {
			c->ended = true;
			return 0;
		}
		c->left--;
		return (r = amf_next(in, member)) ? r : -EBADMSG;
	}
	if (in->at == in->end) {
		c->ended = true;
		return 0;
	}
	if ((r = take_string(in, 2, key, key_len)) < 0)
		return r;
	if (!*key_len && has(in, 1) && *in->at == MARK_OBJECT_END) {
		in->at++;
		c->ended = true;
		return 0;
	}
	return (r = amf_next(in, member)) ? r : -EBADMSG;
}

int
amf_skip(struct amf_in *in, struct amf_value *v)
{
	struct amf_value open[AMF_DEPTH], member;
	int depth = 0, r;
	const char *key;
	size_t len;

	if (!amf_is_container(v) || v->ended)
		return 0;
	open[depth++] = *v;
	while (depth) {
		r = amf_member(in, &open[depth - 1], &key, &len, &member);
		if (r < 0)
			return r;
		if (r == 0)
			depth--;
		else if (amf_is_container(&member)) {
			if (depth == AMF_DEPTH)
				return -ELOOP;
			open[depth++] = member;
		}
	}
	v->ended = true;
	return 0;
}

bool
amf_equal(const char *s, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp(s, text, len);
}

void
amf_put_number(struct buf *b, double d)
{
	uint8_t p[9] = { AMF_NUMBER };

	put_be_double(p + 1, d);
	buf_append(b, p, sizeof(p));
}

void
amf_put_boolean(struct buf *b, bool v)
{
	buf_u8(b, AMF_BOOLEAN);
	buf_u8(b, v);
}

void
amf_put_stringn(struct buf *b, const char *s, size_t n)
{
	if (n > UINT16_MAX) {
		buf_u8(b, MARK_LONG_STRING);
		buf_be32(b, (uint32_t)n);
	} else {
		buf_u8(b, AMF_STRING);
		buf_be16(b, (uint32_t)n);
	}
	buf_append(b, s, n);
}

void
amf_put_string(struct buf *b, const char *s)
{
	amf_put_stringn(b, s, strlen(s));
}

void
amf_put_null(struct buf *b)
{
	buf_u8(b, AMF_NULL);
}

void
amf_put_object(struct buf *b)
{
	buf_u8(b, AMF_OBJECT);
}

void
amf_put_ecma_array(struct buf *b, uint32_t count)
{
	buf_u8(b, AMF_ECMA_ARRAY);
	buf_be32(b, count);
}

void
amf_put_key(struct buf *b, const char *key)
{
	size_t n = strlen(key);

	buf_be16(b, (uint32_t)n);
	buf_append(b, key, n);
}

void
amf_put_end(struct buf *b)
{
	buf_be16(b, 0);
	buf_u8(b, MARK_OBJECT_END);
}
