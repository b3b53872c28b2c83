#include "foreign.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>

#include "avpar.h"
#include "flv.h"
#include "order.h"
#include "record.h"
#include "tracks.h"

#define IO_BYTES 32768

#define PRIMED 64 /* packets that are read to learn the earliest time */

struct lane { /* a track of the container */
	int stream;
	uint8_t type;
	uint32_t codec;
	AVBSFContext *bsf;
	int64_t last;
	bool start_codes; /* between NAL units, as in transport streams */
	struct buf head, body;
};

struct foreign {
	AVFormatContext *in;
	AVIOContext *io; /* theirs, but freed by us */
	AVPacket *pkt, *primed[PRIMED];
	int nprimed, next;
	int64_t base; /* ms: what becomes zero */
	struct lane lane[2];
	int lanes;
	struct buf begin;
	foreign_read_fn *read;
	void *arg;
	struct order *order; /* containers interleave as they like */
	struct buf tag;
	bool begun, ended;
	int error; /* of reading, told once all that came before has left */
};

static int
on_read(void *arg, uint8_t *data, int size)
{
	struct foreign *f = arg;
	size_t n = buf_len(&f->begin);
	ssize_t r;

	if (n) {
		n = n < (size_t)size ? n : (size_t)size;
		memcpy(data, buf_data(&f->begin), n);
		buf_consume(&f->begin, n);
		return (int)n;
	}
	r = f->read(f->arg, data, (size_t)size);
	return r == 0 ? AVERROR_EOF : (int)r;
}

static int
open_in(struct foreign *f)
{
	unsigned char *room = av_malloc(IO_BYTES);

	if (!room || !(f->io = avio_alloc_context(room, IO_BYTES, 0, f, on_read, NULL, NULL))) {
		av_free(room);
		return -ENOMEM;
	}
	if (!(f->in = avformat_alloc_context()))
		return -ENOMEM;
	f->in->pb = f->io;
	f->in->flags |= AVFMT_FLAG_CUSTOM_IO;
	if (avformat_open_input(&f->in, NULL, NULL, NULL) < 0 || avformat_find_stream_info(f->in, NULL) < 0)
		return -EBADMSG;
	return 0;
}

/* Bits a sample and how colours are thinned out, which our encoders' records take for granted. */
static void
put_depth(struct buf *b, const AVCodecParameters *par)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(par->format);
	uint8_t *p = buf_data(b);
	unsigned chroma, depth;

	if (!d || b->error)
		return;
	depth = (unsigned)d->comp[0].depth - 8;
	chroma = d->nb_components < 3 ? 0 : !d->log2_chroma_w ? 3 : !d->log2_chroma_h ? 2 : 1;
	if (par->codec_id == AV_CODEC_ID_HEVC)
		p += 16;
	else if (p[1] >= 100)
		p += buf_len(b) - 4;
	else
		return;
	p[0] = (uint8_t)(0xfc | chroma);
	p[1] = p[2] = (uint8_t)(0xf8 | depth);
}

static void
put_vp9(struct buf *b, const AVCodecParameters *par)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(par->format);
	unsigned depth = d ? (unsigned)d->comp[0].depth : 8, chroma = !d || d->log2_chroma_h ? 1 : d->log2_chroma_w ? 2 : 3;

	buf_u8(b, par->profile > 0 ? (unsigned)par->profile : 0);
	buf_u8(b, par->level > 0 ? (unsigned)par->level : 10);
	buf_u8(b, depth << 4 | chroma << 1 | (par->color_range == AVCOL_RANGE_JPEG));
	buf_u8(b, (unsigned)par->color_primaries);
	buf_u8(b, (unsigned)par->color_trc);
	buf_u8(b, (unsigned)par->color_space);
	buf_be16(b, 0);
}

