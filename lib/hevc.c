#include "hevc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "nal.h"

#define SPS_MAX 1024
#define SETS_MAX 64 /* of short-term reference pictures, 7.4.3.2.1 */
#define UNSPECIFIED 2

enum { NAL_BLA = 16, NAL_CRA = 21, NAL_IRAP_LAST = 23, NAL_SLICE_LAST = 31, NAL_SPS = 33 };

static int
nal_type(const uint8_t *nal)
{
	return nal[0] >> 1 & 63;
}

/* Profile, tier and level of the stream and of its sub-layers, 7.3.3. */
static void
skip_profile(struct bits *b, unsigned layers)
{
	bool profile[8] = { false }, level[8] = { false };
	unsigned i;

	bits_skip(b, 88 + 8);
	for (i = 0; i < layers; i++) {
		profile[i] = bits_get(b, 1);
		level[i] = bits_get(b, 1);
	}
	if (layers)
		bits_skip(b, 2 * (8 - layers));
	for (i = 0; i < layers; i++)
		bits_skip(b, (profile[i] ? 88 : 0) + (level[i] ? 8 : 0));
}

static void
skip_scaling(struct bits *b)
{
	int size, matrix, i;

	for (size = 0; size < 4; size++)
		for (matrix = 0; matrix < 6 && !b->bad; matrix += size == 3 ? 3 : 1) {
			if (!bits_get(b, 1)) { /* as another matrix */
				bits_ue(b);
				continue;
			}
			if (size > 1)
				bits_se(b);
			for (i = 0; i < (size ? 64 : 16); i++)
				bits_se(b);
		}
}

/* Sets of short-term reference pictures: each alone, or as it differs from the one before. */
static void
skip_reference_sets(struct bits *b)
{
	uint32_t sets = bits_ue(b), pictures = 0, n, i, j;

	if (sets > SETS_MAX)
		b->bad = true;
	for (i = 0; i < sets && !b->bad; i++) {
		if (i && bits_get(b, 1)) {
			bits_skip(b, 1);
			bits_ue(b);
			for (n = 0, j = 0; j <= pictures; j++)
				n += bits_get(b, 1) || bits_get(b, 1);
			pictures = n;
			continue;
		}
		pictures = bits_ue(b);
		pictures += bits_ue(b);
		if (pictures > 32)
			b->bad = true;
		for (j = 0; j < pictures && !b->bad; j++) {
			bits_ue(b);
			bits_skip(b, 1);
		}
	}
}

/* Between the size and the usability information: which tools the encoder uses. */
static void
skip_tools(struct bits *b, uint32_t layers)
{
	uint32_t order, n;

	bits_ue(b);
	bits_ue(b);
	order = bits_ue(b) + 4;
	for (n = bits_get(b, 1) ? layers + 1 : 1; n; n--) {
		bits_ue(b);
		bits_ue(b);
		bits_ue(b);
	}
	for (n = 0; n < 6; n++)
		bits_ue(b);
	if (bits_get(b, 1) && bits_get(b, 1))
		skip_scaling(b);
	bits_skip(b, 2);
	if (bits_get(b, 1)) { /* PCM */
		bits_skip(b, 8);
		bits_ue(b);
		bits_ue(b);
		bits_skip(b, 1);
	}
	skip_reference_sets(b);
	if (bits_get(b, 1)) /* long-term reference pictures */
		for (n = bits_ue(b); n && !b->bad; n--)
			bits_skip(b, order + 1);
	bits_skip(b, 2);
}

static void
parse_vui(struct bits *b, struct hevc_config *c)
{
	uint32_t tick, scale, i;

	if (bits_get(b, 1) && bits_get(b, 8) == 255) /* Extended_SAR */
		bits_skip(b, 32);
	if (bits_get(b, 1)) /* overscan */
		bits_skip(b, 1);
	if (bits_get(b, 1)) { /* video_signal_type */
		bits_skip(b, 4);
		if (bits_get(b, 1)) {
			bits_skip(b, 8);
			c->transfer = (uint8_t)bits_get(b, 8);
			bits_skip(b, 8);
		}
	}
	if (bits_get(b, 1)) { /* chroma_loc */
		bits_ue(b);
		bits_ue(b);
	}
	bits_skip(b, 3);
	if (bits_get(b, 1)) /* default display window */
		for (i = 0; i < 4; i++)
			bits_ue(b);
	if (bits_get(b, 1)) { /* timing */
		tick = bits_get(b, 32);
		scale = bits_get(b, 32);
		if (!b->bad && tick && scale && (double)scale / tick <= 1000)
			c->fps = (double)scale / tick;
	}
	if (b->bad)
		c->transfer = UNSPECIFIED;
}

