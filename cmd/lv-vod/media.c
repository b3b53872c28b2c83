#include "media.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "codec.h"
#include "fmp4.h"
#include "place.h"
#include "store.h"

#define MOOF FOURCC('m', 'o', 'o', 'f')
#define SECONDS_BITS 31 /* of media time: 68 years */
#define TS_HZ 90000
#define AAC_FRAME 1024
#define BLOCK 8192 /* read at a box's begin: a moof of usual size is whole in it */

int64_t
rescale(int64_t t, uint32_t from, uint32_t to)
{
	__int128 v;

	if (from == to)
		return t;
	v = (__int128)t * to;
	return (int64_t)(v >= 0 ? (v + from / 2) / from : -((-v + from / 2) / from));
}

void
media_new(struct media *m, bool video, struct media_stream *stream)
{
	memset(m, 0, sizeof(*m));
	m->stream = stream;
	m->video = video;
}

static int
load_init(struct media *m, const struct segment *s)
{
	struct buf b = { 0 };
	char *path;
	int r, i;

	if (!s->init)
		return -ENOMSG;
	if (!(path = place_path(s->folder, s->init)))
		return -ENOMEM;
	if (m->path && !strcmp(m->path, path)) {
		free(path);
		return 0;
	}
	free(m->path);
	free(m->bytes);
	m->path = NULL;
	m->bytes = NULL;
	m->track = NULL;
	r = s->encoded ? buf_append(&b, buf_data(s->encoded), buf_len(s->encoded) < MP4_INIT_MAX ? buf_len(s->encoded)
		: MP4_INIT_MAX) : place_get(s->folder, s->init, MP4_INIT_MAX, &b);
	m->bytes = b.bytes; /* ours from here on */
	if (!r)
		r = mp4_init_parse(m->bytes, buf_len(&b), &m->init);
	for (i = 0; !r && !m->track && i < m->init.count; i++)
		if (m->init.track[i].video == m->video)
			m->track = &m->init.track[i];
	if (!r && !m->track)
		r = -ENOMSG;
	if (r < 0)
		free(path);
	else
		m->path = path;
	return r;
}

static int
add_sample(struct media *m, const struct mp4_sample *s)
{
	struct mp4_sample *more;
	size_t room;

	if (m->count == MEDIA_SAMPLES_MAX)
		return -EMSGSIZE;
	if (s->dts > (int64_t)m->track->timescale << SECONDS_BITS)
		return -EBADMSG;
	if (m->count == m->room) {
		room = m->room ? 2 * m->room : 128;
		if (!(more = realloc(m->sample, room * sizeof(*more))))
			return -ENOMEM;
		m->sample = more;
		m->room = room;
	}
	m->sample[m->count] = *s;
	if (!s->dur)
		m->sample[m->count].dur = 1;
	m->count++;
	return 0;
}

/* The samples of a moof that are whole in a file of size bytes. */
static int
load_moof(struct media *m, struct mp4_walk *w, const uint8_t *moof, size_t n, uint64_t at, uint64_t size)
{
	int track = (int)(m->track - m->init.track), r;
	struct mp4_sample s;

	if ((r = mp4_walk_begin(w, &m->init, moof, n, at)) < 0)
		return r;
	while ((r = mp4_walk_next(w, &s)) > 0) {
		if (s.track != track || m->truncated || !s.size)
			continue;
		s.dts -= m->track->begins;
		if (s.offset > size || s.size > size - s.offset)
			m->truncated = true;
		else if (m->count && s.dts < m->sample[m->count - 1].dts)
			return -EBADMSG;
		else if ((r = add_sample(m, &s)) < 0)
			return r;
	}
	return r;
}

static int
load_samples(struct media *m, struct place_file *f)
{
	uint8_t block[BLOCK], *moof;
	struct mp4_walk w = { 0 };
	struct mp4_box b;
	uint64_t at = 0, size = f->size;
	ssize_t n;
	int r = 0;

	while (!r && at < size && !m->truncated) {
		if ((n = place_read(f, block, sizeof(block), at)) < 0)
			return (int)n;
		if ((r = mp4_box(block, (size_t)n, &b)) < 0)
			return r;
		if (r == 0 || (b.size > size - at && b.size != UINT64_MAX && b.type == MOOF)) {
			m->truncated = true;
			return 0;
		}
		r = 0;
		if (b.type == MOOF && b.size <= (uint64_t)n) {
			r = load_moof(m, &w, block, (size_t)b.size, at, size);
		} else if (b.type == MOOF) {
			if (b.size > MP4_MOOF_MAX)
				return -EMSGSIZE;
			if (!(moof = malloc((size_t)b.size)))
				return -ENOMEM;
			r = place_read(f, moof, (size_t)b.size, at) != (ssize_t)b.size ? -EIO
				: load_moof(m, &w, moof, (size_t)b.size, at, size);
			free(moof);
		}
		if (b.size > size - at)
			break;
		at += b.size;
	}
	return r;
}

bool
media_is_stream(const struct segment *s)
{
	size_t n = strlen(s->file);

	return n > 3 && !strcmp(s->file + n - 3, ".ts");
}

int
media_stream_load(struct media_stream *m, const struct segment *s, int64_t near)
{
	struct place_file f;
	uint8_t *bytes;
	ssize_t n;
	int r;

	if (m->of == s)
		return m->result;
	m->of = NULL;
	if ((r = place_open(&f, s, true)) < 0)
		return r;
	if (f.size > MEDIA_STREAM_MAX || !(bytes = malloc((size_t)f.size + 1))) {
		place_close(&f);
		return f.size > MEDIA_STREAM_MAX ? -EMSGSIZE : -ENOMEM;
	}
	n = place_read(&f, bytes, (size_t)f.size, 0);
	m->result = n < 0 ? (int)n : n != (ssize_t)f.size ? -EIO : tsread_segment(&m->ts, bytes, (size_t)f.size, near);
	place_close(&f);
	free(bytes);
	m->of = s;
	m->bytes = (int64_t)f.size;
	return m->result;
}

