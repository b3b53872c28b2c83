#include "deinterlace.h"

#include <errno.h>
#include <stdlib.h>

#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/version.h>

#include "graph.h"

struct deinterlace {
	struct graph graph;
	AVFrame *frame;
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
receive(struct deinterlace *d, decode_fn *take, void *arg)
{
	AVRational base = av_buffersink_get_time_base(d->graph.sink);
	int r;

	while ((r = av_buffersink_get_frame(d->graph.sink, d->frame)) >= 0) {
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

	if (*d && !graph_fits(&(*d)->graph, f) && (r = deinterlace_drain(d, take, arg)) < 0)
		return r;
	if (!*d) {
		if (!(*d = calloc(1, sizeof(**d))))
			return -ENOMEM;
		r = ((*d)->frame = av_frame_alloc()) ?
			graph_open(&(*d)->graph, f, "bwdif=mode=send_frame:deint=interlaced") : -ENOMEM;
		if (r < 0) {
			deinterlace_free(d);
			return r;
		}
	}
	if ((r = av_buffersrc_write_frame((*d)->graph.in, f)) < 0)
		return r;
	return receive(*d, take, arg);
}

int
deinterlace_drain(struct deinterlace **d, decode_fn *take, void *arg)
{
	int r;

	if (!*d)
		return 0;
	if ((r = av_buffersrc_add_frame((*d)->graph.in, NULL)) >= 0)
		r = receive(*d, take, arg);
	deinterlace_free(d);
	return r;
}

void
deinterlace_free(struct deinterlace **d)
{
	if (!*d)
		return;
	graph_free(&(*d)->graph);
	av_frame_free(&(*d)->frame);
	free(*d);
	*d = NULL;
}
