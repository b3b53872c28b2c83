#include "avmux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "avpar.h"
#include "die.h"

#define TRACKS (2 * TRACKS_MAX)
#define OUT_BUFFER (64 << 10)

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t out_byte;
#else
typedef uint8_t out_byte;
#endif

static const AVRational micro = { 1, 1000000 };

struct lane {
	uint32_t codec;
	struct buf head;  /* the last configuration */
	bool changed;     /* to be told with the next key frame */
	int64_t last_dts; /* in the stream's own time base */
};

struct avmux {
	AVFormatContext *fmt;
	AVPacket *pkt;
	avmux_write_fn *write;
	void *arg;
	int error; /* of write */
	int refused; /* frames that the muxer could not read */
	bool started, flush;
	struct lane lanes[TRACKS];
};

static void
on_log(void *who, int level, const char *fmt, va_list ap)
{
	char line[512];
	size_t n;

	(void)who;
	if (level > AV_LOG_ERROR)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	n = strcspn(line, "\n");
	line[n] = '\0';
	if (n)
		warning(0, "libavformat: %s", line);
}

static int
on_write(void *arg, out_byte *data, int n)
{
	struct avmux *m = arg;

	if (!m->error)
		m->error = m->write(m->arg, data, (size_t)n);
	return m->error ? m->error : n;
}

static bool
is_format(const struct avmux *m, const char *name)
{
	return !strcmp(m->fmt->oformat->name, name);
}

int
avmux_new(struct avmux **out, const char *format, avmux_write_fn *write, void *arg)
{
	struct avmux *m = calloc(1, sizeof(*m));
	uint8_t *buffer;
	int r;

	if (!m)
		return -ENOMEM;
	if (!av_guess_format(format, NULL, NULL)) {
		free(m);
		return -EINVAL;
	}
	av_log_set_callback(on_log);
	m->write = write;
	m->arg = arg;
	r = avformat_alloc_output_context2(&m->fmt, NULL, format, NULL);
	if (r < 0 || (m->fmt->oformat->flags & AVFMT_NOFILE)) {
		avmux_free(&m);
		return r == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL;
	}
	r = -ENOMEM;
	if (!(m->pkt = av_packet_alloc()) || !(buffer = av_malloc(OUT_BUFFER)))
		goto fail;
	if (!(m->fmt->pb = avio_alloc_context(buffer, OUT_BUFFER, 1, m, NULL, on_write, NULL))) {
		av_free(buffer);
		goto fail;
	}
	m->fmt->pb->seekable = 0;
	m->fmt->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_FLUSH_PACKETS;
	*out = m;
	return 0;
fail:
	avmux_free(&m);
	return r;
}

void
avmux_free(struct avmux **out)
{
	struct avmux *m = *out;
	int i;

	if (!m)
		return;
	if (m->fmt && m->fmt->pb) {
		av_freep(&m->fmt->pb->buffer);
		avio_context_free(&m->fmt->pb);
	}
	avformat_free_context(m->fmt);
	av_packet_free(&m->pkt);
	for (i = 0; i < TRACKS; i++)
		buf_free(&m->lanes[i].head);
	free(m);
	*out = NULL;
}

/* Each rung is a program of MPEG-TS; other containers show its name as a title. */
static void
name_stream(struct avmux *m, AVStream *st, const char *rungs)
{
	unsigned i;
	size_t n;

	av_dict_set(&st->metadata, "title", rungs, 0);
	if (!is_format(m, "mpegts"))
		return;
	for (;; rungs += n + 1) {
		char name[TRACKS_RUNG];
		AVProgram *prog = NULL;

		n = strcspn(rungs, "+");
		snprintf(name, sizeof(name), "%.*s", (int)n, rungs);
		for (i = 0; i < m->fmt->nb_programs; i++) {
			AVDictionaryEntry *e = av_dict_get(m->fmt->programs[i]->metadata, "title", NULL, 0);

			if (e && !strcmp(e->value, name))
				prog = m->fmt->programs[i];
		}
		if (!prog && (prog = av_new_program(m->fmt, (int)m->fmt->nb_programs + 1))) {
			av_dict_set(&prog->metadata, "title", name, 0);
			av_dict_set(&prog->metadata, "service_name", name, 0);
		}
		if (prog)
			av_program_add_stream_index(m->fmt, (unsigned)prog->id, (unsigned)st->index);
		if (!rungs[n])
			return;
	}
}

