#include "chunk.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

enum { SET_CHUNK_SIZE = 1, ABORT = 2 };

void
chunk_init(struct chunk_reader *c, size_t max_message)
{
	memset(c, 0, sizeof(*c));
	c->size = CHUNK_SIZE_MIN;
	c->max_message = max_message;
}

void
chunk_feed(struct chunk_reader *c, const void *data, size_t n)
{
	c->at = data;
	c->end = c->at + n;
}

static void
forget_body(struct chunk_reader *c, struct chunk_stream *s)
{
	c->partial -= buf_len(&s->body);
	if (s->body.cap > 16 << 10) /* a key frame's room is not kept for ever */
		buf_free(&s->body);
	else
		buf_clear(&s->body);
	s->open = false;
}

static struct chunk_stream *
stream_of(struct chunk_reader *c, uint32_t csid)
{
	int i;

	for (i = 0; i < c->count; i++)
		if (c->streams[i].csid == csid)
			return &c->streams[i];
	if (c->count == CHUNK_STREAMS)
		return NULL;
	c->streams[c->count].csid = csid;
	return &c->streams[c->count++];
}

/* How many bytes of header are needed, as far as those in head tell. */
static size_t
head_need(struct chunk_reader *c, size_t *basic)
{
	static const uint8_t sizes[] = { 11, 7, 3, 0 };
	const uint8_t *h = c->head;
	unsigned low = h[0] & 0x3f, fmt = h[0] >> 6;
	size_t need;
	const struct chunk_stream *s;
	uint32_t csid;

	*basic = low == 0 ? 2 : low == 1 ? 3 : 1;
	need = *basic + sizes[fmt];
	if (c->head_len < need)
		return need;
	if (fmt < 3)
		return need + (get_be24(h + *basic) == 0xffffff ? 4 : 0);
	csid = low == 0 ? 64u + h[1] : low == 1 ? 64u + h[1] + ((uint32_t)h[2] << 8) : low;
	s = stream_of(c, csid);
	return need + (s && s->has_extended ? 4 : 0);
}

static int
begin_message(struct chunk_reader *c, struct chunk_stream *s, unsigned fmt)
{
	if (fmt == 0)
		s->delta = 0;
	s->open = true;
	if (s->length > c->max_message)
		return -EMSGSIZE;
	return 0;
}

/* The header is whole; gives 1 when its last four bytes are payload after all, 0, or an error. */
static int
take_head(struct chunk_reader *c, size_t basic)
{
	const uint8_t *h = c->head, *p = h + basic;
	unsigned low = h[0] & 0x3f, fmt = h[0] >> 6;
	uint32_t csid = low == 0 ? 64u + h[1] : low == 1 ? 64u + h[1] + ((uint32_t)h[2] << 8) : low;
	struct chunk_stream *s = stream_of(c, csid);
	uint32_t time = 0, extended;
	int back = 0, r;

	if (!s)
		return -E2BIG;
	if (fmt == 3 ? !s->seen : fmt != 0 && (!s->seen || s->open))
		return -EBADMSG;
	if (fmt == 0 && s->open)
		forget_body(c, s);
	if (fmt < 3) {
		time = get_be24(p);
		s->has_extended = time == 0xffffff;
		if (fmt < 2) {
			s->length = get_be24(p + 3);
			s->type = p[6];
		}
		if (fmt == 0)
			s->stream = get_le32(p + 7);
		if (s->has_extended)
			time = s->extended = get_be32(p + (fmt == 0 ? 11 : fmt == 1 ? 7 : 3));
		s->absolute = fmt == 0;
		if (fmt == 0)
			s->timestamp = time;
		else
			s->timestamp += s->delta = time;
		s->seen = true;
	} else {
		extended = s->has_extended ? get_be32(p) : 0;
		if (s->open)
			back = extended != s->extended && s->has_extended;
		else if (s->has_extended && s->absolute)
			s->timestamp = extended;
		else
			s->timestamp += s->delta;
	}
	if (!s->open && (r = begin_message(c, s, fmt)) < 0)
		return r;
	c->now = s;
	c->left = s->length - (uint32_t)buf_len(&s->body);
	if (c->left > c->size)
		c->left = c->size;
	return back;
}