int
hevc_sps_parse(const uint8_t *nal, size_t size, struct hevc_config *c)
{
	uint8_t raw[SPS_MAX];
	uint32_t layers, chroma, w, h, x, y, left, right, top, bottom;
	struct bits b;

	if (size < 3 || nal_type(nal) != NAL_SPS)
		return -EBADMSG;
	b = bits_of(raw, nal_unescape(raw, sizeof(raw), nal + 2, size - 2));
	bits_skip(&b, 4);
	layers = bits_get(&b, 3);
	bits_skip(&b, 1);
	if (layers > 6)
		return -EBADMSG;
	skip_profile(&b, layers);
	bits_ue(&b);
	chroma = bits_ue(&b);
	if (chroma == 3 && bits_get(&b, 1))
		chroma = 0; /* separate planes are cropped as if there were no colour */
	w = bits_ue(&b);
	h = bits_ue(&b);
	if (!w || !h || w > HEVC_SIDE_MAX || h > HEVC_SIDE_MAX || chroma > 3)
		return -EBADMSG;
	if (bits_get(&b, 1)) {
		x = chroma == 1 || chroma == 2 ? 2 : 1;
		y = chroma == 1 ? 2 : 1;
		left = bits_ue(&b);
		right = bits_ue(&b);
		top = bits_ue(&b);
		bottom = bits_ue(&b);
		if (left > w || right > w || top > h || bottom > h || (left + right) * x >= w ||
			(top + bottom) * y >= h)
			return -EBADMSG;
		w -= (left + right) * x;
		h -= (top + bottom) * y;
	}
	if (b.bad)
		return -EBADMSG;
	c->width = (int)w;
	c->height = (int)h;
	c->fps = 0;
	c->transfer = UNSPECIFIED;
	skip_tools(&b, layers);
	if (bits_get(&b, 1))
		parse_vui(&b, c);
	return 0;
}

int
hevc_config_parse(const uint8_t *p, size_t size, struct hevc_config *c)
{
	const uint8_t *end = p + size;
	int arrays, count, type;

	memset(c, 0, sizeof(*c));
	if (size < 23 || p[0] != 1 || (p[21] & 3) == 2)
		return -EBADMSG;
	c->space = p[1] >> 6;
	c->tier = p[1] >> 5 & 1;
	c->profile = p[1] & 31;
	c->compat = get_be32(p + 2);
	memcpy(c->constraints, p + 6, sizeof(c->constraints));
	c->level = p[12];
	c->nal_len = (p[21] & 3) + 1;
	arrays = p[22];
	for (p += 23; arrays > 0; arrays--) {
		if (end - p < 3)
			return -EBADMSG;
		type = p[0] & 63;
		count = get_be16(p + 1);
		for (p += 3; count > 0; count--) {
			if (end - p < 2 || end - p - 2 < get_be16(p))
				return -EBADMSG;
			if (type == NAL_SPS && !c->width && hevc_sps_parse(p + 2, get_be16(p), c) < 0)
				return -EBADMSG;
			p += 2 + get_be16(p);
		}
	}
	return c->width ? 0 : -EBADMSG;
}

enum hevc_access
hevc_access(const uint8_t *p, size_t size, int nal_len)
{
	const uint8_t *end = p + size, *nal;
	int type;

	while (nal_next(&p, end, nal_len, &nal))
		if ((type = nal_type(nal)) <= NAL_SLICE_LAST)
			return type == NAL_CRA                              ? HEVC_CRA :
				type >= NAL_BLA && type <= NAL_IRAP_LAST ? HEVC_CLOSED :
									   HEVC_NONE;
	return HEVC_NONE;
}

/* hvc1.[space]profile.compatibility, bits reversed.tier and level.constraints without last zeros */
const char *
hevc_codec(char text[HEVC_CODEC], const struct hevc_config *c)
{
	static const char space[4][2] = { "", "A", "B", "C" };
	uint32_t compat = 0;
	size_t i, n, last = 0;

	for (i = 0; i < 32; i++)
		compat |= (c->compat >> i & 1) << (31 - i);
	n = (size_t)snprintf(text, HEVC_CODEC, "hvc1.%s%d.%x.%c%d", space[c->space], c->profile, compat,
		c->tier ? 'H' : 'L', c->level);
	for (i = 0; i < sizeof(c->constraints); i++)
		if (c->constraints[i])
			last = i + 1;
	for (i = 0; i < last; i++)
		n += (size_t)snprintf(text + n, HEVC_CODEC - n, ".%x", c->constraints[i]);
	return text;
}
