/* Segmenter: a track's part of a segment becomes a file. */
#include "segmenter_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "fmp4.h"

static bool
is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -EIO || r == -ENOMEM;
}

void
seg_failed(struct segmenter *g, int r, const char *path)
{
	struct event e;

	if (!g->full) {
		complain(r, "cannot write %s/%s", g->how.dir, path);
		event_begin(&e, is_full(r) ? "disk.full" : "write.failed");
		event_str(&e, "path", path);
		event_str(&e, "reason", strerror(-r));
		event_send(&e);
	}
	g->full = r;
}

void
seg_recovered(struct segmenter *g)
{
	struct event e;

	if (!g->full)
		return;
	g->full = 0;
	warning(0, "writing to %s works again", g->how.dir);
	event_begin(&e, "write.recovered");
	event_send(&e);
}

static void
put_init(struct segmenter *g, struct strand *k)
{
	struct fmp4_track t = { .video = k->video,
		.timescale = k->video ? HZ : (uint32_t)k->codec.rate,
		.codec = &k->codec,
		.config = k->config,
		.config_size = k->config_size };
	char name[NAME + 32], path[2 * NAME + 64];
	struct buf b = { 0 };
	bool copied;
	int r;

	if (g->how.ts) {
		if ((r = file_folder(g->dir, k->name)) < 0 ||
			(g->archive >= 0 && (r = file_folder(g->archive, k->name)) < 0))
			seg_failed(g, r, k->name);
		else
			memcpy(k->init, NO_INIT, sizeof(NO_INIT));
		return;
	}
	do { /* a number that a process before us has used is not used again */
		snprintf(name, sizeof(name), "init-%s-%" PRId64 "-%d.mp4", g->broadcast, g->epoch,
			++g->inits);
		snprintf(path, sizeof(path), "%s/%s", k->name, name);
	} while (faccessat(g->dir, path, F_OK, 0) == 0);
	r = fmp4_init(&b, &t);
	if (!r)
		r = file_folder(g->dir, k->name);
	if (!r)
		r = file_put(g->dir, path, false, buf_data(&b), buf_len(&b));
	if (!r && g->archive >= 0) {
		file_folder(g->archive, k->name);
		r = file_link(g->dir, path, g->archive, path, &copied);
	}
	if (r < 0)
		seg_failed(g, r, path);
	else
		memcpy(k->init, name, sizeof(name));
	buf_free(&b);
}

static void
archive_segment(struct segmenter *g, const struct strand *k, const struct segment *s,
	const struct entry *e, const char *path)
{
	char text[1024], when_text[CLOCK_TEXT];
	bool copied = false;
	struct json j;
	int n, r = 0;

	if (g->archive < 0)
		return;
	if (!e->gap)
		r = file_link(g->dir, path, g->archive, path, &copied);
	if (copied && !g->copying) {
		g->copying = true;
		warning(0, "%s cannot hold links to %s: its segments are copies", g->how.archive,
			g->how.dir);
	}
	json_begin(&j, text, sizeof(text) - 1);
	json_int(&j, "n", s->n);
	json_str(&j, "track", k->name);
	json_str(&j, "init", strcmp(e->init, NO_INIT) ? e->init : NULL);
	json_str(&j, "file", strchr(path, '/') + 1);
	json_int(&j, "pts_ms", s->pts / 90);
	json_int(&j, "dur_us", s->dur * 100 / 9);
	json_str(&j, "wall_clock", clock_text(when_text, s->wall_ms));
	json_int(&j, "wall_ms", s->wall_ms);
	json_bool(&j, "discontinuity", s->discontinuity);
	json_bool(&j, "gap", e->gap);
	json_str(&j, "session", *g->session ? g->session : NULL);
	json_int(&j, "bytes", e->bytes);
	n = json_end(&j);
	if (!r && n > 0) {
		text[n++] = '\n';
		r = file_append(g->archive, "segments.ndjson", text, (size_t)n);
	}
	if (r < 0)
		seg_failed(g, r, path);
}

void
seg_drop_samples(struct strand *k, size_t n)
{
	size_t bytes = 0, i;

	if (!n)
		return;
	for (i = 0; i < n; i++)
		bytes += k->samples[i].size;
	buf_consume(&k->data, bytes);
	k->count -= n;
	memmove(k->samples, k->samples + n, k->count * sizeof(*k->samples));
}

void
seg_drop_cues(struct segmenter *g, int64_t before)
{
	size_t bytes = 0;
	int i, n = 0;

	for (i = 0; i < g->cues; i++)
		if (g->cue[i].pts >= before)
			break;
		else
			bytes += g->cue[i].size;
	for (; i < g->cues; i++)
		g->cue[n++] = g->cue[i];
	g->cues = n;
	buf_consume(&g->cued, bytes);
}

