#include "codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "nal.h"

#define RATE_MIN 1000 /* of FLAC, which has the widest range */
#define RATE_MAX 655350
#define OPUS_HEAD 19
#define STREAMINFO 34

enum { BT709 = 1, UNSPECIFIED = 2 }; /* colours, H.273 8 */

static const struct {
	uint32_t fourcc;
	const char *name;
	bool fmp4, ts, config;
} codecs[] = {
	{ FLV_AVC, "H.264", true, true, true },
	{ FLV_HEVC, "HEVC", true, false, true },
	{ FLV_AV1, "AV1", true, false, true },
	{ FLV_VP9, "VP9", true, false, true },
	{ FLV_VP8, "VP8", false, false, false },
	{ FLV_AAC, "AAC", true, true, true },
	{ FLV_OPUS, "Opus", true, false, true },
	{ FLV_FLAC, "FLAC", true, false, true },
	{ FLV_AC3, "AC-3", true, false, false },
	{ FLV_EAC3, "E-AC-3", false, false, false },
	{ FLV_MP3, "MP3", false, false, false },
	{ 0, "an unknown codec", false, false, false },
};

static size_t
row(uint32_t fourcc)
{
	size_t i = 0;

	while (codecs[i].fourcc && codecs[i].fourcc != fourcc)
		i++;
	return i;
}

const char *
codec_name(uint32_t fourcc)
{
	return codecs[row(fourcc)].name;
}

bool
codec_packaged(uint32_t fourcc, bool ts)
{
	return ts ? codecs[row(fourcc)].ts : codecs[row(fourcc)].fmp4;
}

bool
codec_has_config(uint32_t fourcc)
{
	return codecs[row(fourcc)].config;
}

/* ---- VP9 ---- */

/* Some writers leave the version and flags of the full box in front of the record. */
static int
vp9_config(struct codec *c, const uint8_t *p, size_t size)
{
	if (size >= 12 && get_be32(p) == 0x01000000) {
		p += 4;
		size -= 4;
	}
	if (size < sizeof(c->vp9) || p[0] > 3)
		return -EBADMSG;
	memcpy(c->vp9, p, sizeof(c->vp9));
	put_be16(c->vp9 + 6, 0); /* VP9 has no initialization data */
	c->transfer = p[4];
	return 0;
}

/* uncompressed_header; a key frame tells the size. */
static bool
vp9_key(struct codec *c, const uint8_t *p, size_t size)
{
	struct bits b = bits_of(p, size);
	unsigned profile;

	if (bits_get(&b, 2) != 2)
		return false;
	profile = bits_get(&b, 1);
	profile |= bits_get(&b, 1) << 1;
	if (profile == 3)
		bits_skip(&b, 1);
	if (bits_get(&b, 1) || bits_get(&b, 1)) /* shown again; not a key frame */
		return false;
	bits_skip(&b, 2);
	if (bits_get(&b, 24) != 0x498342)
		return false;
	if (profile >= 2)
		bits_skip(&b, 1);
	if (bits_get(&b, 3) != 7) { /* any colours but sRGB */
		bits_skip(&b, 1);
		if (profile & 1)
			bits_skip(&b, 3);
	} else if (profile & 1) {
		bits_skip(&b, 1);
	}
	profile = bits_get(&b, 16);
	if (b.bad || b.end - b.at < 16)
		return false;
	c->width = (int)profile + 1;
	c->height = (int)bits_get(&b, 16) + 1;
	return true;
}

/* vp09.profile.level.depth (level 10: the lowest, where the record does not say), then the colours
   where they are not the usual ones. */
static const char *
vp9_text(char text[CODEC_TEXT], const uint8_t vp9[8])
{
	int n = snprintf(text, CODEC_TEXT, "vp09.%02d.%02d.%02d", vp9[0], vp9[1] ? vp9[1] : 10,
		vp9[2] >> 4);
	int chroma = vp9[2] >> 1 & 7, range = vp9[2] & 1, said[3], i;
	bool usual = chroma < 2 && !range;

	for (i = 0; i < 3; i++) {
		said[i] = vp9[3 + i] == UNSPECIFIED ? BT709 : vp9[3 + i];
		usual &= said[i] == BT709;
	}
	if (!usual)
		snprintf(text + n, CODEC_TEXT - (size_t)n, ".%02d.%02d.%02d.%02d.%02d", chroma, said[0],
			said[1], said[2], range);
	return text;
}

/* ---- sound ---- */