/* Bytes for the header; those that are no part of it after all are payload and the next header. */
static int
read_head(struct chunk_reader *c)
{
	size_t basic = 1, need, spare, n;
	int r;

	for (;;) {
		need = c->head_len ? head_need(c, &basic) : 1;
		if (c->head_len >= need)
			break;
		if (c->at == c->end)
			return 0;
		c->head[c->head_len++] = *c->at++;
	}
	if ((r = take_head(c, basic)) < 0)
		return r;
	spare = c->head_len - need + (r ? 4 : 0);
	n = spare < c->left ? spare : c->left;
	if (n && buf_append(&c->now->body, c->head + c->head_len - spare, n) < 0)
		return -ENOMEM;
	c->partial += n;
	c->left -= (uint32_t)n;
	memmove(c->head, c->head + c->head_len - spare + n, spare - n);
	c->head_len = spare - n;
	return 1;
}

static int
read_payload(struct chunk_reader *c)
{
	struct chunk_stream *s = c->now;
	size_t n = (size_t)(c->end - c->at);

	if (n > c->left)
		n = c->left;
	if (n) {
		if (c->partial + n > c->max_message * 2)
			return -E2BIG;
		/* Room grows with what has come, so that a length alone costs nobody memory. */
		if (buf_append(&s->body, c->at, n) < 0)
			return -ENOMEM;
		c->partial += n;
		c->at += n;
		c->left -= (uint32_t)n;
	}
	return c->left == 0;
}

/* 5.4: the two messages that are about chunks themselves; true when it was one. */
static bool
control(struct chunk_reader *c, const struct chunk_message *m, int *r)
{
	uint32_t v;
	int i;

	*r = 0;
	if ((m->type != SET_CHUNK_SIZE && m->type != ABORT) || m->size < 4)
		return false;
	v = get_be32(m->body) & 0x7fffffff;
	if (m->type == SET_CHUNK_SIZE) {
		if (v < CHUNK_SIZE_MIN) /* a byte a chunk would be work without end */
			*r = -EBADMSG;
		c->size = v; /* nothing is allocated by it: any size will do */
		return true;
	}
	for (i = 0; i < c->count; i++)
		if (c->streams[i].csid == v && &c->streams[i] != c->done)
			forget_body(c, &c->streams[i]);
	return true;
}

int
chunk_next(struct chunk_reader *c, struct chunk_message *m)
{
	struct chunk_stream *s;
	int r;

	for (;;) {
		if (c->done)
			forget_body(c, c->done);
		c->done = NULL;
		if (!c->now && (r = read_head(c)) <= 0)
			return r;
		if ((r = read_payload(c)) <= 0)
			return r;
		s = c->now;
		c->now = NULL;
		if (buf_len(&s->body) < s->length)
			continue;
		c->done = s;
		*m = (struct chunk_message){ s->type, s->csid, s->timestamp, s->stream,
			s->length ? buf_data(&s->body) : (const uint8_t *)"", s->length };
		if (!control(c, m, &r))
			return 1;
		if (r < 0)
			return r;
	}
}

void
chunk_free(struct chunk_reader *c)
{
	int i;

	for (i = 0; i < c->count; i++)
		buf_free(&c->streams[i].body);
	memset(c, 0, sizeof(*c));
}

void
chunk_put(struct buf *b, uint32_t csid, uint8_t type, uint32_t stream, const void *body, size_t n)
{
	uint8_t id[4];

	buf_u8(b, csid); /* fmt 0, one byte: ours are 2 ... 63 */
	buf_be24(b, 0);
	buf_be24(b, (uint32_t)n);
	buf_u8(b, type);
	put_le32(id, stream);
	buf_append(b, id, 4);
	buf_append(b, body, n);
}
