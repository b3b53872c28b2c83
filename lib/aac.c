#include "aac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000,
	11025, 8000, 7350 };

struct bits {
	const uint8_t *p;
	size_t at, end;
	int bad;
};

static uint32_t
bits(struct bits *b, size_t n)
{
	uint32_t v = 0;

	if (n > b->end - b->at) {
		b->bad = 1;
		return 0;
	}
	for (; n; n--, b->at++)
		v = v << 1 | (b->p[b->at / 8] >> (7 - b->at % 8) & 1);
	return v;
}

static int
object(struct bits *b)
{
	int t = (int)bits(b, 5);

	return t == 31 ? 32 + (int)bits(b, 6) : t;
}

static int
rate(struct bits *b, int *index)
{
	*index = (int)bits(b, 4);
	if (*index == 15)
		return (int)bits(b, 24);
	return *index < (int)(sizeof(rates) / sizeof(*rates)) ? rates[*index] : 0;
}

int
aac_config_parse(const uint8_t *asc, size_t size, struct aac_config *c)
{
	struct bits b = { asc, 0, 8 * (size < 64 ? size : 64), 0 };
	int ext;

	memset(c, 0, sizeof(*c));
	c->object = c->core = object(&b);
	c->rate = rate(&b, &c->rate_index);
	c->channels = (int)bits(&b, 4);
	if (c->object == 5 || c->object == 29) {
		rate(&b, &ext);
		c->core = object(&b);
	}
	c->frame = bits(&b, 1) ? 960 : 1024;
	if (b.bad || !c->object || c->rate < 1000 || c->rate > 192000 || c->channels > 14)
		return -EBADMSG;
	if (c->channels == 7)
		c->channels = 8;
	return 0;
}

const char *
aac_codec(char text[AAC_CODEC], const struct aac_config *c)
{
	snprintf(text, AAC_CODEC, "mp4a.40.%d", c->object);
	return text;
}

void
aac_adts(uint8_t h[AAC_ADTS], const struct aac_config *c, size_t size)
{
	unsigned n = (unsigned)(size + AAC_ADTS);
	unsigned channels = c->channels == 8 ? 7 : (unsigned)c->channels;

	h[0] = 0xff;
	h[1] = 0xf1; /* MPEG-4, no CRC */
	h[2] = (uint8_t)((c->core - 1) << 6 | c->rate_index << 2 | channels >> 2);
	h[3] = (uint8_t)((channels & 3) << 6 | n >> 11);
	h[4] = (uint8_t)(n >> 3);
	h[5] = (uint8_t)((n & 7) << 5 | 0x1f);
	h[6] = 0xfc;
}