static int
opus_config(struct codec *c, const uint8_t *p, size_t size)
{
	if (size < OPUS_HEAD || memcmp(p, "OpusHead", 8) || p[8] > 15 || !p[9] ||
		(p[18] && size < OPUS_HEAD + 2u + p[9]))
		return -EBADMSG;
	c->channels = p[9];
	c->rate = 48000;
	c->frame = 960;
	return 0;
}

/* RFC 6716 3.1: how long a frame is, and how many a packet holds. */
static int
opus_samples(const uint8_t *p, size_t size)
{
	static const int celt[] = { 120, 240, 480, 960 }, silk[] = { 480, 960, 1920, 2880 };
	int config, frame, count;

	if (!size)
		return 0;
	config = p[0] >> 3;
	frame = config < 12 ? silk[config & 3] : config < 16 ? 480 << (config & 1) : celt[config & 3];
	count = (p[0] & 3) == 0 ? 1 : (p[0] & 3) < 3 ? 2 : size > 1 ? p[1] & 63 : 0;
	return frame * count <= 5760 ? frame * count : 0;
}

static int
flac_config(struct codec *c, const uint8_t *p, size_t size)
{
	struct bits b;

	if (size < 8 + STREAMINFO || memcmp(p, "fLaC", 4) || (p[4] & 127) ||
		get_be24(p + 5) != STREAMINFO)
		return -EBADMSG;
	b = bits_of(p + 8, STREAMINFO);
	bits_skip(&b, 16);
	c->frame = (int)bits_get(&b, 16);
	bits_skip(&b, 48);
	c->rate = (int)bits_get(&b, 20);
	c->channels = (int)bits_get(&b, 3) + 1;
	return c->rate >= RATE_MIN && c->rate <= RATE_MAX && c->frame >= 16 ? 0 : -EBADMSG;
}

/* The block size in a frame's header, RFC 9639 9.1. */
static int
flac_samples(const uint8_t *p, size_t size)
{
	size_t at = 5; /* the coded number's first byte is at 4 */
	int code;

	if (size < 8 || p[0] != 0xff || (p[1] & 0xfe) != 0xf8)
		return 0;
	code = p[2] >> 4;
	if (code == 1)
		return 192;
	if (code >= 2 && code <= 5)
		return 576 << (code - 2);
	if (code >= 8)
		return 256 << (code - 8);
	if (p[4] & 0x80)
		for (; at < 11 && at < size && (p[at] & 0xc0) == 0x80; at++)
			;
	if (code == 6 && at < size)
		return p[at] + 1;
	return code == 7 && at + 1 < size ? get_be16(p + at) + 1 : 0;
}

/* A frame's syncinfo and bit stream information, TS 102 366 4.4, as the three bytes of dac3. */
static int
ac3_first(struct codec *c, const uint8_t *p, size_t size)
{
	static const int rates[] = { 48000, 44100, 32000 }, channels[] = { 2, 1, 2, 3, 3, 4, 4, 5 };
	struct bits b = bits_of(p, size);
	uint32_t fscod, code, bsid, bsmod, acmod, lfe;

	if (bits_get(&b, 16) != 0x0b77)
		return -EBADMSG;
	bits_skip(&b, 16);
	fscod = bits_get(&b, 2);
	code = bits_get(&b, 6) >> 1;
	bsid = bits_get(&b, 5);
	bsmod = bits_get(&b, 3);
	acmod = bits_get(&b, 3);
	if ((acmod & 1) && acmod != 1)
		bits_skip(&b, 2);
	if (acmod & 4)
		bits_skip(&b, 2);
	if (acmod == 2)
		bits_skip(&b, 2);
	lfe = bits_get(&b, 1);
	if (b.bad || fscod > 2 || bsid > 8 || code > 18)
		return -EBADMSG;
	put_be24(c->ac3, fscod << 22 | bsid << 17 | bsmod << 14 | acmod << 11 | lfe << 10 | code << 5);
	c->rate = rates[fscod];
	c->channels = channels[acmod] + (int)lfe;
	c->frame = 1536;
	return 0;
}

/* ---- all of them ---- */

static void
av1_told(struct codec *c)
{
	c->width = c->av1.width;
	c->height = c->av1.height;
	c->transfer = c->av1.transfer;
}

static int
aac_config(struct codec *c, const uint8_t *p, size_t size)
{
	int r = aac_config_parse(p, size, &c->aac);

	c->rate = c->aac.rate;
	c->channels = c->aac.channels;
	c->frame = c->aac.frame;
	return r;
}

