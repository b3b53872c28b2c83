/* Segmenter: playlists, and the archive's from its journal. */
#include "segmenter_parts.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "m3u8.h"

void
seg_write_stream(struct segmenter *g, bool live)
{
	char text[1024], when_text[CLOCK_TEXT];
	struct json j;
	int n, r;

	json_begin(&j, text, sizeof(text) - 1);
	json_str(&j, "stream", *g->stream ? g->stream : NULL);
	json_str(&j, "broadcast", g->broadcast);
	json_str(&j, "started_at", clock_text(when_text, g->started_ms));
	json_int(&j, "origin_ms", g->origin_ms);
	json_bool(&j, "live", live);
	if ((n = json_end(&j)) < 0)
		return;
	text[n++] = '\n';
	if ((r = file_put(g->dir, "stream.json", true, text, (size_t)n)) < 0)
		seg_failed(g, r, "stream.json");
	if (g->archive >= 0 && (r = file_put(g->archive, "broadcast.json", true, text, (size_t)n)) < 0)
		seg_failed(g, r, "broadcast.json");
}

static int
version(const struct segmenter *g)
{
	return g->how.ts ? 3 : 6; /* EXT-X-MAP */
}

static double
frame_rate(const struct strand *k)
{
	static const int near[] = { 5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120 };
	double f = k->codec.fps > 0 ? k->codec.fps : k->fps, d;
	size_t i;

	if (k->told.fps > 0 && (k->told.fps < f || f <= 0))
		f = k->told.fps;
	if (k->fps > 0 && (f > 1.05 * k->fps || f < 0.95 * k->fps))
		f = k->fps; /* what was seen wins over what was said */
	for (i = 0; i < sizeof(near) / sizeof(*near); i++) {
		d = f / near[i];
		if (d > 0.9996 && d < 1.003)
			return near[i];
		if (d > 0.9986 && d <= 0.9996)
			return near[i] * 1000 / 1001.0;
	}
	return f;
}

static bool
shares_rung(const struct strand *v, const struct strand *a)
{
	const char *at = v->told.rung;
	size_t n;

	for (;; at += n + 1) {
		n = strcspn(at, "+");
		if (n && tracks_in_rung(&a->told, at, n))
			return true;
		if (!at[n])
			return false;
	}
}

/* One that has had nothing for long is not offered while a picture has something:
   a player that waits for lost sound shows no picture either. */
static bool
is_offered(const struct segmenter *g, const struct strand *k)
{
	int i;

	if (!*k->init || k->unfit)
		return false;
	for (i = 0; k->gaps >= UNFIT && i < g->strands; i++)
		if (g->strand[i].video && g->strand[i].gaps < UNFIT)
			return false;
	return true;
}

/* The sound of a picture: its rung's, or the first there is. */
struct strand *
seg_sound_of(struct segmenter *g, const struct strand *v)
{
	struct strand *first = NULL, *a;
	int i;

	for (i = 0; i < g->strands; i++) {
		a = &g->strand[i];
		if (a->video || !a->known || (!is_offered(g, a) && !g->how.ts))
			continue;
		if (shares_rung(v, a))
			return a;
		if (!first)
			first = a;
	}
	return first;
}

static int64_t
average(const struct strand *k)
{
	return k->ticks ? k->bytes * 8 * HZ / k->ticks : 0;
}

/* The channels of captions that are listed; what the variants say of them. */
static const char *
put_captions(struct segmenter *g, struct buf *b)
{
	const char *all = g->how.deaf ? "NONE" : NULL;
	int i;

	for (i = 0; i < CAPTIONS_CHANNELS && !g->how.deaf; i++) {
		const char *language = g->how.language[i];

		if (!*language && !(g->captions >> i & 1))
			continue;
		m3u8_captions(b, captions_name(i), *language ? language : "und");
		all = M3U8_CAPTIONS;
	}
	return all;
}

static int
master_version(const struct segmenter *g)
{
	unsigned all = g->captions;
	int i;

	for (i = 0; i < CAPTIONS_CHANNELS; i++)
		all |= *g->how.language[i] ? 1u << i : 0;
	return all & ((1u << CAPTIONS_SERVICES) - 1) && !g->how.deaf ? M3U8_SERVICES : M3U8_MASTER;
}

