/*
 * buf is a growable run of bytes with a read end: appended at the back, consumed at the front.
 *
 * Shape:  a zeroed struct is an empty buffer; append and consume; buf_free at the end.
 * Owner:  the buffer owns its bytes; buf_data is good until the next append or free.
 * Errors: append and reserve give -ENOMEM, or -EMSGSIZE past max (0 means no bound);
 *         the first error stays in .error, so that builders may check once, at the end.
 */
#ifndef LV_BUF_H
#define LV_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *bytes;
	size_t start, end, cap;
	size_t max;
	int error;
};

static inline uint8_t *
buf_data(const struct buf *b)
{
	return b->bytes ? b->bytes + b->start : NULL; /* NULL + 0 is undefined in C */
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* Room for n more bytes at the back: a pointer to fill, then buf_grew; NULL on error. */
uint8_t *buf_reserve(struct buf *, size_t n);
void buf_grew(struct buf *, size_t n);

int buf_append(struct buf *, const void *, size_t);
int buf_u8(struct buf *, unsigned);
int buf_be16(struct buf *, uint32_t);
int buf_be24(struct buf *, uint32_t);
int buf_be32(struct buf *, uint32_t);
int buf_be64(struct buf *, uint64_t);
int buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void buf_consume(struct buf *, size_t n); /* drops n bytes at the front */
void buf_cut(struct buf *, size_t len);   /* keeps the first len bytes */
void buf_clear(struct buf *);             /* empties, keeps the memory and forgets the error */
void buf_free(struct buf *);

#endif
