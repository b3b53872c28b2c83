#include "h264.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

#define SPS_MAX 1024

enum { NAL_SLICE = 1, NAL_IDR = 5, NAL_SPS = 7 };

struct bits {
	const uint8_t *p;
	size_t at, end; /* in bits */
	bool bad;
};

static unsigned
bit(struct bits *b)
{
	unsigned v;

	if (b->at >= b->end) {
		b->bad = true;
		return 0;
	}
	v = b->p[b->at / 8] >> (7 - b->at % 8) & 1;
	b->at++;
	return v;
}

static uint32_t
bits(struct bits *b, int n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 1 | bit(b);
	return v;
}

static uint32_t
ue(struct bits *b)
{
	int zeros = 0;

	while (!b->bad && !bit(b))
		if (++zeros > 31)
			b->bad = true;
	return b->bad ? 0 : ((uint32_t)1 << zeros) - 1 + bits(b, zeros);
}

static int32_t
se(struct bits *b)
{
	uint32_t v = ue(b);

	return v & 1 ? (int32_t)((v >> 1) + 1) : -(int32_t)(v >> 1);
}

static void
skip_scaling(struct bits *b, int size)
{
	int32_t last = 8, next = 8;
	int i;

	for (i = 0; i < size && !b->bad; i++) {
		if (next)
			next = (last + se(b) % 256 + 256) % 256;
		if (next)
			last = next;
	}
}

static void
parse_vui(struct bits *b, struct h264_config *c)
{
	uint32_t tick, scale;

	if (bit(b) && bits(b, 8) == 255) /* Extended_SAR */
		bits(b, 32);
	if (bit(b)) /* overscan */
		bit(b);
	if (bit(b)) { /* video_signal_type */
		bits(b, 4);
		if (bit(b))
			bits(b, 24);
	}
	if (bit(b)) { /* chroma_loc */
		ue(b);
		ue(b);
	}
	if (bit(b)) { /* timing */
		tick = bits(b, 32);
		scale = bits(b, 32);
		if (!b->bad && tick && scale && (double)scale / tick / 2 <= 1000)
			c->fps = (double)scale / tick / 2;
	}
}

int
h264_sps_parse(const uint8_t *nal, size_t size, struct h264_config *c)
{
	uint8_t raw[SPS_MAX];
	struct bits b = { raw, 0, 0, false };
	size_t i, n = 0;
	uint32_t chroma = 1, w, h, l, r, t, bot, v, frame_only;
	bool separate = false;
	int zeros = 0;

	if (size < 4 || (nal[0] & 31) != NAL_SPS)
		return -EBADMSG;
	for (i = 1; i < size && n < sizeof(raw); i++) {
		if (zeros >= 2 && nal[i] == 3) { /* emulation prevention */
			zeros = 0;
			continue;
		}
		zeros = nal[i] ? 0 : zeros + 1;
		raw[n++] = nal[i];
	}
	b.end = 8 * n;
	c->profile = (uint8_t)bits(&b, 8);
	c->compat = (uint8_t)bits(&b, 8);
	c->level = (uint8_t)bits(&b, 8);
	ue(&b);
	switch (c->profile) {
	case 100: case 110: case 122: case 244: case 44: case 83: case 86: case 118: case 128:
	case 138: case 139: case 134: case 135:
		if ((chroma = ue(&b)) == 3)
			separate = bit(&b);
		ue(&b);
		ue(&b);
		bit(&b);
		if (bit(&b))
			for (i = 0; i < (chroma == 3 ? 12 : 8) && !b.bad; i++)
				if (bit(&b))
					skip_scaling(&b, i < 6 ? 16 : 64);
	}
	ue(&b);
	if ((v = ue(&b)) == 0)
		ue(&b);
	else if (v == 1) {
		bit(&b);
		se(&b);
		se(&b);
		if ((v = ue(&b)) > 255)
			return -EBADMSG;
		while (v-- && !b.bad)
			se(&b);
	}
	ue(&b);
	bit(&b);
	w = ue(&b);
	h = ue(&b);
	frame_only = bit(&b);
	if (w >= H264_SIDE_MAX / 16 || h >= H264_SIDE_MAX / 16 || chroma > 3)
		return -EBADMSG;
	w = (w + 1) * 16;
	h = (h + 1) * 16 * (2 - frame_only);
	if (!frame_only)
		bit(&b);
	bit(&b);
	if (bit(&b)) {
		uint32_t x = !separate && (chroma == 1 || chroma == 2) ? 2 : 1;
		uint32_t y = (!separate && chroma == 1 ? 2 : 1) * (2 - frame_only);

		l = ue(&b);
		r = ue(&b);
		t = ue(&b);
		bot = ue(&b);
		if (l > w || r > w || t > h || bot > h || (l + r) * x >= w || (t + bot) * y >= h)
			return -EBADMSG;
		w -= (l + r) * x;
		h -= (t + bot) * y;
	}
	c->width = (int)w;
	c->height = (int)h;
	c->fps = 0;
	if (b.bad)
		return -EBADMSG;
	if (bit(&b))
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

/* The next NAL unit; 0 at the end, or where a length points outside of the frame. */
static size_t
nal_next(const uint8_t **at, const uint8_t *end, int nal_len, const uint8_t **nal)
{
	size_t n = 0;
	int i;

	if (end - *at < nal_len)
		return 0;
	for (i = 0; i < nal_len; i++)
		n = n << 8 | (*at)[i];
	*at += nal_len;
	if (!n || n > (size_t)(end - *at))
		return 0;
	*nal = *at;
	*at += n;
	return n;
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
