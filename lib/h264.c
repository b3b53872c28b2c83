#include "h264.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "nal.h"

#define SPS_MAX 1024
#define UNSPECIFIED 2

enum { NAL_SLICE = 1, NAL_IDR = 5, NAL_SPS = 7 };

static void
skip_scaling(struct bits *b, int size)
{
	int32_t last = 8, next = 8;
	int i;

	for (i = 0; i < size && !b->bad; i++) {
		if (next)
			next = (last + bits_se(b) % 256 + 256) % 256;
		if (next)
			last = next;
	}
}

static void
parse_vui(struct bits *b, struct h264_config *c)
{
	uint32_t tick, scale;

	if (bits_get(b, 1) && bits_get(b, 8) == 255) /* Extended_SAR */
		bits_get(b, 32);
	if (bits_get(b, 1)) /* overscan */
		bits_get(b, 1);
	if (bits_get(b, 1)) { /* video_signal_type */
		bits_get(b, 4);
		if (bits_get(b, 1)) {
			bits_get(b, 8);
			c->transfer = (uint8_t)bits_get(b, 8);
			bits_get(b, 8);
		}
	}
	if (bits_get(b, 1)) { /* chroma_loc */
		bits_ue(b);
		bits_ue(b);
	}
	if (bits_get(b, 1)) { /* timing */
		tick = bits_get(b, 32);
		scale = bits_get(b, 32);
		if (!b->bad && tick && scale && (double)scale / tick / 2 <= 1000)
			c->fps = (double)scale / tick / 2;
	}
	if (b->bad)
		c->transfer = UNSPECIFIED;
}

int
h264_sps_parse(const uint8_t *nal, size_t size, struct h264_config *c)
{
	uint8_t raw[SPS_MAX];
	struct bits b;
	size_t i;
	uint32_t chroma = 1, w, h, l, r, t, bot, v, frame_only;
	bool separate = false;

	if (size < 4 || (nal[0] & 31) != NAL_SPS)
		return -EBADMSG;
	b = bits_of(raw, nal_unescape(raw, sizeof(raw), nal + 1, size - 1));
	c->profile = (uint8_t)bits_get(&b, 8);
	c->compat = (uint8_t)bits_get(&b, 8);
	c->level = (uint8_t)bits_get(&b, 8);
	bits_ue(&b);
	switch (c->profile) {
	case 100: case 110: case 122: case 244: case 44: case 83: case 86: case 118: case 128:
	case 138: case 139: case 134: case 135:
		if ((chroma = bits_ue(&b)) == 3)
			separate = bits_get(&b, 1);
		bits_ue(&b);
		bits_ue(&b);
		bits_get(&b, 1);
		if (bits_get(&b, 1))
			for (i = 0; i < (chroma == 3 ? 12 : 8) && !b.bad; i++)
				if (bits_get(&b, 1))
					skip_scaling(&b, i < 6 ? 16 : 64);
	}
	bits_ue(&b);
	if ((v = bits_ue(&b)) == 0)
		bits_ue(&b);
	else if (v == 1) {
		bits_get(&b, 1);
		bits_se(&b);
		bits_se(&b);
		if ((v = bits_ue(&b)) > 255)
			return -EBADMSG;
		while (v-- && !b.bad)
			bits_se(&b);
	}
	bits_ue(&b);
	bits_get(&b, 1);
	w = bits_ue(&b);
	h = bits_ue(&b);
	frame_only = bits_get(&b, 1);
	if (w >= H264_SIDE_MAX / 16 || h >= H264_SIDE_MAX / 16 || chroma > 3)
		return -EBADMSG;
	w = (w + 1) * 16;
	h = (h + 1) * 16 * (2 - frame_only);
	if (!frame_only)
		bits_get(&b, 1);
	bits_get(&b, 1);
	if (bits_get(&b, 1)) {
		uint32_t x = !separate && (chroma == 1 || chroma == 2) ? 2 : 1;
		uint32_t y = (!separate && chroma == 1 ? 2 : 1) * (2 - frame_only);

		l = bits_ue(&b);
		r = bits_ue(&b);
		t = bits_ue(&b);
		bot = bits_ue(&b);
		if (l > w || r > w || t > h || bot > h || (l + r) * x >= w || (t + bot) * y >= h)
			return -EBADMSG;
		w -= (l + r) * x;
		h -= (t + bot) * y;
	}
	c->width = (int)w;
	c->height = (int)h;
	c->fps = 0;
	c->transfer = UNSPECIFIED;
	if (b.bad)
		return -EBADMSG;
	if (bits_get(&b, 1))
		parse_vui(&b, c);
	return 0;
}

