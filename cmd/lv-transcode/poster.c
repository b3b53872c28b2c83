#include "poster.h"

#include <errno.h>
#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

#include "file.h"

#define QUALITY 5 /* of 1 (best) to 31 */

struct poster {
	int folder;
	const char *name;
	int64_t due;
};

int
poster_new(struct poster **p, int folder, const char *name)
{
	if (!(*p = calloc(1, sizeof(**p))))
		return -ENOMEM;
	(*p)->folder = folder;
	(*p)->name = name;
	(*p)->due = INT64_MIN;
	return 0;
}

static int
scale(const AVFrame *f, AVFrame *to)
{
	double w = f->width, h = f->height, by;
	struct SwsContext *sws;
	int r;

	if (f->sample_aspect_ratio.num > 0 && f->sample_aspect_ratio.den > 0)
		w *= av_q2d(f->sample_aspect_ratio);
	by = POSTER_SIDE / (w > h ? w : h);
	if (by > 1)
		by = 1;
	to->width = (int)(w * by) < 16 ? 16 : (int)(w * by);
	to->height = (int)(h * by) < 16 ? 16 : (int)(h * by);
	to->format = AV_PIX_FMT_YUVJ420P;
	to->color_range = AVCOL_RANGE_JPEG;
	if ((r = av_frame_get_buffer(to, 0)) < 0)
		return r;
	sws = sws_getContext(f->width, f->height, f->format, to->width, to->height, to->format,
		SWS_AREA, NULL, NULL, NULL);
	if (!sws)
		return -EINVAL;
	r = sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, to->data,
		to->linesize);
	sws_freeContext(sws);
	return r < 0 ? r : 0;
}

static int
encode(const AVFrame *f, AVPacket *pkt)
{
	AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
	int r;

	if (!c)
		return -ENOMEM;
	c->width = f->width;
	c->height = f->height;
	c->pix_fmt = f->format;
	c->color_range = f->color_range;
	c->time_base = (AVRational){ 1, 1000 };
	c->flags |= AV_CODEC_FLAG_QSCALE;
	c->global_quality = QUALITY * FF_QP2LAMBDA;
	c->thread_count = 1;
	if ((r = avcodec_open2(c, NULL, NULL)) >= 0 && (r = avcodec_send_frame(c, f)) >= 0 &&
		(r = avcodec_send_frame(c, NULL)) >= 0)
		r = avcodec_receive_packet(c, pkt);
	avcodec_free_context(&c);
	return r;
}

int
poster_look(struct poster *p, const AVFrame *f)
{
	AVFrame *small = NULL;
	AVPacket *pkt = NULL;
	int r = -ENOMEM;

	if (f->pts < p->due && f->pts > p->due - 2 * POSTER_MS)
		return 0;
	p->due = f->pts + POSTER_MS;
	if (!(small = av_frame_alloc()) || !(pkt = av_packet_alloc()))
		goto out;
	if ((r = scale(f, small)) < 0)
		goto out;
	small->quality = QUALITY * FF_QP2LAMBDA;
	if ((r = encode(small, pkt)) >= 0)
		r = file_put(p->folder, p->name, true, pkt->data, (size_t)pkt->size);
out:
	av_packet_free(&pkt);
	av_frame_free(&small);
	return r < 0 ? r : 0;
}

void
poster_free(struct poster **p)
{
	free(*p);
	*p = NULL;
}
