#include "foreign.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavformat/avformat.h>

#define IO_BYTES 32768

struct foreign {
	AVFormatContext *in, *out;
	AVIOContext *in_io, *out_io; /* theirs, but freed by us */
	AVPacket *pkt;
	struct buf begin, *to;
	foreign_read_fn *read;
	void *arg;
	int video, audio, map[2];
	bool ended;
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

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int
on_write(void *arg, const uint8_t *data, int size)
#else
static int
on_write(void *arg, uint8_t *data, int size)
#endif
{
	struct foreign *f = arg;

	return f->to && buf_append(f->to, data, (size_t)size) < 0 ? -ENOMEM : size;
}

static AVIOContext *
io(struct foreign *f, bool out)
{
	unsigned char *room = av_malloc(IO_BYTES);
	AVIOContext *c = !room ? NULL : avio_alloc_context(room, IO_BYTES, out, f, out ? NULL : on_read,
		out ? on_write : NULL, NULL);

	if (!c)
		av_free(room);
	return c;
}

static bool
fits(enum AVCodecID id)
{
	return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_AAC || id == AV_CODEC_ID_MP3;
}

static int
add(struct foreign *f, int stream, int *number, char why[FOREIGN_WHY])
{
	const AVStream *from = f->in->streams[stream];
	AVStream *to;
	int r;

	if (!fits(from->codecpar->codec_id)) {
		snprintf(why, FOREIGN_WHY, "it holds %s; H.264 with AAC or MP3 can be taken",
			avcodec_get_name(from->codecpar->codec_id));
		return -ENOTSUP;
	}
	if (!(to = avformat_new_stream(f->out, NULL)))
		return -ENOMEM;
	if ((r = avcodec_parameters_copy(to->codecpar, from->codecpar)) < 0)
		return r;
	to->codecpar->codec_tag = 0;
	to->avg_frame_rate = from->avg_frame_rate;
	to->time_base = from->time_base;
	*number = to->index;
	return 0;
}

static int
open_in(struct foreign *f)
{
	if (!(f->in = avformat_alloc_context()))
		return -ENOMEM;
	if (!(f->in->pb = f->in_io = io(f, false)))
		return -ENOMEM;
	f->in->flags |= AVFMT_FLAG_CUSTOM_IO;
	if (avformat_open_input(&f->in, NULL, NULL, NULL) < 0 || avformat_find_stream_info(f->in, NULL) < 0)
		return -EBADMSG;
	f->video = av_find_best_stream(f->in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
	f->audio = av_find_best_stream(f->in, AVMEDIA_TYPE_AUDIO, -1, f->video, NULL, 0);
	return f->video < 0 && f->audio < 0 ? -EBADMSG : 0;
}

int
foreign_new(struct foreign **out, const void *begin, size_t n, foreign_read_fn *read_more, void *arg,
	char why[FOREIGN_WHY])
{
	struct foreign *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	snprintf(why, FOREIGN_WHY, "it is no media that libavformat knows");
	if (!f)
		return -ENOMEM;
	f->read = read_more;
	f->arg = arg;
	if (!(f->pkt = av_packet_alloc()) || buf_append(&f->begin, begin, n) < 0)
		goto fail;
	if ((r = open_in(f)) < 0)
		goto fail;
	if ((r = avformat_alloc_output_context2(&f->out, NULL, "flv", NULL)) < 0)
		goto fail;
	r = -ENOMEM;
	if (!(f->out->pb = f->out_io = io(f, true)))
		goto fail;
	f->out->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_FLUSH_PACKETS;
	f->out->avoid_negative_ts = AVFMT_AVOID_NEG_TS_MAKE_ZERO;
	if ((f->video >= 0 && (r = add(f, f->video, &f->map[0], why)) < 0) ||
		(f->audio >= 0 && (r = add(f, f->audio, &f->map[1], why)) < 0))
		goto fail;
	*out = f;
	return 0;
fail:
	foreign_free(&f);
	return r;
}

static int
begin(struct foreign *f)
{
	AVDictionary *how = NULL;
	int r;

	av_dict_set(&how, "flvflags", "no_duration_filesize", 0);
	r = avformat_write_header(f->out, &how);
	av_dict_free(&how);
	return r < 0 ? r : 0;
}

int
foreign_next(struct foreign *f, struct buf *flv)
{
	bool first = !f->to;
	int r;

	f->to = flv;
	if (f->ended)
		return 0;
	if (first && (r = begin(f)) < 0)
		return r;
	while ((r = av_read_frame(f->in, f->pkt)) >= 0) {
		int s = f->pkt->stream_index;

		if (s == f->video || s == f->audio)
			break;
		av_packet_unref(f->pkt);
	}
	if (r < 0) {
		f->ended = true;
		if (r != AVERROR_EOF)
			return r;
		r = av_write_trailer(f->out);
		avio_flush(f->out->pb);
		return r < 0 ? r : 1;
	}
	av_packet_rescale_ts(f->pkt, f->in->streams[f->pkt->stream_index]->time_base,
		f->out->streams[f->map[f->pkt->stream_index == f->audio]]->time_base);
	f->pkt->stream_index = f->map[f->pkt->stream_index == f->audio];
	if ((r = av_interleaved_write_frame(f->out, f->pkt)) < 0)
		return r;
	avio_flush(f->out->pb);
	return 1;
}

static void
free_io(AVIOContext *c)
{
	if (!c)
		return;
	av_freep(&c->buffer);
	avio_context_free(&c);
}

void
foreign_free(struct foreign **p)
{
	struct foreign *f = *p;

	if (!f)
		return;
	avformat_close_input(&f->in);
	avformat_free_context(f->out);
	free_io(f->in_io);
	free_io(f->out_io);
	av_packet_free(&f->pkt);
	buf_free(&f->begin);
	free(f);
	*p = NULL;
}
