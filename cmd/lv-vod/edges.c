#include "edges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "output.h"

#define BYTES_MAX (256 << 20) /* of an edge */
#define WITH_MAX 1000

/* How each codec's edges are encoded.  Parameter sets of H.264 with numbers of their own can lie beside the
   publisher's in one sample entry. */
static const struct how {
	uint32_t codec;
	const char *with[2]; /* of the begin, of the end */
} codecs[] = {
#define X264 "-c:v libx264 -preset fast -crf 18 -x264-params sps-id="
	{ FOURCC('a', 'v', 'c', '1'), { X264 "31", X264 "30" } },
#define X265 "-c:v libx265 -preset fast -crf 18 -x265-params log-level=none -tag:v hvc1"
	{ FOURCC('h', 'v', 'c', '1'), { X265, X265 } },
	{ FOURCC('h', 'e', 'v', '1'), { X265, X265 } },
};

/* After an end of sequence a picture that begins an open group begins as if the stream did: its number is no
   longer told from the number before. */
static const uint8_t hevc_end[] = { 0, 0, 0, 2, 36 << 1, 1 };

static const struct how *
how_of(uint32_t codec)
{
	size_t i;

	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (codecs[i].codec == codec)
			return &codecs[i];
	return NULL;
}

/* What ffmpeg is told: no picture is shown in another order than it is decoded in. */
static int
tell(struct edges *s, int i, const struct how *codec)
{
	char text[WITH_MAX + 100], *line;

	snprintf(text, sizeof(text), "%s -bf 0 -enc_time_base:v -1 -an -v fatal", s->with ? s->with : codec->with[i]);
	while ((line = strchr(text, '\n')))
		*line = ' ';
	return encode_options(&s->encode[i], text);
}

int
edges_start(struct edges *s, const char *with)
{
	int i, fd, r = 0;

	memset(s, 0, sizeof(*s));
	s->with = with;
	if (with && strlen(with) > WITH_MAX)
		return -E2BIG;
	for (i = 0; !r && i < 2; i++) {
		if ((fd = memfd_create("edge", MFD_CLOEXEC)) < 0)
			return -errno;
		r = encode_into(&s->encode[i], fd);
	}
	return r;
}

/* The pictures of a part of the recording go through ffmpeg into bytes. */
static int
encode(struct edges *s, int i, const struct how *codec, const struct rung *rung, struct recording_options how,
	double from_s, double to_s)
{
	struct encode *e = &s->encode[i];
	struct recording *r;
	uint64_t size = 0;
	uint8_t *room;
	int err;

	how.exact = false;
	how.chapters = NULL;
	how.from_s = from_s > NEAR_S ? from_s - NEAR_S : 0;
	how.to_s = to_s > 0 ? to_s - NEAR_S : 0;
	if ((err = recording_new(&r, rung->picture, NULL, true, &how)) == 0) {
		if ((err = recording_scan(r)) == 0 && (err = tell(s, i, codec)) == 0)
			err = output_pipe(r, e->fd, NULL);
		recording_free(&r);
	}
	if ((err = encode_end(e, err, &size)) < 0)
		return err;
	if (size > BYTES_MAX)
		return -EMSGSIZE;
	if (!(room = buf_reserve(&s->bytes[i], size)) || pread(e->file, room, size, 0) != (ssize_t)size)
		return -EIO;
	buf_grew(&s->bytes[i], size);
	if (i == 0 && codec->codec != FOURCC('a', 'v', 'c', '1'))
		buf_append(&s->bytes[i], hevc_end, sizeof(hevc_end));
	s->segment[i] = (struct segment){ .folder = (char *)(i ? "end" : "begin"), .file = (char *)"edge",
		.init = (char *)"edge", .last = true, .encoded = &s->bytes[i] };
	return 0;
}

/* Where the key frames are between which nothing has to be encoded. */
static int
look(const struct rung *rung, const struct recording_options *how, struct recording_cut *cut, const struct how **codec)
{
	struct recording_options own = *how;
	struct recording *r;
	int e;

	own.exact = true;
	own.chapters = NULL;
	if ((e = recording_new(&r, rung->picture, NULL, true, &own)) < 0)
		return e;
	e = recording_scan(r);
	*cut = r->cut;
	if ((e == 0 || e == -ENODATA) && r->lane[0].media.track) /* there may be nothing between */
		e = (*codec = how_of(r->lane[0].media.track->codec)) ? 0 : -ENOTSUP;
	recording_free(&r);
	return e;
}

int
edges_make(struct edges *s, const struct rung *rung, struct recording_options *how)
{
	const struct how *codec = NULL;
	struct recording_cut cut;
	int e;

	if (!rung->picture)
		return 0; /* frames of sound are as exact as can be */
	if ((e = look(rung, how, &cut, &codec)) < 0)
		return e;
	how->exact = true;
	if (cut.begins && (e = encode(s, 0, codec, rung, *how, how->from_s, cut.begin_s)) < 0)
		return e;
	if (cut.ends && (e = encode(s, 1, codec, rung, *how, cut.end_s, how->to_s)) < 0)
		return e;
	how->edge[0] = cut.begins ? &s->segment[0] : NULL;
	how->edge[1] = cut.ends ? &s->segment[1] : NULL;
	return 0;
}

void
edges_free(struct edges *s)
{
	uint64_t size;
	int i;

	for (i = 0; i < 2; i++) {
		if (s->encode[i].pid)
			encode_end(&s->encode[i], -ECANCELED, &size);
		if (s->encode[i].file > 0)
			close(s->encode[i].file);
		buf_free(&s->bytes[i]);
	}
}