void
seg_put_master(struct segmenter *g)
{
	char video[CODEC_TEXT], audio[CODEC_TEXT], codecs[2 * CODEC_TEXT], uri[NAME + 16];
	const char *captions = NULL;
	struct buf b = { 0 };
	bool pictures = false;
	int64_t total = 0;
	int i, r;

	m3u8_master(&b, master_version(g), !g->dependent);
	for (i = 0; i < g->strands; i++) {
		struct strand *k = &g->strand[i];

		pictures |= k->video && is_offered(g, k);
	}
	for (i = 0; pictures && i < g->strands; i++) {
		struct strand *k = &g->strand[i];

		if (k->video || !is_offered(g, k))
			continue;
		snprintf(uri, sizeof(uri), "%s/index.m3u8", k->name);
		m3u8_audio(&b, k->name, uri, k->codec.channels);
	}
	if (pictures)
		captions = put_captions(g, &b);
	for (i = 0; i < g->strands; i++) {
		struct strand *k = &g->strand[i], *a = NULL;
		struct m3u8_variant v = { .uri = uri };

		if (k->video != pictures || !is_offered(g, k))
			continue;
		snprintf(uri, sizeof(uri), "%s/index.m3u8", k->name);
		v.bandwidth = k->peak_bps;
		v.average = average(k);
		if (k->video) {
			a = seg_sound_of(g, k);
			v.width = k->codec.width;
			v.height = k->codec.height;
			v.fps = frame_rate(k);
			v.range = codec_range(&k->codec);
			v.captions = captions;
			snprintf(codecs, sizeof(codecs), "%s%s%s", codec_text(video, &k->codec), a ? "," : "",
				a ? codec_text(audio, &a->codec) : "");
		} else {
			snprintf(codecs, sizeof(codecs), "%s", codec_text(audio, &k->codec));
		}
		if (a && !g->how.ts) {
			v.audio = a->name;
			v.bandwidth += a->peak_bps;
			v.average += average(a);
		}
		v.codecs = codecs;
		if (v.bandwidth < v.average)
			v.bandwidth = v.average;
		if (v.bandwidth < 1)
			v.bandwidth = v.average = 1;
		total += v.bandwidth + v.average;
		m3u8_variant(&b, &v);
	}
	/* Rewritten when something changed, or when the measure did by more than a twentieth. */
	if (!g->master_due && total <= g->declared_bps * 21 / 20 && total >= g->declared_bps * 19 / 20)
		goto out;
	if (b.error || (r = file_put(g->dir, "master.m3u8", true, buf_data(&b), buf_len(&b))) < 0) {
		seg_failed(g, b.error ? b.error : r, "master.m3u8");
		goto out;
	}
	g->master_due = false;
	g->declared_bps = total;
out:
	buf_free(&b);
}

void
seg_put_playlist(struct segmenter *g, int track, bool ended)
{
	struct strand *k = &g->strand[track];
	struct m3u8_list list = { version(g), g->target_s, 0, g->gone_dsn, true, false, false };
	char path[NAME + 16];
	const char *map = NULL, *first = *k->init ? k->init : NULL;
	struct buf b = { 0 };
	struct event ev;
	int i, r;

	list.sequence = g->listed ? g->list[0].n : g->next_n;
	for (i = g->listed - 1; i >= 0; i--) {
		list.independent &= g->list[i].independent || !k->video;
		if (*g->list[i].entry[track].init)
			first = g->list[i].entry[track].init;
		if (g->list[i].entry[track].gap || !*g->list[i].entry[track].init)
			list.version = M3U8_GAPS;
	}
	if (!first)
		return;
	m3u8_begin(&b, &list);
	for (i = 0; i < g->listed; i++) {
		const struct segment *s = &g->list[i];
		const struct entry *e = &s->entry[track];
		struct m3u8_segment out = { .uri = s->file,
			.dur_us = s->dur * 100 / 9,
			.wall_ms = s->wall_ms,
			.discontinuity = s->discontinuity,
			.gap = e->gap || !*e->init };
		const char *init = *e->init ? e->init : map ? map : first;

		if (strcmp(init, NO_INIT) && (!map || strcmp(map, init)))
			out.map = map = init;
		m3u8_segment(&b, &out);
	}
	if (ended)
		m3u8_end(&b);
	snprintf(path, sizeof(path), "%s/index.m3u8", k->name);
	r = b.error ? b.error : file_put(g->dir, path, true, buf_data(&b), buf_len(&b));
	buf_free(&b);
	if (r < 0) {
		seg_failed(g, r, path);
		return;
	}
	event_begin(&ev, "playlist.written");
	event_str(&ev, "path", path);
	event_int(&ev, "seq", g->listed ? g->list[g->listed - 1].n : g->next_n - 1);
	event_bool(&ev, "ended", ended);
	event_send(&ev);
}

