#include "decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>

struct decoder {
	AVCodecContext *ctx;
	AVPacket *pkt;
	AVFrame *frame;
	int64_t bad;
};

static const struct {
	uint32_t fourcc;
	enum AVCodecID id;
} codecs[] = {
	{ FLV_AVC, AV_CODEC_ID_H264 },
	{ FLV_HEVC, AV_CODEC_ID_HEVC },
	{ FLV_AV1, AV_CODEC_ID_AV1 },
	{ FLV_VP9, AV_CODEC_ID_VP9 },
	{ FLV_AAC, AV_CODEC_ID_AAC },
	{ FLV_OPUS, AV_CODEC_ID_OPUS },
	{ FLV_FLAC, AV_CODEC_ID_FLAC },
	{ FLV_AC3, AV_CODEC_ID_AC3 },
	{ FLV_EAC3, AV_CODEC_ID_EAC3 },
	{ FLV_MP3, AV_CODEC_ID_MP3 },
};

int
decoder_new(struct decoder **out, const struct flv_packet *head)
{
	const AVCodec *codec = NULL;
	struct decoder *d;
	size_t i;

	*out = NULL;
	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (codecs[i].fourcc == head->codec)
			codec = avcodec_find_decoder(codecs[i].id);
	if (!codec)
		return -ENOTSUP;
	if (!(d = calloc(1, sizeof(*d))))
		return -ENOMEM;
	d->pkt = av_packet_alloc();
	d->frame = av_frame_alloc();
	d->ctx = avcodec_alloc_context3(codec);
	if (!d->pkt || !d->frame || !d->ctx)
		goto no_memory;
	d->ctx->pkt_timebase = (AVRational){ 1, 1000 };
	d->ctx->thread_count = 1; /* frame threads would add delay, and cost more */
	if (head->kind == FLV_HEADER && head->size) {
		d->ctx->extradata = av_mallocz(head->size + AV_INPUT_BUFFER_PADDING_SIZE);
		if (!d->ctx->extradata)
			goto no_memory;
		memcpy(d->ctx->extradata, head->data, head->size);
		d->ctx->extradata_size = (int)head->size;
	}
	if (avcodec_open2(d->ctx, codec, NULL) < 0) {
		decoder_free(&d);
		return -EBADMSG;
	}
	*out = d;
	return 0;
no_memory:
	decoder_free(&d);
	return -ENOMEM;
}

static int
drain(struct decoder *d, decode_fn *take, void *arg)
{
	int r;

	while ((r = avcodec_receive_frame(d->ctx, d->frame)) >= 0) {
		r = d->frame->pts == AV_NOPTS_VALUE ? 0 : take(arg, d->frame);
		av_frame_unref(d->frame);
		if (r < 0)
			return r;
	}
	if (r != AVERROR(EAGAIN) && r != AVERROR_EOF)
		d->bad++;
	return 0;
}

int
decoder_push(struct decoder *d, int64_t pts, const struct flv_packet *p, decode_fn *take, void *arg)
{
	int r;

	if ((r = av_new_packet(d->pkt, (int)p->size)) < 0) /* padded, as decoders want it */
		return r;
	memcpy(d->pkt->data, p->data, p->size);
	d->pkt->pts = pts;
	if (avcodec_send_packet(d->ctx, d->pkt) < 0)
		d->bad++;
	av_packet_unref(d->pkt);
	return drain(d, take, arg);
}

int
decoder_flush(struct decoder *d, decode_fn *take, void *arg)
{
	int r;

	avcodec_send_packet(d->ctx, NULL);
	r = drain(d, take, arg);
	avcodec_flush_buffers(d->ctx);
	return r;
}

int64_t
decoder_bad(const struct decoder *d)
{
	return d->bad;
}

void
decoder_free(struct decoder **d)
{
	if (!*d)
		return;
	av_packet_free(&(*d)->pkt);
	av_frame_free(&(*d)->frame);
	avcodec_free_context(&(*d)->ctx);
	free(*d);
	*d = NULL;
}