static bool
holds(const struct avmux *m, enum AVCodecID id)
{
	/* libavformat 5.1 writes AV1 and VPx into MPEG-TS as private data, which nobody reads. */
	if (is_format(m, "mpegts"))
		return id != AV_CODEC_ID_AV1 && id != AV_CODEC_ID_VP8 && id != AV_CODEC_ID_VP9 &&
			id != AV_CODEC_ID_FLAC;
	return avformat_query_codec(m->fmt->oformat, id, FF_COMPLIANCE_EXPERIMENTAL) != 0;
}

int
avmux_track(struct avmux *m, const struct flv_packet *head, const struct flv_packet *first,
	const struct track *about)
{
	const struct flv_packet *any = head ? head : first;
	AVCodecParameters *par;
	enum AVCodecID id = avpar_codec(any->codec);
	AVStream *st;
	struct lane *l;
	int r;

	if (m->fmt->nb_streams == TRACKS)
		return -E2BIG;
	if (id == AV_CODEC_ID_NONE || !holds(m, id))
		return -ENOTSUP;
	if (!(st = avformat_new_stream(m->fmt, NULL)))
		return -ENOMEM;
	l = &m->lanes[st->index];
	l->codec = any->codec;
	l->last_dts = AV_NOPTS_VALUE;
	st->time_base = micro;
	par = st->codecpar;
	if (head && buf_append(&l->head, head->data, head->size) < 0)
		return -ENOMEM;
	if ((r = avpar_read(par, head, first)) < 0)
		return r;
	if (about) {
		if (!par->width) {
			par->width = about->width;
			par->height = about->height;
		}
		if (!par->sample_rate)
			par->sample_rate = about->sample_rate;
		if (!par->ch_layout.nb_channels && about->channels)
			av_channel_layout_default(&par->ch_layout, about->channels);
		if (about->fps > 0)
			st->avg_frame_rate = av_d2q(about->fps, 100000);
		if (*about->rung)
			name_stream(m, st, about->rung);
	}
	return st->index;
}

