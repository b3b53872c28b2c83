/* A codec, its configuration and its frames, all hostile; what is accepted makes an init segment. */
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "captions.h"
#include "fmp4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_init(const struct codec *c, bool video, const uint8_t *config, size_t size)
{
	struct fmp4_track t = { video, video ? 90000 : (uint32_t)c->rate, c, config, size };
	struct buf b = { 0 };
	size_t at = 0;

	if (fmp4_init(&b, &t) < 0)
		__builtin_trap();
	for (; at < buf_len(&b); at += get_be32(buf_data(&b) + at))
		if (buf_len(&b) - at < 8 || get_be32(buf_data(&b) + at) < 8)
			__builtin_trap();
	if (at != buf_len(&b))
		__builtin_trap();
	buf_free(&b);
}

/* The codec, the configuration's length and bytes, then frames, each behind its length. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t codecs[] = { FLV_AVC, FLV_HEVC, FLV_AV1, FLV_VP9, FLV_AAC, FLV_OPUS, FLV_FLAC, FLV_AC3 };
	const uint8_t *config, *end = data + size, *p;
	char text[CODEC_TEXT];
	struct codec c;
	uint32_t fourcc;
	bool video;
	size_t n;

	if (size < 2)
		return 0;
	fourcc = codecs[data[0] & 7];
	video = (data[0] & 7) < 4;
	n = data[1] < size - 2 ? data[1] : size - 2;
	config = data + 2;
	p = config + n;
	if ((codec_has_config(fourcc) ? codec_config : codec_first)(&c, fourcc, config, n) < 0)
		return 0;
	if (!video && (c.rate < 1000 || c.rate > 655350 || c.frame < 1))
		__builtin_trap();
	check_init(&c, video, config, n);
	codec_range(&c);
	while (p < end) {
		n = *p++;
		if (n > (size_t)(end - p))
			n = (size_t)(end - p);
		if (video) {
			uint8_t triples[CAPTIONS_FRAME_MAX];

			captions_channels(triples, captions_find(fourcc, p, n, c.nal_len, triples));
		}
		if (codec_start(&c, p, n) != CODEC_DELTA && video && (c.width < 1 || c.height < 1))
			__builtin_trap();
		if (codec_skip(&c, p, n) > n || codec_samples(&c, p, n) < (video ? 0 : 1))
			__builtin_trap();
		if (strlen(codec_text(text, &c)) >= sizeof(text))
			__builtin_trap();
		p += n;
	}
	return 0;
}
