#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b), cap;
	uint8_t *bytes;

	if (b->error)
		return NULL;
	if (b->bytes && b->cap - b->end >= n)
		return b->bytes + b->end;
	if (n > SIZE_MAX / 2 - len || (b->max && len + n > b->max)) {
		b->error = -EMSGSIZE;
		return NULL;
	}
	if (b->start && b->start >= len && b->cap - len >= n) { /* sliding costs less than growing */
		memcpy(b->bytes, b->bytes + b->start, len);
		b->start = 0;
		b->end = len;
		return b->bytes + len;
	}
	for (cap = b->cap ? b->cap : 256; cap < len + n;)
		cap *= 2;
	if (!(bytes = malloc(cap))) {
		b->error = -ENOMEM;
		return NULL;
	}
	if (len)
		memcpy(bytes, b->bytes + b->start, len);
	free(b->bytes);
	b->bytes = bytes;
	b->cap = cap;
	b->start = 0;
	b->end = len;
	return b->bytes + len;
}

void
buf_grew(struct buf *b, size_t n)
{
	b->end += n;
}

int
buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p = buf_reserve(b, n);

	if (!p)
		return b->error;
	if (n)
		memcpy(p, data, n);
	b->end += n;
	return 0;
}

int
buf_u8(struct buf *b, unsigned v)
{
	uint8_t p[1] = { (uint8_t)v };

	return buf_append(b, p, sizeof(p));
}

int
buf_be16(struct buf *b, uint32_t v)
{
	uint8_t p[2];

	put_be16(p, v);
	return buf_append(b, p, sizeof(p));
}

int
buf_be24(struct buf *b, uint32_t v)
{
	uint8_t p[3];

	put_be24(p, v);
	return buf_append(b, p, sizeof(p));
}

int
buf_be32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	put_be32(p, v);
	return buf_append(b, p, sizeof(p));
}

int
buf_be64(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	put_be64(p, v);
	return buf_append(b, p, sizeof(p));
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	uint8_t *p;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 && !b->error)
		b->error = -EINVAL;
	if (n >= 0 && (p = buf_reserve(b, (size_t)n + 1))) {
		vsnprintf((char *)p, (size_t)n + 1, fmt, again);
		b->end += (size_t)n;
	}
	va_end(again);
	return b->error;
}

void
buf_consume(struct buf *b, size_t n)
{
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void
buf_cut(struct buf *b, size_t len)
{
	if (len < b->end - b->start)
		b->end = b->start + len;
}

void
buf_clear(struct buf *b)
{
	b->start = b->end = 0;
	b->error = 0;
}

void
buf_free(struct buf *b)
{
	free(b->bytes);
	b->bytes = NULL;
	b->start = b->end = b->cap = 0;
}
