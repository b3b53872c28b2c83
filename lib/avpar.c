#include "avpar.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "codec.h"

#define FLAC_MARKER 8 /* "fLaC" and the block's header */
#define FLAC_INFO 34  /* STREAMINFO, which is libavcodec's extradata */

static const struct {
	uint32_t fourcc;
	enum AVCodecID id;
} codecs[] = {
	{ FLV_AVC, AV_CODEC_ID_H264 },
	{ FLV_HEVC, AV_CODEC_ID_HEVC },
	{ FLV_AV1, AV_CODEC_ID_AV1 },
	{ FLV_VP9, AV_CODEC_ID_VP9 },
	{ FLV_VP8, AV_CODEC_ID_VP8 },
	{ FLV_AAC, AV_CODEC_ID_AAC },
	{ FLV_OPUS, AV_CODEC_ID_OPUS },
	{ FLV_FLAC, AV_CODEC_ID_FLAC },
	{ FLV_AC3, AV_CODEC_ID_AC3 },
	{ FLV_EAC3, AV_CODEC_ID_EAC3 },
	{ FLV_MP3, AV_CODEC_ID_MP3 },
};

int
avpar_codec(uint32_t fourcc)
{
	size_t i;

	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (codecs[i].fourcc == fourcc)
			return codecs[i].id;
	return AV_CODEC_ID_NONE;
}

uint32_t
avpar_fourcc(int codec)
{
	size_t i;

	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if ((int)codecs[i].id == codec)
			return codecs[i].fourcc;
	return 0;
}

size_t
avpar_extradata(const struct flv_packet *head, const uint8_t **extra)
{
	size_t skip = head->codec == FLV_FLAC && head->size >= FLAC_MARKER + FLAC_INFO &&
		!memcmp(head->data, "fLaC", 4) ? FLAC_MARKER : 0;

	*extra = head->data + skip;
	if (head->codec == FLV_VP9) /* vpcC: for players, not for decoders */
		return 0;
	return skip ? FLAC_INFO : head->size;
}

/* Sampling rate and channels of an AudioSpecificConfig (ISO 14496-3, 1.6.2.1). */
static void
read_asc(AVCodecParameters *par, const uint8_t *p, size_t n)
{
	static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000,
		11025, 8000, 7350 };
	unsigned rate, channels;

	if (n < 2 || p[0] >> 3 == 31)
		return;
	rate = (p[0] & 7u) << 1 | p[1] >> 7;
	channels = p[1] >> 3 & 15;
	if (rate == 15 && n >= 5) {
		par->sample_rate = (int)((p[1] & 0x7fu) << 17 | (unsigned)p[2] << 9 | (unsigned)p[3] << 1 |
			p[4] >> 7);
		channels = p[4] >> 3 & 15;
	} else if (rate < sizeof(rates) / sizeof(*rates)) {
		par->sample_rate = rates[rate];
	}
	if (channels >= 1 && channels <= 7)
		av_channel_layout_default(&par->ch_layout, channels == 7 ? 8 : (int)channels);
	par->frame_size = 1024;
}

/* What the bitstream itself says of its size, as far as libavcodec's parser reads it. */
static void
read_frame(AVCodecParameters *par, const struct flv_packet *first)
{
	AVCodecParserContext *parser = av_parser_init(par->codec_id);
	AVCodecContext *ctx = avcodec_alloc_context3(NULL);
	uint8_t *data, *out;
	int n;

	if (parser && ctx && first->size < INT_MAX / 2 &&
		(data = av_mallocz(first->size + AV_INPUT_BUFFER_PADDING_SIZE))) {
		memcpy(data, first->data, first->size);
		parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
		if (avcodec_parameters_to_context(ctx, par) >= 0) {
			av_parser_parse2(parser, ctx, &out, &n, data, (int)first->size, AV_NOPTS_VALUE,
				AV_NOPTS_VALUE, 0);
			if (parser->width > 0 && parser->height > 0) {
				par->width = parser->width;
				par->height = parser->height;
			}
			if (ctx->sample_rate > 0 && !par->sample_rate)
				par->sample_rate = ctx->sample_rate;
			if (ctx->ch_layout.nb_channels > 0 && !par->ch_layout.nb_channels)
				av_channel_layout_copy(&par->ch_layout, &ctx->ch_layout);
			par->profile = ctx->profile;
			par->level = ctx->level;
		}
		av_free(data);
	}
	avcodec_free_context(&ctx);
	if (parser)
		av_parser_close(parser);
}

/* What libavcodec's parsers leave out. */
static void
read_codec(AVCodecParameters *par, const struct flv_packet *head, const struct flv_packet *first)
{
	struct codec c = { 0 };

	if (head)
		codec_config(&c, head->codec, head->data, head->size);
	if (first && c.fourcc)
		codec_start(&c, first->data, first->size);
	else if (first)
		codec_first(&c, first->codec, first->data, first->size);
	if (!par->width && c.width) {
		par->width = c.width;
		par->height = c.height;
	}
	if (!par->sample_rate)
		par->sample_rate = c.rate;
	if (!par->ch_layout.nb_channels && c.channels)
		av_channel_layout_default(&par->ch_layout, c.channels);
}

int
avpar_read(AVCodecParameters *par, const struct flv_packet *head, const struct flv_packet *first)
{
	const struct flv_packet *any = head ? head : first;

	par->codec_type = any->type == FLV_VIDEO ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
	par->codec_id = (enum AVCodecID)avpar_codec(any->codec);
	if (head && head->size) {
		const uint8_t *extra;
		size_t size = avpar_extradata(head, &extra);

		if (!(par->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE)))
			return -ENOMEM;
		memcpy(par->extradata, extra, size);
		par->extradata_size = (int)size;
	}
	if (par->codec_id == AV_CODEC_ID_AAC && head) {
		read_asc(par, head->data, head->size);
	} else if (par->codec_id == AV_CODEC_ID_OPUS) {
		par->sample_rate = 48000;
		if (head && head->size > 9)
			av_channel_layout_default(&par->ch_layout, head->data[9]);
	}
	if (first)
		read_frame(par, first);
	read_codec(par, head, first);
	return 0;
}
