#include "mp4write.h"

#include <errno.h>

#include "box.h"
#include "mp4write_parts.h"

#define FLUSH 65536 /* bytes of a table that are handed on together */

/* A track that got no sample is not written. */
static bool
has_media(const struct track *t)
{
	return rows_count(t->samples) > 0;
}

static int64_t
lasts(const struct track *t)
{
	return t->empty + t->shown;
}

static void
hand_on(struct mp4_writer *w, size_t least)
{
	if (w->out.error && !w->error)
		w->error = w->out.error;
	if (buf_len(&w->out) < least || w->error)
		return;
	w->error = w->emit(w->arg, buf_data(&w->out), buf_len(&w->out));
	buf_clear(&w->out);
}

/* The head of a table whose length is known: count rows of each bytes, after extra fields. */
static void
table(struct buf *b, const char *type, unsigned version, uint64_t count, size_t each)
{
	buf_be32(b, (uint32_t)(16 + count * each));
	buf_append(b, type, 4);
	buf_be32(b, version << 24);
	buf_be32(b, (uint32_t)count);
}

static void
put_mvhd(struct buf *b, const struct mp4_writer *w)
{
	size_t at = box_full(b, "mvhd", 1, 0);
	int64_t dur = 0;
	int i;

	for (i = 0; i < w->count; i++)
		if (has_media(&w->track[i]) && lasts(&w->track[i]) > dur)
			dur = lasts(&w->track[i]);
	box_zeros(b, 16);
	buf_be32(b, w->timescale);
	buf_be64(b, (uint64_t)dur);
	buf_be32(b, 0x10000);
	buf_be16(b, 0x100);
	box_zeros(b, 10);
	box_matrix(b);
	box_zeros(b, 24);
	buf_be32(b, (uint32_t)w->count + 1);
	box_end(b, at);
}

static void
put_tkhd(struct buf *b, const struct track *t, int i)
{
	size_t at = box_full(b, "tkhd", 1, 3);

	box_zeros(b, 16);
	buf_be32(b, (uint32_t)i + 1);
	buf_be32(b, 0);
	buf_be64(b, (uint64_t)lasts(t));
	box_zeros(b, 12);
	buf_be16(b, t->video ? 0 : 0x100);
	buf_be16(b, 0);
	box_matrix(b);
	buf_be32(b, (uint32_t)t->width << 16);
	buf_be32(b, (uint32_t)t->height << 16);
	box_end(b, at);
}

static void
put_edits(struct buf *b, const struct track *t)
{
	size_t edts = box_begin(b, "edts");

	table(b, "elst", 1, t->empty ? 2 : 1, 20);
	if (t->empty) {
		buf_be64(b, (uint64_t)t->empty);
		buf_be64(b, UINT64_MAX);
		buf_be32(b, 0x10000);
	}
	buf_be64(b, (uint64_t)t->shown);
	buf_be64(b, (uint64_t)t->media_time);
	buf_be32(b, 0x10000);
	box_end(b, edts);
}

/* mdia up to the entries of stsd, which are the last of the boxes of a known, small size. */
static void
put_media(struct buf *b, const struct track *t)
{
	size_t at = box_full(b, "mdhd", 1, 0);

	box_zeros(b, 16);
	buf_be32(b, t->timescale);
	buf_be64(b, (uint64_t)t->dur);
	buf_be16(b, 0x55c4); /* "und" */
	buf_be16(b, 0);
	box_end(b, at);
	box_handler(b, t->video);
}

static void
put_minf(struct buf *b, const struct track *t)
{
	box_media(b, t->video);
}

static void
put_stsd(struct buf *b, const struct track *t)
{
	size_t at = box_full(b, "stsd", 0, 0);
	int i;

	buf_be32(b, (uint32_t)t->nentries);
	for (i = 0; i < t->nentries; i++)
		buf_append(b, buf_data(&t->entries[i]), buf_len(&t->entries[i]));
	box_end(b, at);
}