void
media_stream_free(struct media_stream *m)
{
	tsread_free(&m->ts);
	memset(m, 0, sizeof(*m));
}

/* What an init segment of fragmented MP4 would say of the track. */
static int
describe_stream(struct media *m, const struct buf *config)
{
	struct fmp4_track t = { .video = m->video, .config = buf_data(config), .config_size = buf_len(config) };
	struct codec codec;
	struct buf b = { 0 };
	int r;

	if (!buf_len(config)) /* the one before holds on */
		return m->track ? 0 : -ENOMSG;
	if ((r = codec_config(&codec, m->video ? FLV_AVC : FLV_AAC, t.config, t.config_size)) < 0)
		return r;
	t.codec = &codec;
	t.timescale = m->video ? TS_HZ : (uint32_t)codec.rate;
	r = fmp4_init(&b, &t);
	if (!r) {
		free(m->bytes);
		free(m->path);
		m->path = NULL;
		m->track = NULL;
		m->bytes = b.bytes; /* ours from here on */
		r = mp4_init_parse(m->bytes, buf_len(&b), &m->init);
		m->track = r < 0 ? NULL : &m->init.track[0];
	} else {
		buf_free(&b);
	}
	return r;
}

/* It lasts less than was said, by more than a frame: then the last one is not whole either. */
static bool
is_short(const struct media *m, const struct segment *s)
{
	const struct mp4_sample *last = &m->sample[m->count - 1];
	int64_t missing = rescale(s->dur_us, 1000000, m->track->timescale) - (last->dts + last->dur - m->sample->dts);

	return s->dur_us && missing > last->dur + last->dur / 2;
}

static int
load_stream(struct media *m, const struct segment *s)
{
	const struct tsread_track *k = m->video ? &m->stream->ts.video : &m->stream->ts.audio;
	uint32_t hz, frame = 3000;
	size_t i;
	int r = media_stream_load(m->stream, s, m->near);

	if (r < 0)
		return r;
	if (!k->count)
		return -ENODATA;
	if ((r = describe_stream(m, &k->config)) < 0)
		return r;
	m->file_bytes = m->stream->bytes;
	m->truncated = m->stream->ts.lost > 0;
	hz = m->track->timescale;
	for (i = 0; i < k->count; i++) {
		const struct tsread_frame *f = &k->frame[i];
		struct mp4_sample at = { .dts = rescale(f->dts, TS_HZ, hz), .cts = (int32_t)(f->pts - f->dts),
			.size = f->size, .key = f->key, .offset = f->offset };

		if (!m->video)
			frame = AAC_FRAME;
		else if (i + 1 < k->count && f[1].dts > f->dts && f[1].dts - f->dts < INT32_MAX)
			frame = (uint32_t)(f[1].dts - f->dts);
		at.dur = frame;
		if (m->count && at.dts < m->sample[m->count - 1].dts)
			return -EBADMSG;
		if ((r = add_sample(m, &at)) < 0)
			return r;
	}
	if (m->video && m->stream->ts.unsure && is_short(m, s)) {
		m->count--;
		m->truncated = true;
	}
	return m->count ? 0 : -ENODATA;
}

int
media_load(struct media *m, const struct segment *s)
{
	struct place_file f;
	int r;

	m->count = 0;
	m->truncated = false;
	if (media_is_stream(s))
		return load_stream(m, s);
	if ((r = load_init(m, s)) < 0)
		return r;
	if ((r = place_open(&f, s, false)) < 0)
		return r;
	m->file_bytes = (int64_t)f.size;
	r = load_samples(m, &f);
	place_close(&f);
	/* What comes before damage is good. */
	if ((r == -EBADMSG || r == -EMSGSIZE) && m->count) {
		m->truncated = true;
		r = 0;
	}
	return r < 0 ? r : m->count ? 0 : -ENODATA;
}

bool
media_is_lost(int e)
{
	return e == -ENOMEM || e == -EMFILE || e == -ENFILE || e == -EIO || e == -EACCES || e == -EPERM || store_failed(e);
}

int
media_codec(const struct media *m, struct codec *c)
{
	const struct mp4_track *t = m->track;

	memset(c, 0, sizeof(*c));
	switch (t->codec) {
	case FOURCC('a', 'v', 'c', '1'):
	case FOURCC('a', 'v', 'c', '3'):
		return codec_config(c, FLV_AVC, t->config, t->config_size);
	case FOURCC('h', 'v', 'c', '1'):
	case FOURCC('h', 'e', 'v', '1'):
		return codec_config(c, FLV_HEVC, t->config, t->config_size);
	case FOURCC('a', 'v', '0', '1'):
		return codec_config(c, FLV_AV1, t->config, t->config_size);
	case FOURCC('m', 'p', '4', 'a'):
		return codec_config(c, FLV_AAC, t->config, t->config_size);
	case FOURCC('v', 'p', '0', '9'):
		if (t->config_size < 4 + sizeof(c->vp9))
			return -ENOTSUP;
		memcpy(c->vp9, t->config + 4, sizeof(c->vp9));
	}
	c->fourcc = t->codec;
	return 0;
}

void
media_free(struct media *m)
{
	free(m->sample);
	free(m->path);
	free(m->bytes);
	memset(m, 0, sizeof(*m));
}
