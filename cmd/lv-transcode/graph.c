#include "graph.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/mem.h>

int
graph_open(struct graph *g, const AVFrame *f, const char *chain)
{
	AVFilterInOut *ins = NULL, *outs = NULL;
	AVRational sar = f->sample_aspect_ratio;
	char args[256];
	int r = -ENOMEM;

	graph_free(g);
	if (sar.num <= 0 || sar.den <= 0)
		sar = (AVRational){ 1, 1 };
	snprintf(args, sizeof(args), "video_size=%dx%d:pix_fmt=%d:time_base=1/1000:pixel_aspect=%d/%d",
		f->width, f->height, f->format, sar.num, sar.den);
#if LIBAVFILTER_VERSION_MAJOR >= 10 /* the link has colours of its own since */
	snprintf(args + strlen(args), sizeof(args) - strlen(args), ":colorspace=%d:range=%d", f->colorspace,
		f->color_range);
#endif
	if (!(g->all = avfilter_graph_alloc()) || !(ins = avfilter_inout_alloc()) ||
		!(outs = avfilter_inout_alloc()))
		goto out;
	g->all->nb_threads = 1;
	if ((r = avfilter_graph_create_filter(&g->in, avfilter_get_by_name("buffer"), "in", args, NULL,
		     g->all)) < 0 ||
		(r = avfilter_graph_create_filter(&g->sink, avfilter_get_by_name("buffersink"), "out", NULL,
			 NULL, g->all)) < 0)
		goto out;
	outs->name = av_strdup("in");
	outs->filter_ctx = g->in;
	ins->name = av_strdup("out");
	ins->filter_ctx = g->sink;
	if ((r = avfilter_graph_parse_ptr(g->all, chain, &ins, &outs, NULL)) < 0 ||
		(r = avfilter_graph_config(g->all, NULL)) < 0)
		goto out;
	g->width = f->width;
	g->height = f->height;
	g->format = f->format;
	g->space = f->colorspace;
	g->range = f->color_range;
	g->trc = f->color_trc;
	g->sar = f->sample_aspect_ratio;
out:
	avfilter_inout_free(&ins);
	avfilter_inout_free(&outs);
	if (r < 0)
		graph_free(g);
	return r < 0 ? r : 0;
}

bool
graph_fits(const struct graph *g, const AVFrame *f)
{
	return g->all && g->width == f->width && g->height == f->height && g->format == f->format &&
		g->space == (int)f->colorspace && g->range == (int)f->color_range &&
		g->trc == (int)f->color_trc && !av_cmp_q(g->sar, f->sample_aspect_ratio);
}

void
graph_free(struct graph *g)
{
	avfilter_graph_free(&g->all);
}