/* The configuration as FLV has it, of libavformat's. */
static int
configure(struct lane *l, const AVCodecParameters *par, const uint8_t *p, size_t n, struct buf *b)
{
	static const uint8_t flac[] = { 'f', 'L', 'a', 'C', 0x80, 0, 0, 34 };
	int r;

	switch (l->codec) {
	case FLV_VP9:
		put_vp9(b, par);
		break;
	case FLV_FLAC:
		buf_append(b, flac, sizeof(flac));
		buf_append(b, p, n);
		break;
	case FLV_AVC:
	case FLV_HEVC:
		if (n && p[0] != 1) {
			l->start_codes = true;
			if ((r = record_config(b, l->codec, p, n)) == 0)
				put_depth(b, par);
			return r;
		}
		buf_append(b, p, n);
		break;
	default:
		buf_append(b, p, n);
	}
	return b->error;
}

static int
add(struct foreign *f, enum AVMediaType type, int beside, char why[FOREIGN_WHY])
{
	int stream = av_find_best_stream(f->in, type, -1, beside, NULL, 0), r;
	struct lane *l = &f->lane[f->lanes];
	const AVCodecParameters *par;

	if (stream < 0)
		return 0;
	par = f->in->streams[stream]->codecpar;
	l->stream = stream;
	l->type = type == AVMEDIA_TYPE_VIDEO ? FLV_VIDEO : FLV_AUDIO;
	if (!(l->codec = avpar_fourcc(par->codec_id))) {
		snprintf(why, FOREIGN_WHY, "it holds %s, for which Enhanced RTMP has no name", avcodec_get_name(par->codec_id));
		return -ENOTSUP;
	}
	f->lanes++;
	if ((r = av_bsf_alloc(av_bsf_get_by_name(l->codec == FLV_AAC ? "aac_adtstoasc" : "null"), &l->bsf)) < 0 ||
		(r = avcodec_parameters_copy(l->bsf->par_in, par)) < 0)
		return r;
	l->bsf->time_base_in = f->in->streams[stream]->time_base;
	if ((r = av_bsf_init(l->bsf)) < 0)
		return r;
	r = configure(l, par, par->extradata, (size_t)par->extradata_size, &l->head);
	if (r == -EBADMSG)
		buf_clear(&l->head); /* a key frame will say */
	return r == -ENOMEM ? r : 0;
}

static struct lane *
lane_of(struct foreign *f, int stream)
{
	int i;

	for (i = 0; i < f->lanes; i++)
		if (f->lane[i].stream == stream)
			return &f->lane[i];
	return NULL;
}

static int64_t
ms(const struct foreign *f, const AVPacket *pkt, int64_t t)
{
	return av_rescale_q(t, f->in->streams[pkt->stream_index]->time_base, (AVRational){ 1, 1000 });
}

/* The next packet that is wanted: 1, 0 at the end. */
static int
read_packet(struct foreign *f, AVPacket *pkt)
{
	int r;

	while ((r = av_read_frame(f->in, pkt)) >= 0) {
		if (lane_of(f, pkt->stream_index) && pkt->size > 0) {
			if (pkt->pts == AV_NOPTS_VALUE)
				pkt->pts = pkt->dts;
			if (pkt->pts != AV_NOPTS_VALUE)
				return 1;
		}
		av_packet_unref(pkt);
	}
	return r == AVERROR_EOF ? 0 : r;
}

/* Some containers tell no DTS of the first pictures: counted back from the first that is known. */
static void
fill_dts(struct foreign *f)
{
	int64_t known[2] = { AV_NOPTS_VALUE, AV_NOPTS_VALUE };
	int i;

	f->base = INT64_MAX;
	for (i = f->nprimed - 1; i >= 0; i--) {
		AVPacket *pkt = f->primed[i];
		struct lane *l = lane_of(f, pkt->stream_index);
		int64_t *after = &known[l - f->lane], step = pkt->duration > 0 ? pkt->duration : 1;

		if (pkt->dts == AV_NOPTS_VALUE)
			pkt->dts = *after == AV_NOPTS_VALUE ? pkt->pts : *after - step;
		*after = pkt->dts;
		if (ms(f, pkt, pkt->dts) < f->base)
			f->base = ms(f, pkt, pkt->dts);
	}
}