int
h264_config_parse(const uint8_t *p, size_t size, struct h264_config *c)
{
	size_t n;

	memset(c, 0, sizeof(*c));
	if (size < 9 || p[0] != 1 || (p[4] & 3) == 2 || !(p[5] & 31))
		return -EBADMSG;
	n = get_be16(p + 6);
	if (n > size - 8)
		return -EBADMSG;
	if (h264_sps_parse(p + 8, n, c) < 0)
		return -EBADMSG;
	c->profile = p[1];
	c->compat = p[2];
	c->level = p[3];
	c->nal_len = (p[4] & 3) + 1;
	return 0;
}

bool
h264_idr(const uint8_t *p, size_t size, int nal_len)
{
	const uint8_t *end = p + size, *nal;

	while (nal_next(&p, end, nal_len, &nal))
		if ((nal[0] & 31) == NAL_IDR)
			return true;
		else if ((nal[0] & 31) >= NAL_SLICE && (nal[0] & 31) < NAL_IDR)
			return false;
	return false;
}

const char *
h264_codec(char text[H264_CODEC], const struct h264_config *c)
{
	snprintf(text, H264_CODEC, "avc1.%02x%02x%02x", c->profile, c->compat, c->level);
	return text;
}

struct sets { /* of a record */
	const uint8_t *sps, *sps_end, *pps, *pps_end, *end;
	unsigned nsps, npps;
	bool seen[2][256]; /* numbers, of sequences and pictures */
};

static int
walk_sets(const uint8_t **at, const uint8_t *end, unsigned count, bool pictures, bool seen[256])
{
	const uint8_t *p = *at;

	for (; count; count--) {
		struct bits b;
		size_t n;
		uint32_t id;

		if (end - p < 2 || (n = get_be16(p)) > (size_t)(end - p) - 2)
			return -EBADMSG;
		b = bits_of(p + 2, n);
		bits_skip(&b, pictures ? 8 : 32); /* the NAL unit's head; profile and level */
		id = bits_ue(&b);
		if (b.bad || id > 255)
			return -EBADMSG;
		seen[id] = true;
		p += 2 + n;
	}
	*at = p;
	return 0;
}

static int
find_sets(struct sets *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	int r;

	memset(s, 0, sizeof(*s));
	if (n < 7 || p[0] != 1)
		return -EBADMSG;
	s->nsps = p[5] & 31;
	s->sps = p += 6;
	if ((r = walk_sets(&p, end, s->nsps, false, s->seen[0])) < 0)
		return r;
	s->sps_end = p;
	if (p == end)
		return -EBADMSG;
	s->npps = *p++;
	s->pps = p;
	if ((r = walk_sets(&p, end, s->npps, true, s->seen[1])) < 0)
		return r;
	s->pps_end = p;
	s->end = end;
	return 0;
}

int
h264_config_join(struct buf *out, const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
	struct sets x, y;
	int r, i;

	if ((r = find_sets(&x, a, na)) < 0 || (r = find_sets(&y, b, nb)) < 0)
		return r;
	if ((a[4] & 3) != (b[4] & 3))
		return -EINVAL;
	for (i = 0; i < 256; i++)
		if ((x.seen[0][i] && y.seen[0][i]) || (x.seen[1][i] && y.seen[1][i]))
			return -EEXIST;
	if (x.nsps + y.nsps > 31 || x.npps + y.npps > 255)
		return -EMSGSIZE;
	buf_u8(out, 1);
	buf_u8(out, a[1] > b[1] ? a[1] : b[1]); /* what a decoder has to know at least */
	buf_u8(out, a[2] & b[2]);
	buf_u8(out, a[3] > b[3] ? a[3] : b[3]);
	buf_u8(out, a[4]);
	buf_u8(out, 0xe0 | (x.nsps + y.nsps));
	buf_append(out, x.sps, (size_t)(x.sps_end - x.sps));
	buf_append(out, y.sps, (size_t)(y.sps_end - y.sps));
	buf_u8(out, x.npps + y.npps);
	buf_append(out, x.pps, (size_t)(x.pps_end - x.pps));
	buf_append(out, y.pps, (size_t)(y.pps_end - y.pps));
	if (x.pps_end < x.end)
		buf_append(out, x.pps_end, (size_t)(x.end - x.pps_end));
	else
		buf_append(out, y.pps_end, (size_t)(y.end - y.pps_end));
	return out->error;
}