/* Rows of equal values: stts over dur, ctts over cts.  put: write them, else count. */
static uint64_t
put_runs(struct mp4_writer *w, struct track *t, bool cts, bool put)
{
	uint32_t value = 0, run = 0;
	uint64_t rows = 0;
	const void *p;
	int r;

	rows_rewind(t->samples);
	while ((r = rows_next(t->samples, &p)) > 0) {
		const struct mp4_out_sample *s = p;
		uint32_t v = cts ? (uint32_t)s->cts : s->dur;

		if (run && v == value) {
			run++;
			continue;
		}
		if (run && put) {
			buf_be32(&w->out, run);
			buf_be32(&w->out, value);
			hand_on(w, FLUSH);
		}
		value = v;
		run = 1;
		rows++;
	}
	if (run && put) {
		buf_be32(&w->out, run);
		buf_be32(&w->out, value);
	}
	if (r < 0 && !w->error)
		w->error = r;
	return rows;
}

/* Chunks of one number of samples and one entry after another: a row. */
static uint64_t
put_stsc(struct mp4_writer *w, struct track *t, bool put)
{
	struct chunk last = { 0 };
	uint64_t rows = 0;
	uint32_t n = 0;
	const void *p;
	int r;

	rows_rewind(t->chunks);
	while ((r = rows_next(t->chunks, &p)) > 0) {
		const struct chunk *c = p;

		n++;
		if (c->samples == last.samples && c->entry == last.entry)
			continue;
		last = *c;
		rows++;
		if (!put)
			continue;
		buf_be32(&w->out, n);
		buf_be32(&w->out, c->samples);
		buf_be32(&w->out, c->entry);
		hand_on(w, FLUSH);
	}
	if (r < 0 && !w->error)
		w->error = r;
	return rows;
}

static void
measure(struct mp4_writer *w, struct track *t)
{
	const void *p;
	int r;

	t->times = put_runs(w, t, false, false);
	t->offsets = put_runs(w, t, true, false);
	t->runs = put_stsc(w, t, false);
	t->keys = 0;
	t->negative = false;
	rows_rewind(t->samples);
	if (t->offsets == 1 && rows_next(t->samples, &p) > 0 && !((const struct mp4_out_sample *)p)->cts)
		t->offsets = 0; /* presented as they are decoded: no table */
	rows_rewind(t->samples);
	while ((r = rows_next(t->samples, &p)) > 0) {
		const struct mp4_out_sample *s = p;

		t->keys += s->key != 0;
		t->negative |= s->cts < 0;
	}
	if (r < 0 && !w->error)
		w->error = r;
}

static bool
has_stss(const struct track *t)
{
	return t->keys != rows_count(t->samples);
}

/* The sizes of stbl, minf, mdia and trak follow from the tables'. */
struct sizes {
	uint64_t stbl, minf, mdia, trak;
};

static size_t
length_of(void (*put)(struct buf *, const struct track *), const struct track *t)
{
	struct buf b = { 0 };
	size_t n;

	put(&b, t);
	n = buf_len(&b);
	buf_free(&b);
	return n;
}

static struct sizes
sizes_of(const struct mp4_writer *w, const struct track *t)
{
	struct sizes s;

	s.stbl = 8 + length_of(put_stsd, t) + 16 + 8 * t->times + (t->offsets ? 16 + 8 * t->offsets : 0) +
		(has_stss(t) ? 16 + 4 * t->keys : 0) + 16 + 12 * t->runs + 20 +
		4 * rows_count(t->samples) + 16 + (w->wide ? 8 : 4) * rows_count(t->chunks);
	s.minf = 8 + length_of(put_minf, t) + s.stbl;
	s.mdia = 8 + length_of(put_media, t) + s.minf;
	s.trak = 8 + 104 + 8 + 16 + 20u * (t->empty ? 2 : 1) + s.mdia;
	return s;
}

static void
put_ftyp(struct buf *b)
{
	size_t at = box_begin(b, "ftyp");

	buf_append(b, "isom\0\0\2\0isomiso2mp41", 20);
	box_end(b, at);
}

int
mp4_writer_layout(struct mp4_writer *w, uint64_t *size)
{
	int i;

	for (i = 0; i < w->count; i++)
		measure(w, &w->track[i]);
	w->wide = false;
	for (;;) {
		w->moov = 8 + 120;
		for (i = 0; i < w->count; i++)
			if (has_media(&w->track[i]))
				w->moov += sizes_of(w, &w->track[i]).trak;
		w->moov += w->nchapters ? 8 + 12 + 5 + buf_len(&w->chapters) : 0;
		w->front = 28 + w->moov + (w->payload + 8 > UINT32_MAX ? 16 : 8);
		if (w->wide || w->front + w->payload <= UINT32_MAX)
			break;
		w->wide = true;
	}
	*size = w->front + w->payload;
	if (w->chapters.error && !w->error)
		w->error = w->chapters.error;
	return w->error ? w->error : w->moov > UINT32_MAX ? -EMSGSIZE : 0;
}