void
seg_put_archive(struct segmenter *g, bool ended)
{
	struct buf journal = { 0 }, *b = NULL;
	char(*map)[NAME + 32] = NULL;
	size_t media[TRACKS_MAX] = { 0 }; /* bytes up to the last media: no recording ends in gaps */
	char path[NAME + 16];
	char *line, *next;
	bool gaps;
	int i, r;

	if (g->archive < 0)
		return;
	r = file_get(g->archive, "segments.ndjson", 1u << 30, &journal);
	if (r == -ENOENT)
		goto out;
	buf_u8(&journal, 0);
	b = calloc(TRACKS_MAX, sizeof(*b));
	map = calloc(TRACKS_MAX, sizeof(*map));
	if (r < 0 || journal.error || !b || !map)
		goto fail;
	gaps = strstr((char *)buf_data(&journal), "\"gap\":true");
	for (line = (char *)buf_data(&journal); *line; line = next) {
		json_t *o;
		const char *track, *init, *file;
		struct m3u8_segment s = { 0 };

		next = line + strcspn(line, "\n");
		o = json_loadb(line, (size_t)(next - line), 0, NULL);
		next += *next == '\n';
		track = json_string_value(json_object_get(o, "track"));
		init = json_string_value(json_object_get(o, "init"));
		file = json_string_value(json_object_get(o, "file"));
		if (!init)
			init = NO_INIT;
		for (i = 0; track && i < g->strands && strcmp(track, g->strand[i].name); i++)
			;
		if (!track || !file || i == g->strands || strlen(init) >= sizeof(*map)) {
			json_decref(o);
			continue;
		}
		if (!buf_len(&b[i]))
			m3u8_begin(&b[i], &(struct m3u8_list){ gaps ? M3U8_GAPS : version(g), g->target_s, 0, 0,
				!g->dependent, true, false });
		if (strcmp(init, NO_INIT) && strcmp(map[i], init))
			s.map = memcpy(map[i], init, strlen(init) + 1);
		s.uri = file;
		s.dur_us = json_integer_value(json_object_get(o, "dur_us"));
		s.wall_ms = json_integer_value(json_object_get(o, "wall_ms"));
		s.discontinuity = json_is_true(json_object_get(o, "discontinuity"));
		s.gap = json_is_true(json_object_get(o, "gap"));
		m3u8_segment(&b[i], &s);
		if (!s.gap)
			media[i] = buf_len(&b[i]);
		json_decref(o);
	}
	for (i = 0; i < g->strands; i++) {
		if (!media[i])
			continue;
		buf_cut(&b[i], media[i]);
		if (ended)
			m3u8_end(&b[i]);
		snprintf(path, sizeof(path), "%s/index.m3u8", g->strand[i].name);
		r = b[i].error;
		if (!r)
			r = file_put(g->archive, path, true, buf_data(&b[i]), buf_len(&b[i]));
		if (r < 0)
			seg_failed(g, r, path);
	}
	g->archived_ms = clock_mono_ms();
	goto out;
fail:
	seg_failed(g, r < 0 ? r : -ENOMEM, "segments.ndjson");
out:
	for (i = 0; b && i < TRACKS_MAX; i++)
		buf_free(&b[i]);
	free(b);
	free(map);
	buf_free(&journal);
}
