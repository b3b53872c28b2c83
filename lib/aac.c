#include "aac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000,
	11025, 8000, 7350 };

static int
object(struct bits *b)
{
	int t = (int)bits_get(b, 5);

	return t == 31 ? 32 + (int)bits_get(b, 6) : t;
}

static int
rate(struct bits *b)
{
	size_t index = bits_get(b, 4);

	if (index == 15)
		return (int)bits_get(b, 24);
	return index < sizeof(rates) / sizeof(*rates) ? rates[index] : 0;
}

int
aac_config_parse(const uint8_t *asc, size_t size, struct aac_config *c)
{
	struct bits b = bits_of(asc, size < 64 ? size : 64);

	memset(c, 0, sizeof(*c));
	c->object = object(&b);
	c->rate = rate(&b);
	c->channels = (int)bits_get(&b, 4);
	if (c->object == 5 || c->object == 29) {
		rate(&b);
		object(&b);
	}
	c->frame = bits_get(&b, 1) ? 960 : 1024;
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

int
aac_silence(uint8_t frame[AAC_SILENCE], const struct aac_config *c)
{
	/* 14496-3 4.4.2.1: one element with no band at all, then the end. */
	static const uint8_t mono[] = { 0, 0, 0, 0x07 }, stereo[] = { 0x21, 0, 0, 0, 0, 0x1c };

	if (c->object != 2 || c->channels < 1 || c->channels > 2)
		return 0;
	if (c->channels == 1)
		memcpy(frame, mono, sizeof(mono));
	else
		memcpy(frame, stereo, sizeof(stereo));
	return c->channels == 1 ? (int)sizeof(mono) : (int)sizeof(stereo);
}
