#include "mp4write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "buf.h"
#include "rows.h"

#define FLUSH 65536 /* bytes of a table that are handed on together */

struct chunk {
	uint64_t offset; /* in mdat, after its head */
	uint32_t samples, entry;
};

struct track {
	bool video, negative; /* negative: composition times before decoding times */
	uint32_t timescale;
	int width, height;
	struct buf entries[MP4_OUT_ENTRIES];
	int nentries;
	struct rows *samples, *chunks;
	int64_t dur, empty, media_time, shown; /* shown: the edit's length */
	/* What layout counted. */
	uint64_t times, offsets, keys, runs; /* of stts, ctts, stss and stsc */
};

struct mp4_writer {
	uint32_t timescale;
	struct track track[MP4_OUT_TRACKS];
	int count;
	struct buf chapters;
	int nchapters;
	uint64_t payload, moov, front; /* front: bytes before the payload */
	bool wide; /* offsets of 64 bits */
	struct buf out; /* being handed on */
	mp4_emit_fn *emit;
	void *arg;
	int error;
};

int
mp4_writer_new(struct mp4_writer **out, const char *folder, uint32_t timescale)
{
	struct mp4_writer *w = calloc(1, sizeof(*w));
	int i, r = 0;

	if (!w)
		return -ENOMEM;
	w->timescale = timescale;
	for (i = 0; !r && i < MP4_OUT_TRACKS; i++) {
		r = rows_new(&w->track[i].samples, folder, sizeof(struct mp4_out_sample));
		if (!r)
			r = rows_new(&w->track[i].chunks, folder, sizeof(struct chunk));
	}
	*out = w;
	if (r < 0)
		mp4_writer_free(out);
	return r;
}

int
mp4_writer_track(struct mp4_writer *w, bool video, uint32_t timescale, int width, int height)
{
	struct track *t = &w->track[w->count];

	if (w->count == MP4_OUT_TRACKS)
		return -EMSGSIZE;
	t->video = video;
	t->timescale = timescale;
	t->width = width;
	t->height = height;
	return w->count++;
}

int
mp4_writer_entry(struct mp4_writer *w, int track, const uint8_t *entry, size_t n)
{
	struct track *t = &w->track[track];
	int i;

	for (i = 0; i < t->nentries; i++)
		if (buf_len(&t->entries[i]) == n && !memcmp(buf_data(&t->entries[i]), entry, n))
			return i;
	if (t->nentries == MP4_OUT_ENTRIES)
		return -EMSGSIZE;
	if (buf_append(&t->entries[t->nentries], entry, n) < 0)
		return -ENOMEM;
	return t->nentries++;
}

int
mp4_writer_sample(struct mp4_writer *w, int track, const struct mp4_out_sample *s)
{
	struct track *t = &w->track[track];

	if (rows_count(t->samples) == UINT32_MAX)
		return -EMSGSIZE;
	t->dur += s->dur;
	return rows_add(t->samples, s);
}

void
mp4_writer_stretch(struct mp4_writer *w, int track, uint32_t dur)
{
	struct track *t = &w->track[track];
	struct mp4_out_sample *s = rows_last(t->samples);

	if (!s)
		return;
	t->dur += (int64_t)dur - s->dur;
	s->dur = dur;
}

int
mp4_writer_chunk(struct mp4_writer *w, int track, int entry, uint32_t samples, uint64_t bytes)
{
	struct chunk c = { w->payload, samples, (uint32_t)entry + 1 };

	if (rows_count(w->track[track].chunks) == UINT32_MAX)
		return -EMSGSIZE;
	w->payload += bytes;
	return rows_add(w->track[track].chunks, &c);
}

void
mp4_writer_edit(struct mp4_writer *w, int track, int64_t empty, int64_t media_time, int64_t dur)
{
	w->track[track].empty = empty;
	w->track[track].media_time = media_time;
	w->track[track].shown = dur;
}

void
mp4_writer_chapter(struct mp4_writer *w, double at_s, const char *title)
{
	size_t n = strlen(title);

	if (w->nchapters == MP4_OUT_CHAPTERS || n > 255)
		return;
	w->nchapters++;
	buf_be64(&w->chapters, (uint64_t)(at_s * 1e7 + 0.5));
	buf_u8(&w->chapters, (unsigned)n);
	buf_append(&w->chapters, title, n);
}

uint64_t
mp4_writer_samples(const struct mp4_writer *w, int track)
{
	return rows_count(w->track[track].samples);
}

int64_t
mp4_writer_duration(const struct mp4_writer *w, int track)
{
	return w->track[track].dur;
}

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
	static const char names[2][9] = { "lv audio", "lv video" };
	size_t at = box_full(b, "mdhd", 1, 0);

	box_zeros(b, 16);
	buf_be32(b, t->timescale);
	buf_be64(b, (uint64_t)t->dur);
	buf_be16(b, 0x55c4); /* "und" */
	buf_be16(b, 0);
	box_end(b, at);
	at = box_full(b, "hdlr", 0, 0);
	buf_be32(b, 0);
	buf_append(b, t->video ? "vide" : "soun", 4);
	box_zeros(b, 12);
	buf_append(b, names[t->video], sizeof(names[0]));
	box_end(b, at);
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

void
mp4_writer_free(struct mp4_writer **w)
{
	int i, j;

	if (!*w)
		return;
	for (i = 0; i < MP4_OUT_TRACKS; i++) {
		struct track *t = &(*w)->track[i];

		rows_free(&t->samples);
		rows_free(&t->chunks);
		for (j = 0; j < t->nentries; j++)
			buf_free(&t->entries[j]);
	}
	buf_free(&(*w)->out);
	buf_free(&(*w)->chapters);
	free(*w);
	*w = NULL;
}
