#include "mp4write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mp4write_parts.h"

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