/* Reads on until every track has shown when it begins. */
static int
prime(struct foreign *f)
{
	bool seen[2] = { false, false };
	int r = 1, missing = f->lanes;

	while (missing && f->nprimed < PRIMED) {
		AVPacket *pkt = av_packet_alloc();
		int i;

		if (!pkt)
			return -ENOMEM;
		if ((r = read_packet(f, pkt)) <= 0) {
			av_packet_free(&pkt);
			break;
		}
		f->primed[f->nprimed++] = pkt;
		i = (int)(lane_of(f, pkt->stream_index) - f->lane);
		missing -= !seen[i] && pkt->dts != AV_NOPTS_VALUE;
		seen[i] |= pkt->dts != AV_NOPTS_VALUE;
	}
	fill_dts(f);
	return r < 0 ? r : 0;
}

int
foreign_new(struct foreign **out, const void *begin, size_t n, foreign_read_fn *read_more, void *arg,
	char why[FOREIGN_WHY])
{
	struct foreign *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	snprintf(why, FOREIGN_WHY, "%s", n >= 8 && !memcmp((const char *)begin + 4, "ftyp", 4)
		? "an MP4 has to begin with its index: \"ffmpeg -i FILE -c copy -f flv -\" sends it in order"
		: "it is no media that libavformat knows");
	if (!f)
		return -ENOMEM;
	f->read = read_more;
	f->arg = arg;
	if (!(f->pkt = av_packet_alloc()) || order_new(&f->order) < 0 || buf_append(&f->begin, begin, n) < 0)
		goto fail;
	if ((r = open_in(f)) < 0 || (r = add(f, AVMEDIA_TYPE_VIDEO, -1, why)) < 0 ||
		(r = add(f, AVMEDIA_TYPE_AUDIO, f->lanes ? f->lane[0].stream : -1, why)) < 0)
		goto fail;
	r = -EBADMSG;
	if (!f->lanes || (r = prime(f)) < 0)
		goto fail;
	*out = f;
	return 0;
fail:
	foreign_free(&f);
	return r;
}

static void
put(struct lane *l, int64_t dts, enum flv_kind kind, const AVPacket *pkt, int64_t cts, struct buf *flv)
{
	const struct buf *b = kind == FLV_HEADER ? &l->head : &l->body;
	struct flv_packet p = { .type = l->type, .kind = kind, .codec = l->codec, .cts = (int32_t)cts,
		.key = kind == FLV_HEADER || (pkt->flags & AV_PKT_FLAG_KEY), .data = buf_data(b), .size = buf_len(b) };

	flv_put_packet(flv, dts, &p);
}

/* A configuration that came with a packet, or inside it, when it is new. */
static int
look_for_head(struct lane *l, const AVPacket *pkt, bool *new)
{
	size_t n = 0;
	const uint8_t *p = av_packet_get_side_data(pkt, AV_PKT_DATA_NEW_EXTRADATA, &n);
	struct buf head = { 0 };
	int r;

	if (!p && l->start_codes && pkt->flags & AV_PKT_FLAG_KEY) {
		p = pkt->data;
		n = (size_t)pkt->size;
	}
	if (!p)
		return 0;
	r = configure(l, l->bsf->par_in, p, n, &head);
	if (r == 0 && (buf_len(&head) != buf_len(&l->head) || memcmp(buf_data(&head), buf_data(&l->head), buf_len(&head)))) {
		buf_free(&l->head);
		l->head = head;
		*new = true;
		return 0;
	}
	buf_free(&head);
	return r == -ENOMEM ? r : 0;
}