/* What was said while the segment lasts, beside the picture, or the sound where there is none. */
static void
put_cues(struct segmenter *g, struct strand *k, const struct segment *s, struct buf *b)
{
	const uint8_t *at = buf_data(&g->cued);
	int i;

	for (i = 0; i < g->cues && g->cue[i].pts < s->pts + s->dur; at += g->cue[i++].size) {
		int64_t pts = g->cue[i].pts < s->pts ? s->pts : g->cue[i].pts;

		if (g->how.ts)
			ts_id3(b, &k->ts, pts, at, g->cue[i].size);
		else
			fmp4_id3(b, HZ, pts, g->cue[i].id, at, g->cue[i].size);
	}
}

static bool
carries_cues(const struct segmenter *g, const struct strand *k)
{
	return k->video || !g->strand[g->leader].video;
}

/* The frames of a part of fragmented MP4. */
static int
fill_fmp4(struct segmenter *g, struct strand *k, const struct segment *s, size_t count, struct buf *b)
{
	struct fmp4_sample *out = calloc(count, sizeof(*out));
	size_t i;
	int r;

	if (!out)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		const struct sample *at = &k->samples[i];
		int64_t dur = i + 1 < k->count ? at[1].dts - at->dts : k->last_dur;

		if (dur <= 0 || dur > UINT32_MAX)
			dur = k->last_dur > 0 ? k->last_dur : 1;
		if (i + 1 < k->count)
			k->last_dur = dur;
		out[i] = (struct fmp4_sample){ at->size, (uint32_t)dur, (int32_t)(at->pts - at->dts),
			at->key };
	}
	fmp4_styp(b);
	if (carries_cues(g, k))
		put_cues(g, k, s, b);
	r = fmp4_part(b, ++k->parts, k->video, k->samples[0].dts < 0 ? 0 : k->samples[0].dts, out, count,
		buf_data(&k->data));
	free(out);
	return r;
}

/* A few frames of sound from the i-th on, before the time given: how many were written. */
static size_t
put_sound(struct strand *k, struct strand *a, size_t i, size_t count, int64_t before,
	const uint8_t **data, struct buf *b)
{
	uint32_t sizes[TS_AUDIO_MAX];
	size_t n = 0, bytes = 0;

	while (n < TS_AUDIO_MAX && i + n < count && to_hz(a, a->samples[i + n].dts) < before) {
		sizes[n] = a->samples[i + n].size;
		bytes += sizes[n++];
	}
	if (n && ts_audio(b, &k->ts, to_hz(a, a->samples[i].dts), &a->codec.aac, sizes, n, *data) < 0 && !b->error)
		b->error = -EBADMSG;
	*data += bytes;
	return n;
}

/* A segment of a transport stream: the track's frames, and those of the sound that it carries. */
static int
fill_ts(struct segmenter *g, struct strand *k, const struct segment *s, size_t count, struct strand *a, size_t heard,
	struct buf *b)
{
	const uint8_t *data = buf_data(&k->data), *sound = a ? buf_data(&a->data) : NULL;
	size_t i, j = 0;
	int r;

	k->ts.video = k->video;
	k->ts.audio = a != NULL;
	k->ts.id3 |= g->cues > 0; /* and from then on */
	if ((r = ts_tables(b, &k->ts)) < 0)
		return r;
	if (carries_cues(g, k))
		put_cues(g, k, s, b);
	for (i = 0; k->video && i < count; data += k->samples[i++].size) {
		const struct sample *at = &k->samples[i];

		/* Sound leaves when so much of it is there that a packet of its own is worth it. */
		while (j < heard && to_hz(a, a->samples[j].dts) + TS_GATHER <= at->dts)
			j += put_sound(k, a, j, heard, at->dts, &sound, b);
		if ((r = ts_video(b, &k->ts, at->pts, at->dts, at->key, k->config, k->config_size,
			     k->codec.nal_len, data, at->size)) < 0)
			return r;
		if (i + 1 < count && at[1].dts > at->dts)
			k->last_dur = at[1].dts - at->dts;
	}
	while (j < heard)
		j += put_sound(k, a, j, heard, INT64_MAX, &sound, b);
	return b->error;
}

/* In a transport stream sound lies beside its picture: who has no segments of its own. */
static bool
is_carried(const struct segmenter *g, const struct strand *k)
{
	int i;

	if (!g->how.ts || k->video)
		return false;
	for (i = 0; i < g->strands; i++)
		if (g->strand[i].video && g->strand[i].known)
			return true;
	return false;
}

