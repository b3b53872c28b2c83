#include "playlist.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m3u8.h"
#include "media.h"
#include "place.h"

#define STEP_MS 100     /* a larger step between segments is a discontinuity */
#define PEAK_LEAST_MS 500 /* a shorter segment says nothing of a rate */

struct list { /* a track */
	const struct listing *from;
	struct media media;
	size_t at; /* the next segment */
	bool picture, loaded, gaps;
	const char *map;
	struct buf body;
	int64_t end; /* where the last one ended, in its timescale */
	int64_t bytes, us, peak, frames;
	char codec[CODEC_TEXT];
	struct codec about;
};

static int64_t
smallest(const struct list *l, int n)
{
	int64_t least = INT64_MAX;
	int i;

	for (i = 0; i < n; i++)
		if (l[i].at < l[i].from->count && l[i].from->segment[l[i].at].n < least)
			least = l[i].from->segment[l[i].at].n;
	return least;
}

static int64_t
lasts_us(const struct media *m)
{
	const struct mp4_sample *last = &m->sample[m->count - 1];

	return rescale(last->dts + last->dur - m->sample->dts, m->track->timescale, 1000000);
}

/* Loads the segment of a cut, if the track has it: does it go on where the last one ended? */
static int
load(struct list *l, int64_t n, bool *broken)
{
	const struct segment *s = &l->from->segment[l->at];
	int64_t step;
	int e;

	l->loaded = false;
	if (l->at == l->from->count || s->n != n)
		return 0;
	l->at++;
	if (s->gap)
		return 0;
	if ((e = media_load(&l->media, s)) < 0 || l->media.truncated)
		return media_is_lost(e) ? e : 0;
	l->loaded = true;
	step = rescale(l->media.sample->dts - l->end, l->media.track->timescale, 1000);
	*broken |= s->discontinuity || (l->frames && (step > STEP_MS || step < -STEP_MS)) ||
		(l->map && s->init && strcmp(l->map, s->init));
	l->end = l->media.sample[l->media.count - 1].dts + l->media.sample[l->media.count - 1].dur;
	return 1;
}

/* One of the tracks says of a cut what all have: its length, its clock, and a name for those that lack it. */
static void
put_cut(struct list *l, const struct segment *cut, int64_t us, bool broken)
{
	const struct segment *s = l->loaded ? &l->from->segment[l->at - 1] : cut;
	struct m3u8_segment out = { .uri = s->file, .dur_us = us, .wall_ms = cut->wall_ms, .discontinuity = broken,
		.gap = !l->loaded };
	int64_t bits;

	if (l->loaded && s->init && (!l->map || strcmp(l->map, s->init)))
		out.map = l->map = s->init;
	m3u8_segment(&l->body, &out);
	if (!l->loaded) {
		l->gaps = true;
		if (l->frames) /* a gap has its time, and breaks nothing */
			l->end += rescale(us, 1000000, l->media.track ? l->media.track->timescale : 1);
		return;
	}
	bits = l->media.file_bytes * 8 * 1000000 / us;
	if (bits > l->peak && (us >= PEAK_LEAST_MS * 1000 || !l->peak))
		l->peak = bits;
	l->bytes += l->media.file_bytes;
	l->us += us;
	if (!l->frames && media_codec(&l->media, &l->about) == 0)
		codec_text(l->codec, &l->about);
	l->frames += (int64_t)l->media.count;
}

static int
put_list(const struct list *l, const char *folder, int target_s)
{
	const struct m3u8_list head = { .version = l->gaps ? M3U8_GAPS : l->map ? 6 : 3, .target_s = target_s, .vod = true, .whole = true,
		.independent = true };
	struct buf b = { 0 };
	char *path;
	int r;

	if (!l->frames)
		return 0;
	m3u8_begin(&b, &head);
	buf_append(&b, buf_data(&l->body), buf_len(&l->body));
	m3u8_end(&b);
	if (asprintf(&path, "%s/vod.m3u8", l->from->name) < 0)
		return -ENOMEM;
	r = b.error ? b.error : place_put(folder, path, buf_data(&b), buf_len(&b));
	free(path);
	buf_free(&b);
	return r;
}

/* The sound that plays beside a picture: its group, or nothing where it lies in the same files. */
static const struct list *
sound_of(const struct rungs *r, const struct list *lists, int n, const struct list *picture)
{
	struct rung rung;
	int i;

	if (rungs_choose(r, picture->from->name, NULL, &rung) < 0 || !rung.sound)
		return NULL;
	for (i = 0; i < n; i++)
		if (lists[i].from == rung.sound && !lists[i].picture && lists[i].frames)
			return &lists[i];
	return NULL;
}

