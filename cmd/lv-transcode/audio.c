#include "audio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>

#define RATE 48000
#define FRAME 1024
#define TIGHT (RATE / 1000)    /* samples that the first time may be off */
#define FAR (5 * FRAME)        /* further off is believed at once, more than a frame when it stays */
#define STAYS 4
#define HOLE_MAX (60 * RATE)   /* of silence at once; the rest of a longer hole stays empty */

struct audio {
	AVCodecContext *ctx;
	SwrContext *swr;
	AVFrame *frame; /* being filled */
	AVPacket *pkt;
	audio_fn *write;
	void *arg;
	int kbps, fill;
	int64_t next, floor; /* samples from time 0: the next one to come, the first wanted */
	int in_rate, in_format, in_channels;
	int off; /* frames in a row that were off */
	bool begun, told, anchored;
	float room[2][8192];
};

int
audio_new(struct audio **out, int kbps, audio_fn *write, void *arg)
{
	struct audio *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a || !(a->pkt = av_packet_alloc()) || !(a->frame = av_frame_alloc())) {
		audio_free(&a);
		return -ENOMEM;
	}
	a->kbps = kbps;
	a->write = write;
	a->arg = arg;
	*out = a;
	return 0;
}

static int
open_encoder(struct audio *a)
{
	const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
	int r;

	if (!codec)
		return -ENOTSUP;
	if (!(a->ctx = avcodec_alloc_context3(codec)))
		return -ENOMEM;
	a->ctx->sample_rate = RATE;
	a->ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
	a->ctx->bit_rate = a->kbps * 1000;
	a->ctx->time_base = (AVRational){ 1, RATE };
	a->ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	av_channel_layout_default(&a->ctx->ch_layout, 2);
	return (r = avcodec_open2(a->ctx, codec, NULL)) < 0 ? r : 0;
}

