#include "edges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "output.h"

#define BYTES_MAX (256 << 20) /* of an edge */

int
edges_start(struct edges *s, const char *with)
{
	char text[1024];
	int i, fd, r = 0;

	memset(s, 0, sizeof(*s));
	for (i = 0; !r && i < 2; i++) {
		/* Parameter sets with numbers of their own can lie beside the publisher's in one sample entry. */
		if (snprintf(text, sizeof(text), "%s%s -bf 0 -enc_time_base:v -1 -an -v fatal", with ? with : EDGES_WITH,
			    with ? "" : i ? "30" : "31") >= (int)sizeof(text))
			return -E2BIG;
		if ((fd = memfd_create("edge", MFD_CLOEXEC)) < 0)
			return -errno;
		r = encode_into(&s->encode[i], fd, text);
	}
	return r;
}

/* The pictures of a part of the recording go through ffmpeg into bytes. */
static int
encode(struct edges *s, int i, const struct rung *rung, struct recording_options how, double from_s, double to_s)
{
	struct encode *e = &s->encode[i];
	struct recording *r;
	uint64_t size = 0;
	uint8_t *room;
	int err;

	how.exact = false;
	how.chapters = NULL;
	how.from_s = from_s;
	how.to_s = to_s;
	if ((err = recording_new(&r, rung->picture, NULL, true, &how)) == 0) {
		if ((err = recording_scan(r)) == 0)
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
	s->segment[i] = (struct segment){ .folder = (char *)(i ? "end" : "begin"), .file = (char *)"edge",
		.init = (char *)"edge", .last = true, .encoded = &s->bytes[i] };
	return 0;
}

/* Where the key frames are between which nothing has to be encoded. */
static int
look(const struct rung *rung, const struct recording_options *how, struct recording_cut *cut)
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
		e = r->lane[0].media.track->codec == FOURCC('a', 'v', 'c', '1') ? 0 : -ENOTSUP;
	recording_free(&r);
	return e;
}

int
edges_make(struct edges *s, const struct rung *rung, struct recording_options *how)
{
	struct recording_cut cut;
	int e;

	if (!rung->picture)
		return 0; /* frames of sound are as exact as can be */
	if ((e = look(rung, how, &cut)) < 0)
		return e;
	how->exact = true;
	if (cut.begins && (e = encode(s, 0, rung, *how, how->from_s, cut.begin_s)) < 0)
		return e;
	if (cut.ends && (e = encode(s, 1, rung, *how, cut.end_s, how->to_s)) < 0)
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
