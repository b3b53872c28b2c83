#include "still.h"

#include <errno.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

static int
decode(AVFormatContext *in, int stream, AVCodecContext *ctx, AVFrame *f)
{
	AVPacket *pkt = av_packet_alloc();
	int r = pkt ? 0 : -ENOMEM;

	while (r >= 0 && (r = avcodec_receive_frame(ctx, f)) == AVERROR(EAGAIN)) {
		if ((r = av_read_frame(in, pkt)) == AVERROR_EOF)
			r = avcodec_send_packet(ctx, NULL);
		else if (r >= 0 && pkt->stream_index == stream)
			r = avcodec_send_packet(ctx, pkt);
		av_packet_unref(pkt);
	}
	av_packet_free(&pkt);
	return r < 0 ? r : 0;
}

int
still_read(const char *path, AVFrame **out)
{
	AVFormatContext *in = NULL;
	AVCodecContext *ctx = NULL;
	const AVCodec *codec;
	int r, stream;

	if (!(*out = av_frame_alloc()))
		return -ENOMEM;
	if ((r = avformat_open_input(&in, path, NULL, NULL)) < 0 ||
		(r = avformat_find_stream_info(in, NULL)) < 0)
		goto out;
	r = stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
	if (r < 0)
		goto out;
	r = -ENOMEM;
	if (!(ctx = avcodec_alloc_context3(codec)) ||
		(r = avcodec_parameters_to_context(ctx, in->streams[stream]->codecpar)) < 0 ||
		(r = avcodec_open2(ctx, codec, NULL)) < 0)
		goto out;
	r = decode(in, stream, ctx, *out);
out:
	avcodec_free_context(&ctx);
	avformat_close_input(&in);
	if (r < 0)
		av_frame_free(out);
	return r < 0 ? r : 0;
}
