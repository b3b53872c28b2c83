#include "deinterlace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/version.h>

struct deinterlace {
	AVFilterGraph *graph;
	AVFilterContext *in, *sink;
	AVFrame *frame;
	int width, height, format;
};

bool
deinterlace_needed(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
	return f->flags & AV_FRAME_FLAG_INTERLACED;
#else
	return f->interlaced_frame;
#endif
}

static int
open_graph(struct deinterlace *d, const AVFrame *f)
{
	AVFilterContext *filter;
	AVRational sar = f->sample_aspect_ratio;
	char args[256];
	int r;

	if (!(d->frame = av_frame_alloc()) || !(d->graph = avfilter_graph_alloc()))
		return -ENOMEM;
	if (sar.num <= 0 || sar.den <= 0)
		sar = (AVRational){ 1, 1 };
	snprintf(args, sizeof(args), "video_size=%dx%d:pix_fmt=%d:time_base=1/1000:pixel_aspect=%d/%d",
		f->width, f->height, f->format, sar.num, sar.den);
	d->graph->nb_threads = 1;
	if ((r = avfilter_graph_create_filter(&d->in, avfilter_get_by_name("buffer"), "in", args, NULL,
		     d->graph)) < 0 ||
		(r = avfilter_graph_create_filter(&filter, avfilter_get_by_name("bwdif"), "bwdif",
			 "mode=send_frame:deint=interlaced", NULL, d->graph)) < 0 ||
		(r = avfilter_graph_create_filter(&d->sink, avfilter_get_by_name("buffersink"), "out",
			 NULL, NULL, d->graph)) < 0 ||
		(r = avfilter_link(d->in, 0, filter, 0)) < 0 ||
		(r = avfilter_link(filter, 0, d->sink, 0)) < 0)
		return r;
	d->width = f->width;
	d->height = f->height;
	d->format = f->format;
	return avfilter_graph_config(d->graph, NULL);
}

static int
receive(struct deinterlace *d, decode_fn *take, void *arg)
{
	AVRational base = av_buffersink_get_time_base(d->sink);
	int r;

	while ((r = av_buffersink_get_frame(d->sink, d->frame)) >= 0) {
		d->frame->pts = av_rescale_q(d->frame->pts, base, (AVRational){ 1, 1000 });
		r = take(arg, d->frame);
		av_frame_unref(d->frame);
		if (r < 0)
			return r;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

int
deinterlace_push(struct deinterlace **d, const AVFrame *f, decode_fn *take, void *arg)
{
	int r;

	if (*d && ((*d)->width != f->width || (*d)->height != f->height || (*d)->format != f->format) &&
		(r = deinterlace_drain(d, take, arg)) < 0)
		return r;
	if (!*d) {
		if (!(*d = calloc(1, sizeof(**d))))
			return -ENOMEM;
		if ((r = open_graph(*d, f)) < 0) {
			deinterlace_free(d);
			return r;
		}
	}
	if ((r = av_buffersrc_write_frame((*d)->in, f)) < 0)
		return r;
	return receive(*d, take, arg);
}

int
deinterlace_drain(struct deinterlace **d, decode_fn *take, void *arg)
{
	int r;

	if (!*d)
		return 0;
	if ((r = av_buffersrc_add_frame((*d)->in, NULL)) >= 0)
		r = receive(*d, take, arg);
	deinterlace_free(d);
	return r;
}

void
deinterlace_free(struct deinterlace **d)
{
	if (!*d)
		return;
	avfilter_graph_free(&(*d)->graph);
	av_frame_free(&(*d)->frame);
	free(*d);
	*d = NULL;
}