static int
put_frame(struct foreign *f, struct lane *l, const AVPacket *pkt)
{
	int64_t dts = pkt->dts == AV_NOPTS_VALUE ? l->last + 1 : ms(f, pkt, pkt->dts) - f->base, cts;
	bool new = false;
	int r;

	if (dts < 0)
		dts = 0;
	cts = ms(f, pkt, pkt->pts) - f->base - dts;
	if ((r = look_for_head(l, pkt, &new)) < 0)
		return r;
	if (new)
		put(l, dts, FLV_HEADER, pkt, 0, &f->tag);
	buf_clear(&l->body);
	if (l->start_codes || l->codec == FLV_AV1)
		r = record_frame(&l->body, l->codec, pkt->data, (size_t)pkt->size);
	else
		r = buf_append(&l->body, pkt->data, (size_t)pkt->size);
	if (r < 0)
		return r;
	l->last = dts;
	put(l, dts, FLV_FRAME, pkt, l->type == FLV_VIDEO ? cts : 0, &f->tag);
	return order_put(f->order, dts, &f->tag);
}

/* What there is, and the configurations. */
static void
begin(struct foreign *f, struct buf *flv)
{
	struct tracks all = { .count = f->lanes };
	int i;

	flv_put_header(flv);
	for (i = 0; i < f->lanes; i++) {
		const AVStream *s = f->in->streams[f->lane[i].stream];
		struct track *t = &all.track[i];

		*t = (struct track){ .type = f->lane[i].type, .rung = "source", .codec = f->lane[i].codec,
			.width = s->codecpar->width, .height = s->codecpar->height,
			.sample_rate = s->codecpar->sample_rate };
		if (s->avg_frame_rate.num > 0 && s->avg_frame_rate.den > 0)
			t->fps = av_q2d(s->avg_frame_rate);
	}
	tracks_put(flv, 0, &all);
	for (i = 0; i < f->lanes; i++)
		if (buf_len(&f->lane[i].head))
			put(&f->lane[i], 0, FLV_HEADER, NULL, 0, flv);
}

int
foreign_next(struct foreign *f, struct buf *flv)
{
	struct lane *l;
	int64_t low;
	int r;

	if (!f->begun)
		begin(f, flv);
	f->begun = true;
	if (f->ended)
		return f->error;
	if (f->next < f->nprimed)
		av_packet_move_ref(f->pkt, f->primed[f->next++]);
	else if ((r = read_packet(f, f->pkt)) <= 0) {
		f->ended = true;
		f->error = r;
		return (r = order_release(f->order, INT64_MAX, flv)) < 0 ? r : 1;
	}
	l = lane_of(f, f->pkt->stream_index);
	if ((r = av_bsf_send_packet(l->bsf, f->pkt)) < 0) {
		av_packet_unref(f->pkt);
		return r;
	}
	while ((r = av_bsf_receive_packet(l->bsf, f->pkt)) >= 0) {
		r = put_frame(f, l, f->pkt);
		av_packet_unref(f->pkt);
		if (r < 0)
			return r;
	}
	if (r != AVERROR(EAGAIN) && r != AVERROR_EOF && r != AVERROR_INVALIDDATA)
		return r;
	low = f->lane[0].last;
	if (f->lanes > 1 && f->lane[1].last < low)
		low = f->lane[1].last;
	return (r = order_release(f->order, low, flv)) < 0 ? r : 1;
}

void
foreign_free(struct foreign **p)
{
	struct foreign *f = *p;
	int i;

	if (!f)
		return;
	avformat_close_input(&f->in);
	if (f->io)
		av_freep(&f->io->buffer);
	avio_context_free(&f->io);
	for (i = 0; i < f->lanes; i++) {
		av_bsf_free(&f->lane[i].bsf);
		buf_free(&f->lane[i].head);
		buf_free(&f->lane[i].body);
	}
	while (f->nprimed)
		av_packet_free(&f->primed[--f->nprimed]);
	av_packet_free(&f->pkt);
	order_free(&f->order);
	buf_free(&f->tag);
	buf_free(&f->begin);
	free(f);
	*p = NULL;
}