int
avmux_start(struct avmux *m)
{
	AVDictionary *o = NULL;
	int r;

	if (is_format(m, "mpegts")) {
		av_dict_set(&o, "omit_video_pes_length", "0", 0); /* a reader needs not wait for the next */
		av_dict_set(&o, "pes_payload_size", "0", 0);      /* nor for more sound */
	} else if (is_format(m, "mp4") || is_format(m, "mov")) {
		av_dict_set(&o, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
	} else if (is_format(m, "matroska") || is_format(m, "webm")) {
		av_dict_set(&o, "live", "1", 0);
		m->flush = true;
	} else if (is_format(m, "flv")) {
		av_dict_set(&o, "flvflags", "no_duration_filesize", 0);
	}
	r = avformat_write_header(m->fmt, &o);
	av_dict_free(&o);
	if (m->error)
		return m->error;
	if (r < 0)
		return r;
	m->started = true;
	return 0;
}

int
avmux_params(struct avmux *m, int track, const struct flv_packet *head)
{
	struct lane *l = &m->lanes[track];

	if (buf_len(&l->head) == head->size && !memcmp(buf_data(&l->head), head->data, head->size))
		return 0;
	l->changed = true;
	buf_clear(&l->head);
	return buf_append(&l->head, head->data, head->size);
}

/* The SPS and PPS of an avcC, each with a four-byte length, as a frame carries them. */
static int
put_sets(struct buf *out, const uint8_t *p, size_t n)
{
	int pass, count;

	if (n < 7 || (p[4] & 3) != 3)
		return -EINVAL;
	p += 5;
	n -= 5;
	for (pass = 0; pass < 2; pass++) {
		if (!n)
			return -EINVAL;
		count = pass ? *p : *p & 31;
		for (p++, n--; count; count--) {
			size_t size;

			if (n < 2 || (size = get_be16(p)) > n - 2)
				return -EINVAL;
			buf_be32(out, (uint32_t)size);
			buf_append(out, p + 2, size);
			p += 2 + size;
			n -= 2 + size;
		}
	}
	return out->error;
}

/* Changed parameters go before the frame (H.264) or beside it, for muxers that know them there. */
static int
tell_params(struct avmux *m, struct lane *l)
{
	struct buf sets = { 0 };
	uint8_t *side;
	int r = 0;

	l->changed = false;
	if (l->codec == FLV_AVC && put_sets(&sets, buf_data(&l->head), buf_len(&l->head)) == 0) {
		int old = m->pkt->size;

		if ((r = av_grow_packet(m->pkt, (int)buf_len(&sets))) == 0) {
			memmove(m->pkt->data + buf_len(&sets), m->pkt->data, (size_t)old);
			memcpy(m->pkt->data, buf_data(&sets), buf_len(&sets));
		}
	} else if ((side = av_packet_new_side_data(m->pkt, AV_PKT_DATA_NEW_EXTRADATA, buf_len(&l->head)))) {
		memcpy(side, buf_data(&l->head), buf_len(&l->head));
	} else {
		r = -ENOMEM;
	}
	buf_free(&sets);
	return r;
}

int
avmux_packet(struct avmux *m, int track, int64_t dts, const struct flv_packet *p)
{
	AVStream *st = m->fmt->streams[track];
	struct lane *l = &m->lanes[track];
	int r;

	if (p->size > INT_MAX / 2 || (r = av_new_packet(m->pkt, (int)p->size)) < 0)
		return -ENOMEM;
	memcpy(m->pkt->data, p->data, p->size);
	m->pkt->stream_index = track;
	m->pkt->dts = dts * 1000;
	m->pkt->pts = (dts + p->cts) * 1000 + p->nano / 1000;
	if (p->key || p->type == FLV_AUDIO)
		m->pkt->flags |= AV_PKT_FLAG_KEY;
	if (l->changed && (m->pkt->flags & AV_PKT_FLAG_KEY) && (r = tell_params(m, l)) < 0)
		goto out;
	av_packet_rescale_ts(m->pkt, micro, st->time_base);
	/* Muxers refuse a time that stands still; an equal one is moved by the least there is. */
	if (l->last_dts != AV_NOPTS_VALUE && m->pkt->dts <= l->last_dts)
		m->pkt->dts = l->last_dts + 1;
	if (m->pkt->pts < m->pkt->dts)
		m->pkt->pts = m->pkt->dts;
	l->last_dts = m->pkt->dts;
	r = av_write_frame(m->fmt, m->pkt);
	if (r == AVERROR_INVALIDDATA && !m->error) { /* a damaged frame is no end; on_log has said why */
		m->refused++;
		r = 0;
	} else if (r >= 0 && m->flush)
		r = av_write_frame(m->fmt, NULL);
out:
	av_packet_unref(m->pkt);
	return m->error ? m->error : r < 0 ? r : 0;
}

int
avmux_finish(struct avmux *m)
{
	int r = m->started ? av_write_trailer(m->fmt) : 0;

	if (m->refused)
		warning(0, "%d damaged frames were left out", m->refused);
	m->started = false;
	avio_flush(m->fmt->pb);
	return m->error ? m->error : r < 0 ? r : 0;
}

const char *
avmux_error(int err)
{
	static char text[AV_ERROR_MAX_STRING_SIZE];

	if (av_strerror(err, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "%s", strerror(-err));
	return text;
}
