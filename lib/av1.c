#include "av1.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

enum { OBU_SEQUENCE = 1, OBU_DELIMITER = 2, OBU_FRAME_HEADER = 3, OBU_FRAME = 6 };
enum { BT709 = 1, UNSPECIFIED = 2, SRGB = 13, IDENTITY = 0 };

bool
av1_obu_next(const uint8_t **at, const uint8_t *end, struct av1_obu *o)
{
	const uint8_t *p = *at;
	uint64_t size = 0;
	int head, shift;

	if (end - p < 1 || *p & 0x80)
		return false;
	head = *p++;
	if (head & 4 && p++ == end) /* an extension: layers */
		return false;
	if (head & 2) {
		for (shift = 0;; shift += 7) {
			if (p == end || shift > 49)
				return false;
			size |= (uint64_t)(*p & 127) << shift;
			if (!(*p++ & 128))
				break;
		}
	} else {
		size = (uint64_t)(end - p);
	}
	if (size > (uint64_t)(end - p))
		return false;
	o->type = head >> 3 & 15;
	o->body = p;
	o->size = (size_t)size;
	*at = p + size;
	return true;
}

/* timing_info and decoder_model_info; the length of its delays, or 0. */
static unsigned
skip_timing(struct bits *b)
{
	unsigned delay = 0;

	if (!bits_get(b, 1))
		return 0;
	bits_skip(b, 64);
	if (bits_get(b, 1))
		bits_ue(b); /* ticks a picture: uvlc */
	if (bits_get(b, 1)) {
		delay = bits_get(b, 5) + 1;
		bits_skip(b, 32 + 5 + 5);
	}
	return delay;
}

static void
parse_operating_points(struct bits *b, struct av1_config *c)
{
	unsigned delay = skip_timing(b), count, i, level, tier;
	bool initial = bits_get(b, 1);

	count = bits_get(b, 5) + 1;
	for (i = 0; i < count && !b->bad; i++) {
		bits_skip(b, 12);
		level = bits_get(b, 5);
		tier = level > 7 ? bits_get(b, 1) : 0;
		if (delay && bits_get(b, 1))
			bits_skip(b, 2 * delay + 1);
		if (initial && bits_get(b, 1))
			bits_skip(b, 4);
		if (!i) {
			c->level = (uint8_t)level;
			c->tier = (uint8_t)tier;
		}
	}
}

/* Between the size and the colours: which tools the encoder uses. */
static void
skip_tools(struct bits *b, bool reduced)
{
	bool order;

	if (!reduced && bits_get(b, 1)) /* frame ids */
		bits_skip(b, 4 + 3);
	bits_skip(b, 3);
	if (!reduced) {
		bits_skip(b, 4);
		if ((order = bits_get(b, 1)))
			bits_skip(b, 2);
		/* Screen content tools: chosen a frame, always or never; integer vectors depend on it. */
		if (bits_get(b, 1) || bits_get(b, 1)) {
			if (!bits_get(b, 1))
				bits_skip(b, 1);
		}
		if (order)
			bits_skip(b, 3);
	}
	bits_skip(b, 3);
}

static void
parse_colours(struct bits *b, struct av1_config *c)
{
	bool high = bits_get(b, 1), x, y;
	unsigned place = 0;

	c->depth = c->profile == 2 && high && bits_get(b, 1) ? 12 : high ? 10 : 8;
	c->mono = c->profile != 1 && bits_get(b, 1);
	c->primaries = c->transfer = c->matrix = UNSPECIFIED;
	if (bits_get(b, 1)) {
		c->primaries = (uint8_t)bits_get(b, 8);
		c->transfer = (uint8_t)bits_get(b, 8);
		c->matrix = (uint8_t)bits_get(b, 8);
	}
	if (c->mono) {
		c->full_range = bits_get(b, 1);
		c->subsampling = 110;
		return;
	}
	if (c->primaries == BT709 && c->transfer == SRGB && c->matrix == IDENTITY) {
		c->full_range = true;
		c->subsampling = 0;
		return;
	}
	c->full_range = bits_get(b, 1);
	x = c->profile != 1 && (c->profile == 0 || c->depth != 12 || bits_get(b, 1));
	y = c->profile == 0 || (c->profile == 2 && c->depth == 12 && x && bits_get(b, 1));
	if (x && y)
		place = bits_get(b, 2);
	c->subsampling = (uint8_t)(100 * x + 10 * y + place);
}