static void
put_variant(struct buf *b, const struct list *l, const struct list *sound, bool both)
{
	struct m3u8_variant v = { .bandwidth = l->peak, .average = l->us ? l->bytes * 8 * 1000000 / l->us : 1,
		.width = l->picture ? l->media.track->width : 0, .height = l->picture ? l->media.track->height : 0,
		.fps = l->picture && l->us ? (double)l->frames * 1e6 / (double)l->us : 0 };
	char uri[1024], codecs[2 * CODEC_TEXT + 16];

	snprintf(uri, sizeof(uri), "%s/vod.m3u8", l->from->name);
	snprintf(codecs, sizeof(codecs), "%s%s%s", l->codec, sound ? "," : both ? ",mp4a.40.2" : "",
		sound ? sound->codec : "");
	v.uri = uri;
	v.codecs = codecs;
	if (sound) {
		v.audio = sound->from->name;
		v.bandwidth += sound->peak;
		v.average += sound->bytes * 8 * 1000000 / (sound->us ? sound->us : 1);
	}
	if (v.average > v.bandwidth)
		v.bandwidth = v.average;
	m3u8_variant(b, &v);
}

static int
put_master(const struct rungs *r, const struct list *lists, int n, const char *folder)
{
	struct buf b = { 0 };
	bool pictures = false;
	char uri[1024];
	int i, e;

	m3u8_master(&b, M3U8_MASTER, true);
	for (i = 0; i < n; i++)
		pictures |= lists[i].picture && lists[i].frames;
	for (i = 0; pictures && i < n; i++) {
		if (lists[i].picture || !lists[i].frames)
			continue;
		snprintf(uri, sizeof(uri), "%s/vod.m3u8", lists[i].from->name);
		m3u8_audio(&b, lists[i].from->name, uri, lists[i].about.channels ? lists[i].about.channels : 2);
	}
	for (i = 0; i < n; i++)
		if (lists[i].frames && lists[i].picture == pictures)
			put_variant(&b, &lists[i], pictures ? sound_of(r, lists, n, &lists[i]) : NULL,
				pictures && r->about[lists[i].from - r->archive->listing].sound);
	e = b.error ? b.error : place_put(folder, "vod.m3u8", buf_data(&b), buf_len(&b));
	buf_free(&b);
	return e;
}

/* All of an archive's segments lie in folders TRACK below it. */
static bool
lies_in(const struct listing *l, const char *folder)
{
	size_t n = strlen(folder), i;

	for (i = 0; i < l->count; i++) {
		const char *f = l->segment[i].folder;

		if (i && f == l->segment[i - 1].folder)
			continue;
		if (strncmp(f, folder, n) || f[n] != '/' || strcmp(f + n + 1, l->name))
			return false;
	}
	return true;
}

static int
cut(struct list *lists, int n, int64_t number, bool *broken, int64_t *longest, int64_t *total)
{
	const struct segment *s = NULL;
	int64_t us = 0;
	int i, e;

	for (i = 0; i < n; i++) {
		if ((e = load(&lists[i], number, broken)) < 0)
			return e;
		if (!e)
			continue;
		/* The first picture tells the length, where the journal does not. */
		if (!s || (lists[i].picture && us == 0)) {
			s = &lists[i].from->segment[lists[i].at - 1];
			us = s->dur_us > 0 ? s->dur_us : lasts_us(&lists[i].media);
		}
	}
	if (!s || us <= 0) { /* nobody has it: what comes next does not follow */
		*broken = true;
		return 0;
	}
	for (i = 0; i < n; i++)
		put_cut(&lists[i], s, us, *broken && *total);
	*broken = false;
	*total += us;
	if (us > *longest)
		*longest = us;
	return 0;
}

int
playlist_write(const struct rungs *r, const char *folder, int64_t *dur_ms)
{
	struct list *lists = calloc(LISTINGS_MAX, sizeof(*lists));
	struct media_stream *streams = calloc(LISTINGS_MAX, sizeof(*streams));
	int n = 0, i, e = lists && streams ? 0 : -ENOMEM;
	int64_t number, longest = 0, total = 0;
	bool broken = false;

	for (i = 0; !e && i < r->archive->listings; i++) {
		if (!r->about[i].picture && !r->about[i].sound)
			continue;
		lists[n].from = &r->archive->listing[i];
		lists[n].picture = r->about[i].picture;
		media_new(&lists[n].media, lists[n].picture, &streams[n]);
		if (!lies_in(lists[n++].from, folder))
			e = -EXDEV;
	}
	while (!e && (number = smallest(lists, n)) != INT64_MAX)
		e = cut(lists, n, number, &broken, &longest, &total);
	if (!e && !total)
		e = -ENODATA;
	for (i = 0; !e && i < n; i++)
		e = put_list(&lists[i], folder, (int)((longest + 500000) / 1000000));
	if (!e)
		e = put_master(r, lists, n, folder);
	for (i = 0; i < n; i++) {
		media_free(&lists[i].media);
		media_stream_free(&streams[i]);
		buf_free(&lists[i].body);
	}
	free(lists);
	free(streams);
	*dur_ms = total / 1000;
	return e;
}
