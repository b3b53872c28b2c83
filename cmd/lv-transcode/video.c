#include "video.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/cpu.h>
#include <libavutil/opt.h>

#include "avpar.h"
#include "buf.h"
#include "captions.h"
#include "die.h"
#include "event.h"
#include "graph.h"
#include "record.h"

#define NEVER (1 << 24) /* frames to an IDR that nobody asked for */
#define THREADS 4       /* more slices cost quality */
#define CAPTIONS_WAIT (32 * CAPTIONS_FRAME_MAX) /* bytes that wait for a picture */

struct video {
	const struct rung *rung;
	const char *encoder, *preset;
	uint32_t fourcc;
	double fps;
	AVCodecContext *ctx;
	struct graph graph;
	AVFrame *frame;
	AVPacket *pkt;
	struct buf head, body, captions;
	video_fn *write;
	void *arg;
	int64_t last_dts, last_pts;
	int inside; /* frames in the encoder */
	bool padded;
};

static int
threads(const struct video *v)
{
	int cpus = av_cpu_count();

	return v->rung->threads ? v->rung->threads : cpus < THREADS ? cpus : THREADS;
}

/* One that makes no IDR picture where it is asked for one is of no use. */
static bool
is_deaf(const struct video *v)
{
	return LIBAVCODEC_VERSION_MAJOR < 60 && !strcmp(v->encoder, "libsvtav1");
}

/* Options that an encoder does not have are no error: each has its own. */
static void
set_options(struct video *v)
{
	static const struct {
		const char *name, *value;
	} fixed[] = {
		{ "forced-idr", "1" }, { "sc_threshold", "0" }, /* libx264, and most of the hardware's */
		{ "usage", "realtime" }, { "cpu-used", "8" }, { "lag-in-frames", "0" }, { "row-mt", "1" }, /* libaom */
	};
	void *o = v->ctx->priv_data;
	char x265[96];
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		av_opt_set(o, fixed[i].name, fixed[i].value, 0);
	snprintf(x265, sizeof(x265), "scenecut=0:open-gop=0:frame-threads=1:pools=%d:log-level=error", threads(v));
	av_opt_set(o, "x265-params", x265, 0);
	if (*v->preset) {
		av_opt_set(o, "preset", v->preset, 0);
		av_opt_set(o, "cpu-used", v->preset, 0);
	}
	if (*v->rung->profile)
		av_opt_set(o, "profile", v->rung->profile, 0);
	if (v->rung->low_latency)
		av_opt_set(o, "tune", "zerolatency", 0);
}

static int
open_encoder(struct video *v)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(v->encoder);
	bool low = v->rung->low_latency;
	AVCodecContext *c;
	int r;

	v->fourcc = codec ? avpar_fourcc(codec->id) : 0;
	if ((v->fourcc != FLV_AVC && v->fourcc != FLV_HEVC && v->fourcc != FLV_AV1) || is_deaf(v))
		return AVERROR_ENCODER_NOT_FOUND;
	if (!(v->ctx = c = avcodec_alloc_context3(codec)))
		return -ENOMEM;
	c->width = v->rung->width;
	c->height = v->rung->height;
	c->pix_fmt = AV_PIX_FMT_YUV420P;
	c->color_range = AVCOL_RANGE_MPEG;
	c->colorspace = AVCOL_SPC_BT709;
	c->color_primaries = AVCOL_PRI_BT709;
	c->color_trc = AVCOL_TRC_BT709;
	c->sample_aspect_ratio = (AVRational){ 1, 1 };
	c->time_base = (AVRational){ 1, 1000 };
	c->framerate = av_d2q(v->fps > 0 ? v->fps : 30, 1001000);
	c->bit_rate = c->rc_max_rate = v->rung->video_kbps * 1000LL;
	c->rc_buffer_size = (int)(2 * c->bit_rate);
	if (!strcmp(v->encoder, "libsvtav1"))
		c->rc_max_rate = c->bit_rate * 3 / 2; /* it takes no peak that is the mean */
	c->gop_size = NEVER;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;
	c->thread_type = FF_THREAD_SLICE; /* frame threads would hold back a frame each */
	c->thread_count = threads(v);
	if (low) {
		c->max_b_frames = 0;
		c->flags |= AV_CODEC_FLAG_LOW_DELAY;
	}
	set_options(v);
	if ((r = avcodec_open2(c, codec, NULL)) < 0)
		avcodec_free_context(&v->ctx);
	return r < 0 ? r : 0;
}