static int
receive(struct audio *a)
{
	struct flv_packet p = { .type = FLV_AUDIO, .codec = FLV_AAC, .kind = FLV_FRAME, .key = true };
	int r;

	while ((r = avcodec_receive_packet(a->ctx, a->pkt)) >= 0) {
		/* The encoder says when the sound begins: its own delay is taken off already. */
		if (a->pkt->pts >= a->floor) {
			p.data = a->pkt->data;
			p.size = (size_t)a->pkt->size;
			r = a->write(a->arg, (a->pkt->pts * 1000 + RATE / 2) / RATE, &p);
		}
		av_packet_unref(a->pkt);
		if (r < 0)
			return r;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

/* n samples of both channels, or of silence, at the next time. */
static int
feed(struct audio *a, const float *left, const float *right, int n)
{
	int r, m;

	while (n > 0) {
		if (!a->fill) {
			av_frame_unref(a->frame);
			a->frame->nb_samples = FRAME;
			a->frame->format = AV_SAMPLE_FMT_FLTP;
			a->frame->sample_rate = RATE;
			av_channel_layout_default(&a->frame->ch_layout, 2);
			if ((r = av_frame_get_buffer(a->frame, 0)) < 0)
				return r;
			a->frame->pts = a->next;
		}
		m = n < FRAME - a->fill ? n : FRAME - a->fill;
		if (left) {
			memcpy((float *)a->frame->data[0] + a->fill, left, (size_t)m * sizeof(float));
			memcpy((float *)a->frame->data[1] + a->fill, right, (size_t)m * sizeof(float));
			left += m;
			right += m;
		} else {
			memset((float *)a->frame->data[0] + a->fill, 0, (size_t)m * sizeof(float));
			memset((float *)a->frame->data[1] + a->fill, 0, (size_t)m * sizeof(float));
		}
		a->fill += m;
		a->next += m;
		n -= m;
		if (a->fill == FRAME) {
			a->fill = 0;
			if ((r = avcodec_send_frame(a->ctx, a->frame)) < 0 || (r = receive(a)) < 0)
				return r;
		}
	}
	return 0;
}

int
audio_begin(struct audio *a, int64_t ms)
{
	struct flv_packet head = { .type = FLV_AUDIO, .codec = FLV_AAC, .kind = FLV_HEADER };
	int r;

	if ((r = open_encoder(a)) < 0)
		return r;
	a->floor = (ms * (RATE / 1000) + FRAME - 1) / FRAME * FRAME;
	if (a->floor < a->next && a->next - a->floor < RATE) /* what the run before said is not said again */
		a->floor = a->next;
	a->next = a->floor;
	a->fill = 0;
	a->begun = true;
	a->anchored = false;
	if (a->told)
		return 0;
	a->told = true;
	head.data = a->ctx->extradata;
	head.size = (size_t)a->ctx->extradata_size;
	return a->write(a->arg, ms, &head);
}

static int
open_resampler(struct audio *a, const AVFrame *f)
{
	AVChannelLayout stereo = { 0 }, in = { 0 };
	int r;

	swr_free(&a->swr);
	av_channel_layout_default(&stereo, 2);
	if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&in, f->ch_layout.nb_channels);
	else
		av_channel_layout_copy(&in, &f->ch_layout);
	r = swr_alloc_set_opts2(&a->swr, &stereo, AV_SAMPLE_FMT_FLTP, RATE, &in, f->format,
		f->sample_rate, 0, NULL);
	av_channel_layout_uninit(&in);
	if (r < 0 || (r = swr_init(a->swr)) < 0)
		return r;
	a->in_rate = f->sample_rate;
	a->in_format = f->format;
	a->in_channels = f->ch_layout.nb_channels;
	return 0;
}

int
audio_push(struct audio *a, const AVFrame *f)
{
	uint8_t *room[2] = { (uint8_t *)a->room[0], (uint8_t *)a->room[1] };
	const uint8_t *const *in = (const uint8_t *const *)f->extended_data;
	int64_t off, away, at;
	int r, n = f->nb_samples, skip = 0;

	if (!a->begun || f->sample_rate <= 0)
		return 0;
	if ((!a->swr || a->in_rate != f->sample_rate || a->in_format != f->format ||
		    a->in_channels != f->ch_layout.nb_channels) &&
		(r = open_resampler(a, f)) < 0)
		return r;
	at = f->pts * (RATE / 1000) - swr_get_delay(a->swr, RATE);
	off = at - a->next;
	away = off < 0 ? -off : off;
	a->off = away > FRAME ? a->off + 1 : 0;
	if (away > FAR || a->off >= STAYS || (!a->anchored && away > TIGHT)) {
		if (off > 0 && (r = feed(a, NULL, NULL, (int)(off > HOLE_MAX ? HOLE_MAX : off))) < 0)
			return r;
		if (off < 0)
			skip = off < -HOLE_MAX ? HOLE_MAX : (int)-off;
		a->off = 0;
	}
	a->anchored = true;
	while ((r = swr_convert(a->swr, room, 8192, (const uint8_t **)in, n)) > 0) {
		int gone = skip < r ? skip : r;
		int e = feed(a, a->room[0] + gone, a->room[1] + gone, r - gone);

		if (e < 0)
			return e;
		skip -= gone;
		n = 0; /* what did not fit is inside; without a pointer it would be flushed */
		if (r < 8192)
			break;
	}
	return r < 0 ? r : 0;
}

int
audio_fill(struct audio *a, int64_t until_ms)
{
	int64_t off = until_ms * (RATE / 1000) - a->next;

	if (!a->begun || off <= 0)
		return 0;
	a->anchored = false;
	return feed(a, NULL, NULL, off > HOLE_MAX ? HOLE_MAX : (int)off);
}

int
audio_drain(struct audio *a)
{
	int r;

	if (!a->begun)
		return 0;
	if (a->fill && (r = feed(a, NULL, NULL, FRAME - a->fill)) < 0)
		return r;
	avcodec_send_frame(a->ctx, NULL);
	r = receive(a);
	avcodec_free_context(&a->ctx);
	swr_free(&a->swr);
	a->begun = false;
	return r;
}

int64_t
audio_promise(const struct audio *a)
{
	int64_t at = (a->next - a->fill - 2 * FRAME) * 1000 / RATE;

	return a->begun ? at : INT64_MAX;
}

void
audio_free(struct audio **a)
{
	if (!*a)
		return;
	avcodec_free_context(&(*a)->ctx);
	swr_free(&(*a)->swr);
	av_frame_free(&(*a)->frame);
	av_packet_free(&(*a)->pkt);
	free(*a);
	*a = NULL;
}
