#include "decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "avpar.h"

struct decoder {
	AVCodecContext *ctx;
	AVPacket *pkt;
	AVFrame *frame;
	int64_t bad;
};

int
decoder_new(struct decoder **out, const struct flv_packet *head)
{
	const AVCodec *codec = avcodec_find_decoder((enum AVCodecID)avpar_codec(head->codec));
	const uint8_t *extra;
	struct decoder *d;
	size_t size;

	*out = NULL;
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
	if (head->kind == FLV_HEADER && (size = avpar_extradata(head, &extra)) > 0) {
		d->ctx->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
		if (!d->ctx->extradata)
			goto no_memory;
		memcpy(d->ctx->extradata, extra, size);
		d->ctx->extradata_size = (int)size;
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
