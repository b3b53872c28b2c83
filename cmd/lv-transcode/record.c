#include "record.h"

#include <errno.h>
#include <string.h>

#include "av1.h"
#include "flv.h"
#include "nal.h"

#define SETS 3       /* VPS, SPS, PPS */
#define PROFILE 12   /* bytes of profile, tier and level, as both SPS and hvcC have them */

/* The next NAL unit of an Annex B stream; *at moves behind it. */
static const uint8_t *
next_nal(const uint8_t **at, const uint8_t *end, size_t *size)
{
	const uint8_t *p = *at, *nal;

	while (p + 3 <= end && !(!p[0] && !p[1] && p[2] == 1))
		p++;
	if (p + 3 > end)
		return NULL;
	nal = p += 3;
	while (p + 3 <= end && !(!p[0] && !p[1] && p[2] <= 1))
		p++;
	if (p + 3 > end)
		p = end;
	*at = p;
	while (p > nal && !p[-1]) /* trailing_zero_8bits */
		p--;
	*size = (size_t)(p - nal);
	return nal;
}

struct set {
	const uint8_t *nal;
	size_t size;
};

static void
put_set(struct buf *b, const struct set *s)
{
	buf_be16(b, (uint32_t)s->size);
	buf_append(b, s->nal, s->size);
}

static void
put_avcc(struct buf *b, const struct set *sps, const struct set *pps)
{
	static const uint8_t high[] = { 0xfd, 0xf8, 0xf8, 0 }; /* 4:2:0, eight bits, no extensions */

	buf_u8(b, 1);
	buf_append(b, sps->nal + 1, 3);
	buf_u8(b, 0xff);
	buf_u8(b, 0xe1);
	put_set(b, sps);
	buf_u8(b, 1);
	put_set(b, pps);
	if (sps->nal[1] >= 100)
		buf_append(b, high, sizeof(high));
}

static int
put_hvcc(struct buf *b, const struct set set[SETS])
{
	static const uint8_t middle[] = { 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0 };
	uint8_t sps[3 + PROFILE];
	int i;

	if (nal_unescape(sps, sizeof(sps), set[1].nal, set[1].size) < sizeof(sps))
		return -EBADMSG;
	buf_u8(b, 1);
	buf_append(b, sps + 3, PROFILE);
	buf_append(b, middle, sizeof(middle));
	buf_u8(b, ((sps[2] >> 1 & 7) + 1u) << 3 | (sps[2] & 1) << 2 | 3); /* layers, nested, four-byte lengths */
	buf_u8(b, SETS);
	for (i = 0; i < SETS; i++) {
		buf_u8(b, 0x80 | (32 + (uint32_t)i));
		buf_be16(b, 1);
		put_set(b, &set[i]);
	}
	return 0;
}

static int
put_av1c(struct buf *b, const uint8_t *p, size_t size)
{
	static const uint8_t blank[] = { 0x81, 0, 0, 0 };
	struct av1_config c;
	const uint8_t *obu;
	uint8_t *head;

	size = av1_sequence(p, size, &obu);
	buf_append(b, blank, sizeof(blank));
	buf_append(b, obu, size);
	if (b->error)
		return b->error;
	head = buf_data(b);
	if (av1_config_parse(head, buf_len(b), &c) < 0 || !c.record)
		return -EBADMSG;
	head[1] = (uint8_t)(c.profile << 5 | c.level);
	head[2] = (uint8_t)(c.tier << 7 | (c.depth > 8) << 6 | (c.depth > 10) << 5 | c.mono << 4 |
		(c.subsampling / 100) << 3 | (c.subsampling / 10 % 10) << 2 | c.subsampling % 10);
	return 0;
}

int
record_config(struct buf *b, uint32_t fourcc, const uint8_t *p, size_t size)
{
	const uint8_t *at = p, *end = p + size, *nal;
	struct set set[SETS] = { 0 };
	size_t n;
	int i;

	if (fourcc == FLV_AV1)
		return put_av1c(b, p, size);
	if (fourcc != FLV_AVC && fourcc != FLV_HEVC)
		return -ENOTSUP;
	while ((nal = next_nal(&at, end, &n))) {
		i = n < 2 ? SETS : fourcc == FLV_HEVC ? (nal[0] >> 1 & 63) - 32 : (nal[0] & 31) - 6;
		if (i >= 0 && i < SETS)
			set[i] = (struct set){ nal, n };
	}
	if ((fourcc == FLV_HEVC && !set[0].size) || set[1].size < 4 || !set[2].size)
		return -EBADMSG;
	if (fourcc == FLV_AVC)
		put_avcc(b, &set[1], &set[2]);
	else if (put_hvcc(b, set) < 0)
		return -EBADMSG;
	return b->error;
}

int
record_frame(struct buf *b, uint32_t fourcc, const uint8_t *p, size_t size)
{
	const uint8_t *at = p, *end = p + size, *nal;
	size_t n;

	if (fourcc == FLV_AV1) {
		n = av1_delimiter(p, size);
		return buf_append(b, p + n, size - n);
	}
	while ((nal = next_nal(&at, end, &n))) {
		buf_be32(b, (uint32_t)n);
		buf_append(b, nal, n);
	}
	return b->error;
}