static void
put_chapters(struct buf *b, const struct mp4_writer *w)
{
	size_t udta = box_begin(b, "udta"), chpl = box_full(b, "chpl", 1, 0);

	buf_be32(b, 0);
	buf_u8(b, (unsigned)w->nchapters);
	buf_append(b, buf_data(&w->chapters), buf_len(&w->chapters));
	box_end(b, chpl);
	box_end(b, udta);
}

static void
put_sizes(struct mp4_writer *w, struct track *t)
{
	const void *p;
	int r;

	buf_be32(&w->out, (uint32_t)(20 + 4 * rows_count(t->samples)));
	buf_append(&w->out, "stsz\0\0\0\0\0\0\0\0", 12);
	buf_be32(&w->out, (uint32_t)rows_count(t->samples));
	rows_rewind(t->samples);
	while ((r = rows_next(t->samples, &p)) > 0) {
		buf_be32(&w->out, ((const struct mp4_out_sample *)p)->size);
		hand_on(w, FLUSH);
	}
	if (r < 0 && !w->error)
		w->error = r;
}

static void
put_keys(struct mp4_writer *w, struct track *t)
{
	uint32_t n = 0;
	const void *p;
	int r;

	table(&w->out, "stss", 0, t->keys, 4);
	rows_rewind(t->samples);
	while ((r = rows_next(t->samples, &p)) > 0) {
		n++;
		if (((const struct mp4_out_sample *)p)->key)
			buf_be32(&w->out, n);
		hand_on(w, FLUSH);
	}
	if (r < 0 && !w->error)
		w->error = r;
}

static void
put_offsets(struct mp4_writer *w, struct track *t)
{
	const void *p;
	int r;

	table(&w->out, w->wide ? "co64" : "stco", 0, rows_count(t->chunks), w->wide ? 8 : 4);
	rows_rewind(t->chunks);
	while ((r = rows_next(t->chunks, &p)) > 0) {
		uint64_t at = w->front + ((const struct chunk *)p)->offset;

		if (w->wide)
			buf_be64(&w->out, at);
		else
			buf_be32(&w->out, (uint32_t)at);
		hand_on(w, FLUSH);
	}
	if (r < 0 && !w->error)
		w->error = r;
}

static void
container(struct buf *b, const char *type, uint64_t size)
{
	buf_be32(b, (uint32_t)size);
	buf_append(b, type, 4);
}

static void
put_track(struct mp4_writer *w, int i)
{
	struct track *t = &w->track[i];
	struct sizes s = sizes_of(w, t);
	struct buf *b = &w->out;

	container(b, "trak", s.trak);
	put_tkhd(b, t, i);
	put_edits(b, t);
	container(b, "mdia", s.mdia);
	put_media(b, t);
	container(b, "minf", s.minf);
	box_media(b, t->video);
	container(b, "stbl", s.stbl);
	put_stsd(b, t);
	table(b, "stts", 0, t->times, 8);
	put_runs(w, t, false, true);
	if (t->offsets) {
		table(b, "ctts", t->negative, t->offsets, 8);
		put_runs(w, t, true, true);
	}
	if (has_stss(t))
		put_keys(w, t);
	table(b, "stsc", 0, t->runs, 12);
	put_stsc(w, t, true);
	put_sizes(w, t);
	put_offsets(w, t);
}

int
mp4_writer_head(struct mp4_writer *w, mp4_emit_fn *emit, void *arg)
{
	int i;

	w->emit = emit;
	w->arg = arg;
	put_ftyp(&w->out);
	container(&w->out, "moov", w->moov);
	put_mvhd(&w->out, w);
	for (i = 0; i < w->count; i++)
		if (has_media(&w->track[i]))
			put_track(w, i);
	if (w->nchapters)
		put_chapters(&w->out, w);
	if (w->payload + 8 > UINT32_MAX) {
		buf_be32(&w->out, 1);
		buf_append(&w->out, "mdat", 4);
		buf_be64(&w->out, w->payload + 16);
	} else {
		container(&w->out, "mdat", w->payload + 8);
	}
	hand_on(w, 1);
	return w->error;
}