static int
open_or_fall_back(struct video *v)
{
	struct event e;
	int r;

	if ((r = open_encoder(v)) >= 0 || !strcmp(v->encoder, "libx264"))
		return r;
	warning(0, "rung %s: the encoder %s cannot be opened: libx264 instead", v->rung->name, v->encoder);
	event_begin(&e, "encoder.replaced");
	event_str(&e, "rung", v->rung->name);
	event_str(&e, "encoder", v->encoder);
	event_str(&e, "by", "libx264");
	event_send(&e);
	v->encoder = "libx264";
	v->preset = "veryfast";
	return open_encoder(v);
}

int
video_new(struct video **out, const struct rung *rung, double fps, video_fn *write, void *arg)
{
	struct video *v = calloc(1, sizeof(*v));
	int r = -ENOMEM;

	*out = NULL;
	if (!v || !(v->frame = av_frame_alloc()) || !(v->pkt = av_packet_alloc()))
		goto out;
	v->rung = rung;
	v->encoder = rung->encoder;
	v->preset = rung->preset;
	v->fps = fps;
	v->write = write;
	v->arg = arg;
	v->last_dts = v->last_pts = INT64_MIN / 2;
	if ((r = open_or_fall_back(v)) < 0)
		goto out;
	*out = v;
	return 0;
out:
	video_free(&v);
	return r;
}

static int
tell_header(struct video *v, int64_t dts)
{
	struct flv_packet p = { .type = FLV_VIDEO, .codec = v->fourcc, .kind = FLV_HEADER, .key = true };
	bool told = v->ctx->extradata_size > 0 && v->fourcc != FLV_AV1; /* some AV1 encoders tell it in the frame alone */
	int r;

	buf_clear(&v->head);
	if ((r = record_config(&v->head, v->fourcc, told ? v->ctx->extradata : v->pkt->data,
			(size_t)(told ? v->ctx->extradata_size : v->pkt->size))) < 0)
		return r;
	p.data = buf_data(&v->head);
	p.size = buf_len(&v->head);
	return v->write(v->arg, dts, &p);
}