int
codec_config(struct codec *c, uint32_t fourcc, const uint8_t *p, size_t size)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->fourcc = fourcc;
	c->transfer = UNSPECIFIED;
	switch (fourcc) {
	case FLV_AVC:
		r = h264_config_parse(p, size, &c->h264);
		c->width = c->h264.width;
		c->height = c->h264.height;
		c->fps = c->h264.fps;
		c->transfer = c->h264.transfer;
		c->nal_len = c->h264.nal_len;
		return r;
	case FLV_HEVC:
		r = hevc_config_parse(p, size, &c->hevc);
		c->width = c->hevc.width;
		c->height = c->hevc.height;
		c->fps = c->hevc.fps;
		c->transfer = c->hevc.transfer;
		c->nal_len = c->hevc.nal_len;
		return r;
	case FLV_AV1:
		r = av1_config_parse(p, size, &c->av1);
		av1_told(c);
		return r;
	case FLV_VP9:
		return vp9_config(c, p, size);
	case FLV_AAC:
		return aac_config(c, p, size);
	case FLV_OPUS:
		return opus_config(c, p, size);
	case FLV_FLAC:
		return flac_config(c, p, size);
	}
	return -ENOTSUP;
}

int
codec_first(struct codec *c, uint32_t fourcc, const uint8_t *p, size_t size)
{
	if (fourcc != FLV_AC3)
		return -ENOTSUP;
	memset(c, 0, sizeof(*c));
	c->fourcc = fourcc;
	return ac3_first(c, p, size);
}

enum codec_start
codec_start(struct codec *c, const uint8_t *p, size_t size)
{
	static const enum codec_start hevc[] = { CODEC_DELTA, CODEC_OPEN, CODEC_KEY };

	switch (c->fourcc) {
	case FLV_AVC:
		return h264_idr(p, size, c->nal_len) ? CODEC_KEY : CODEC_DELTA;
	case FLV_HEVC:
		return hevc[hevc_access(p, size, c->nal_len)];
	case FLV_AV1:
		if (!av1_key(p, size, &c->av1))
			return CODEC_DELTA;
		av1_told(c);
		return CODEC_KEY;
	case FLV_VP9:
		return vp9_key(c, p, size) ? CODEC_KEY : CODEC_DELTA;
	}
	return CODEC_KEY; /* every frame of sound */
}

bool
codec_has_picture(const struct codec *c, const uint8_t *p, size_t size)
{
	const uint8_t *end = p + size, *nal;
	int type;

	if (c->fourcc != FLV_AVC && c->fourcc != FLV_HEVC)
		return true;
	while (nal_next(&p, end, c->nal_len, &nal)) {
		type = c->fourcc == FLV_AVC ? nal[0] & 31 : nal[0] >> 1 & 63; /* H.264 table 7-1, H.265 table 7-1 */
		if (c->fourcc == FLV_AVC ? type >= 1 && type <= 5 : type <= 31)
			return true;
	}
	return p != end; /* damaged: who knows */
}

int
codec_samples(const struct codec *c, const uint8_t *p, size_t size)
{
	int n = c->fourcc == FLV_OPUS ? opus_samples(p, size) :
		c->fourcc == FLV_FLAC ? flac_samples(p, size) :
					 c->frame;

	return n > 0 ? n : c->frame;
}

size_t
codec_skip(const struct codec *c, const uint8_t *p, size_t size)
{
	return c->fourcc == FLV_AV1 ? av1_delimiter(p, size) : 0;
}

const char *
codec_text(char text[CODEC_TEXT], const struct codec *c)
{
	switch (c->fourcc) {
	case FLV_AVC:
		return h264_codec(text, &c->h264);
	case FLV_HEVC:
		return hevc_codec(text, &c->hevc);
	case FLV_AV1:
		return av1_codec(text, &c->av1);
	case FLV_VP9:
		return vp9_text(text, c->vp9);
	case FLV_AAC:
		return aac_codec(text, &c->aac);
	}
	put_be32((uint8_t *)text, c->fourcc); /* RFC 6381 3.3: no more than the sample entry's name */
	text[4] = '\0';
	return text;
}

const char *
codec_range(const struct codec *c)
{
	switch (c->transfer) {
	case 0:
	case 3: /* reserved */
	case UNSPECIFIED:
		return NULL;
	case 16: /* SMPTE ST 2084 */
		return "PQ";
	case 18: /* ARIB STD-B67 */
		return "HLG";
	}
	return "SDR";
}
