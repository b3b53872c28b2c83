/*
 * graph: a chain of libavfilter's filters for frames like the one given; the only place that
 * knows how a graph is built.
 *
 * Shape:  open with a frame's properties and the chain's text; graph_fits says whether another frame
 *         may go in; write frames with av_buffersrc_write_frame, take them from sink; free.
 * Units:  times in milliseconds.
 */
#ifndef LV_GRAPH_H
#define LV_GRAPH_H

#include <stdbool.h>

#include <libavfilter/avfilter.h>
#include <libavutil/frame.h>

struct graph {
	AVFilterGraph *all;
	AVFilterContext *in, *sink;
	int width, height, format, space, range, trc;
	AVRational sar;
};

int graph_open(struct graph *, const AVFrame *, const char *chain); /* frees what was open */
bool graph_fits(const struct graph *, const AVFrame *);
void graph_free(struct graph *);

#endif