static int
receive(struct video *v)
{
	struct flv_packet p = { .type = FLV_VIDEO, .codec = v->fourcc, .kind = FLV_FRAME };
	int64_t dts;
	int r;

	while ((r = avcodec_receive_packet(v->ctx, v->pkt)) >= 0) {
		v->inside--;
		/* The first pictures would be decoded before the stream begins: not earlier than
		 * allowed, and never at the time of the one before. */
		dts = v->pkt->dts > v->last_dts ? v->pkt->dts : v->last_dts + 1;
		p.key = v->pkt->flags & AV_PKT_FLAG_KEY;
		if (p.key && (r = tell_header(v, dts)) < 0)
			return r;
		buf_clear(&v->body);
		r = record_frame(&v->body, v->fourcc, v->pkt->data, (size_t)v->pkt->size);
		p.cts = (int32_t)(v->pkt->pts > dts ? v->pkt->pts - dts : 0);
		p.data = buf_data(&v->body);
		p.size = buf_len(&v->body);
		av_packet_unref(v->pkt);
		v->last_dts = dts;
		if (r < 0 || (r = v->write(v->arg, dts, &p)) < 0)
			return r;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

/* The picture's size within the rung's: the same shape, even. */
static void
fit(const struct video *v, const AVFrame *f, int *w, int *h)
{
	AVRational sar = f->sample_aspect_ratio;
	double dw = f->width, dh = f->height, by;

	if (sar.num > 0 && sar.den > 0)
		dw = dw * sar.num / sar.den;
	by = v->rung->width / dw < v->rung->height / dh ? v->rung->width / dw : v->rung->height / dh;
	*w = 2 * (int)(dw * by / 2 + 0.5);
	*h = 2 * (int)(dh * by / 2 + 0.5);
	if (*w + 2 >= v->rung->width || *w < 2) /* rounding is not worth a border */
		*w = *w < 2 ? 2 : v->rung->width;
	if (*h + 2 >= v->rung->height || *h < 2)
		*h = *h < 2 ? 2 : v->rung->height;
}

/* The matrix of a picture that does not say: what players take for one of its size. */
static const char *
matrix(const AVFrame *f)
{
	return f->colorspace != AVCOL_SPC_UNSPECIFIED ? "input" : f->height >= 720 ? "709" : "170m";
}

static int
open_graph(struct video *v, const AVFrame *f)
{
	char chain[768];
	bool hdr = f->color_trc == AVCOL_TRC_SMPTE2084 || f->color_trc == AVCOL_TRC_ARIB_STD_B67;
	int w, h;

	fit(v, f, &w, &h);
	v->padded = w < v->rung->width || h < v->rung->height;
	if (hdr)
		snprintf(chain, sizeof(chain), "zscale=w=%d:h=%d:f=lanczos:t=linear:npl=100,format=gbrpf32le,"
			"tonemap=hable:desat=0,zscale=p=709:t=709:m=709:r=limited,format=yuv420p,setsar=1",
			w, h);
	else
		snprintf(chain, sizeof(chain), "zscale=w=%d:h=%d:f=lanczos:min=%s:m=709:r=limited,"
			"format=yuv420p,setsar=1", w, h, matrix(f));
	if (v->padded)
		snprintf(chain + strlen(chain), sizeof(chain) - strlen(chain), ",pad=%d:%d:-1:-1",
			v->rung->width, v->rung->height);
	return graph_open(&v->graph, f, chain);
}

int
video_captions(struct video *v, const uint8_t *triples, size_t n)
{
	if (buf_len(&v->captions) + n > CAPTIONS_WAIT)
		return -ENOSPC;
	for (; n >= CAPTIONS_TRIPLE; triples += CAPTIONS_TRIPLE, n -= CAPTIONS_TRIPLE)
		if (!captions_padding(triples))
			buf_append(&v->captions, triples, CAPTIONS_TRIPLE);
	return v->captions.error;
}

/* The picture's own captions have come by video_captions, and so have those of the ones left out. */
static int
caption(struct video *v)
{
	size_t n = buf_len(&v->captions) < CAPTIONS_FRAME_MAX ? buf_len(&v->captions) : CAPTIONS_FRAME_MAX;
	AVFrameSideData *d;

	av_frame_remove_side_data(v->frame, AV_FRAME_DATA_A53_CC);
	if (!n)
		return 0;
	if (!(d = av_frame_new_side_data(v->frame, AV_FRAME_DATA_A53_CC, n)))
		return -ENOMEM;
	memcpy(d->data, buf_data(&v->captions), n);
	buf_consume(&v->captions, n);
	return 0;
}

int
video_push(struct video *v, const AVFrame *f, bool idr, const AVFrame **scaled)
{
	int r;

	*scaled = NULL;
	if (f->pts <= v->last_pts)
		return 0; /* a time already used: no encoder takes it twice */
	if (!graph_fits(&v->graph, f) && (r = open_graph(v, f)) < 0)
		return r;
	av_frame_unref(v->frame);
	if ((r = av_buffersrc_write_frame(v->graph.in, f)) < 0 ||
		(r = av_buffersink_get_frame(v->graph.sink, v->frame)) < 0)
		return r;
	if (!v->ctx && (r = open_encoder(v)) < 0)
		return r;
	if ((r = caption(v)) < 0)
		return r;
	v->last_pts = v->frame->pts = f->pts;
	v->frame->pict_type = idr ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
	if ((r = avcodec_send_frame(v->ctx, v->frame)) < 0)
		return r;
	v->inside++;
	*scaled = v->padded ? NULL : v->frame;
	return receive(v);
}

int
video_drain(struct video *v)
{
	int r = 0;

	if (v->ctx && v->inside) {
		avcodec_send_frame(v->ctx, NULL);
		r = receive(v);
		avcodec_free_context(&v->ctx); /* the next frame opens it again, with an IDR */
	}
	v->inside = 0;
	v->last_pts = INT64_MIN / 2;
	return r;
}

int
video_abandon(struct video *v)
{
	int lost = v->inside;

	avcodec_free_context(&v->ctx);
	v->inside = 0;
	v->last_pts = INT64_MIN / 2;
	return lost;
}

void
video_floor(struct video *v, int64_t dts)
{
	v->last_dts = dts - 1;
}

uint32_t
video_codec(const struct video *v)
{
	return v->fourcc;
}

int64_t
video_promise(const struct video *v)
{
	return (v->inside ? v->last_dts : v->last_pts > v->last_dts ? v->last_pts : v->last_dts) + 1;
}

void
video_free(struct video **v)
{
	if (!*v)
		return;
	avcodec_free_context(&(*v)->ctx);
	graph_free(&(*v)->graph);
	av_frame_free(&(*v)->frame);
	av_packet_free(&(*v)->pkt);
	buf_free(&(*v)->head);
	buf_free(&(*v)->body);
	buf_free(&(*v)->captions);
	free(*v);
	*v = NULL;
}