/* From the first picture that is shown to the last; the first DTS of a run may lie close together. */
static int64_t
shown_span(const struct strand *k, size_t count)
{
	int64_t low = k->samples[0].pts, high = low;
	size_t i;

	for (i = 1; i < count; i++) {
		low = k->samples[i].pts < low ? k->samples[i].pts : low;
		high = k->samples[i].pts > high ? k->samples[i].pts : high;
	}
	return high - low;
}

/* Somebody removed the track's folder: there is a new one, and what is listed of the old is a gap. */
static void
make_again(struct segmenter *g, int track)
{
	struct strand *k = &g->strand[track];
	int i;

	warning(0, "%s/%s was removed: what was in it is gone", g->how.dir, k->name);
	seg_open_again(g);
	for (i = 0; i < g->listed; i++)
		g->list[i].entry[track] = (struct entry){ .gap = true };
	k->init[0] = '\0';
}

/* A track's part of the segment, of the first counts[] frames of each, becomes a file. */
void
seg_put_media(struct segmenter *g, int track, struct segment *s, const size_t *counts)
{
	struct strand *k = &g->strand[track], *a;
	size_t count = counts[track];
	struct entry *e = &s->entry[track];
	char path[2 * NAME + 64];
	struct buf b = { 0 };
	struct event ev;
	int r = 0, gaps = k->gaps;

	if (!k->known || is_carried(g, k))
		return;
	snprintf(path, sizeof(path), "%s/%s", k->name, s->file);
	/* Every picture but the leader's has to begin with a key frame, or it is not shown. */
	e->gap = !count || (k->video && track != g->leader && !k->samples[0].key);
	k->gaps = e->gap ? gaps + 1 : 0;
	g->master_due |= (gaps >= UNFIT) != (k->gaps >= UNFIT);
	if (k->video && count && e->gap && k->gaps == UNFIT && !k->unfit && g->strand[g->leader].video) {
		k->unfit = g->master_due = true;
		warning(0, "%s has no key frame where the others have: off the master playlist", k->name);
		event_begin(&ev, "rung.unfit");
		event_str(&ev, "rung", k->name);
		event_str(&ev, "reason", "segments do not begin with a key frame");
		event_send(&ev);
	}
	if (*k->init && faccessat(g->dir, k->name, F_OK, 0) < 0 && errno == ENOENT)
		make_again(g, track);
	if (!*k->init && (!k->video || k->codec.width)) /* else no key frame has told its size yet */
		put_init(g, k);
	if (!*k->init)
		e->gap = true;
	memcpy(e->init, k->init, sizeof(e->init));
	if (!e->gap && g->how.ts) {
		a = k->video ? seg_sound_of(g, k) : k;
		r = fill_ts(g, k, s, k->video ? count : 0, a, a ? counts[a - g->strand] : 0, &b);
	} else if (!e->gap) {
		r = fill_fmp4(g, k, s, count, &b);
	}
	if (!r && !e->gap)
		r = b.error ? b.error : file_put(g->dir, path, false, buf_data(&b), buf_len(&b));
	if (r < 0) {
		seg_failed(g, r, path);
		e->gap = true;
	} else if (!e->gap) {
		e->bytes = (int64_t)buf_len(&b);
		seg_recovered(g);
		g->wrote = true;
		event_begin(&ev, "segment.written");
		event_str(&ev, "track", k->name);
		event_int(&ev, "seq", s->n);
		event_str(&ev, "path", path);
		event_int(&ev, "pts_ms", s->pts / 90);
		event_int(&ev, "dur_ms", s->dur / 90);
		event_int(&ev, "size_bytes", e->bytes);
		event_send(&ev);
		if (s->dur > 0) {
			int64_t bps = e->bytes * 8 * HZ / s->dur;

			if (bps > k->peak_bps && (s->dur >= MS(500) || !k->peak_bps))
				k->peak_bps = bps;
			k->bytes += e->bytes;
			k->ticks += s->dur;
		}
		if (k->video && !(k->fps > 0) && count > 1) {
			int64_t span = shown_span(k, count);

			k->fps = span > 0 ? (double)(count - 1) * HZ / (double)span : 0;
		}
	}
	if (e->gap) {
		event_begin(&ev, "segment.missing");
		event_str(&ev, "track", k->name);
		event_int(&ev, "seq", s->n);
		event_int(&ev, "dur_ms", s->dur / 90);
		event_send(&ev);
	}
	if (*e->init)
		archive_segment(g, k, s, e, path);
	buf_free(&b);
}