static int
parse_sequence(const struct av1_obu *o, struct av1_config *out)
{
	struct bits b = bits_of(o->body, o->size);
	struct av1_config c = { 0 };
	unsigned w, h;

	c.profile = (uint8_t)bits_get(&b, 3);
	bits_skip(&b, 1);
	c.still = bits_get(&b, 1); /* reduced_still_picture_header */
	if (c.profile > 2)
		return -EBADMSG;
	if (c.still)
		c.level = (uint8_t)bits_get(&b, 5);
	else
		parse_operating_points(&b, &c);
	w = bits_get(&b, 4) + 1;
	h = bits_get(&b, 4) + 1;
	c.width = (int)bits_get(&b, w) + 1;
	c.height = (int)bits_get(&b, h) + 1;
	skip_tools(&b, c.still);
	parse_colours(&b, &c);
	if (b.bad || c.width > AV1_SIDE_MAX || c.height > AV1_SIDE_MAX)
		return -EBADMSG;
	c.record = out->record;
	*out = c;
	return 0;
}

int
av1_config_parse(const uint8_t *p, size_t size, struct av1_config *c)
{
	const uint8_t *at, *end = p + size;
	struct av1_obu o;

	memset(c, 0, sizeof(*c));
	if (size < 4 || p[0] != 0x81)
		return -EBADMSG;
	c->profile = p[1] >> 5;
	c->level = p[1] & 31;
	c->tier = p[2] >> 7;
	c->depth = p[2] & 0x40 ? (p[2] & 0x20 ? 12 : 10) : 8;
	c->mono = p[2] & 0x10;
	c->subsampling = (uint8_t)(100 * (p[2] >> 3 & 1) + 10 * (p[2] >> 2 & 1) + (p[2] & 3));
	c->primaries = c->transfer = c->matrix = UNSPECIFIED;
	if (c->profile > 2)
		return -EBADMSG;
	for (at = p + 4; at < end;) {
		if (!av1_obu_next(&at, end, &o))
			return -EBADMSG;
		if (o.type == OBU_SEQUENCE) {
			c->record = true;
			return parse_sequence(&o, c);
		}
	}
	return 0;
}

bool
av1_key(const uint8_t *p, size_t size, struct av1_config *c)
{
	const uint8_t *end = p + size;
	bool sequence = c->record;
	struct bits b;
	struct av1_obu o;

	while (av1_obu_next(&p, end, &o))
		if (o.type == OBU_SEQUENCE) {
			if (parse_sequence(&o, c) < 0)
				return false;
			sequence = true;
		} else if (o.type == OBU_FRAME || o.type == OBU_FRAME_HEADER) {
			b = bits_of(o.body, o.size);
			/* not shown again; a KEY_FRAME; shown */
			return sequence && (c->still || (!bits_get(&b, 1) && !bits_get(&b, 2) &&
							bits_get(&b, 1) && !b.bad));
		}
	return false;
}

size_t
av1_sequence(const uint8_t *p, size_t size, const uint8_t **obu)
{
	const uint8_t *at = p, *end = p + size;
	struct av1_obu o;

	for (*obu = at; av1_obu_next(&at, end, &o); *obu = at)
		if (o.type == OBU_SEQUENCE)
			return (size_t)(at - *obu);
	return 0;
}

size_t
av1_delimiter(const uint8_t *p, size_t size)
{
	const uint8_t *at = p;
	struct av1_obu o;

	return av1_obu_next(&at, p + size, &o) && o.type == OBU_DELIMITER ? (size_t)(at - p) : 0;
}

/* av01.profile.level and tier.depth, and the colours where they are not the usual ones. */
const char *
av1_codec(char text[AV1_CODEC], const struct av1_config *c)
{
	int n = snprintf(text, AV1_CODEC, "av01.%d.%02d%c.%02d", c->profile, c->level,
		c->tier ? 'H' : 'M', c->depth);
	bool said = c->primaries != UNSPECIFIED || c->transfer != UNSPECIFIED ||
		c->matrix != UNSPECIFIED;
	bool usual = c->primaries == BT709 && c->transfer == BT709 && c->matrix == BT709;

	if (c->mono || c->subsampling / 10 != 11 || c->full_range || (said && !usual))
		snprintf(text + n, AV1_CODEC - (size_t)n, ".%d.%03d.%02d.%02d.%02d.%d", c->mono,
			c->subsampling, said ? c->primaries : BT709, said ? c->transfer : BT709,
			said ? c->matrix : BT709, c->full_range);
	return text;
}
