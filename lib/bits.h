/* bits: fields of a few bits, as video and sound headers have them; past the end all is 0 and bad. */
#ifndef LV_BITS_H
#define LV_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	const uint8_t *p;
	size_t at, end; /* in bits */
	bool bad;
};

static inline struct bits
bits_of(const uint8_t *p, size_t size)
{
	return (struct bits){ p, 0, 8 * size, false };
}

static inline uint32_t
bits_get(struct bits *b, size_t n)
{
	uint32_t v = 0;

	if (n > b->end - b->at) {
		b->at = b->end;
		b->bad = true;
		return 0;
	}
	for (; n; n--, b->at++)
		v = v << 1 | (b->p[b->at / 8] >> (7 - b->at % 8) & 1);
	return v;
}

static inline void
bits_skip(struct bits *b, size_t n)
{
	if (n > b->end - b->at) {
		n = b->end - b->at;
		b->bad = true;
	}
	b->at += n;
}

/* Exp-Golomb codes of H.264 and HEVC, 9.1; the unsigned one of AV1 (uvlc) is the same. */
static inline uint32_t
bits_ue(struct bits *b)
{
	size_t zeros = 0;

	while (!b->bad && !bits_get(b, 1))
		if (++zeros > 31)
			b->bad = true;
	return b->bad ? 0 : ((uint32_t)1 << zeros) - 1 + bits_get(b, zeros);
}

static inline int32_t
bits_se(struct bits *b)
{
	uint32_t v = bits_ue(b);

	return v & 1 ? (int32_t)((v >> 1) + 1) : -(int32_t)(v >> 1);
}

#endif
