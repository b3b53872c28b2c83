#include "segmenter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aac.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "fmp4.h"
#include "h264.h"
#include "m3u8.h"
#include "ts.h"

/* One clock for all tracks; its ticks are a 90000th of a second. */
#define HZ 90000
#define MS(ms) ((int64_t)(ms) * 90)

/* Limits. */
#define GOP_MAX MS(10000)        /* a segment never gets longer than this */
#define JUMP MS(3000)            /* more than this is a jump in time, not a late packet */
#define LATE MS(3000)            /* a track this far behind is not waited for */
#define LEAD MS(100)             /* sound may begin so much before the first picture is decoded */
#define NEAR MS(20)              /* key frames of two tracks this near are the same instant */
#define QUEUE_MAX (64 << 20)     /* bytes of one track's unwritten frames */
#define CONFIG_MAX 4096          /* bytes of decoder configuration */
#define SAMPLES_MAX 20000        /* frames of one track's unwritten segment */
#define STATE_MAX (8 << 20)      /* bytes of .state.json */
#define EXPIRING_MAX 50000
#define ARCHIVE_EVERY_MS 60000   /* how often the archive's playlists are rewritten */
#define UNFIT 3                  /* gaps in a row that take the source off the master */
#define BASE 64                  /* <broadcast>-<epoch>-<n> */
#define NAME 80
#define TS_GATHER MS(120)        /* of sound in one packet of a transport stream */
#define NO_INIT "-"              /* where a transport stream has none */

struct sample {
	int64_t dts, pts; /* video: HZ; audio: samples */
	uint32_t size;
	bool idr;
};

struct entry { /* one track's part of a listed segment */
	char init[NAME + 32]; /* empty: the track was not there */
	int64_t bytes;
	bool gap;
};

struct segment {
	int64_t n, pts, dur, wall_ms; /* pts and dur in HZ */
	char file[BASE + 40]; /* in the folder of each track */
	bool discontinuity, independent;
	struct entry entry[TRACKS_MAX];
};

struct strand { /* one track */
	uint8_t type, id;
	bool video, known, idle, unfit, audio_on;
	char name[NAME];
	struct track told;
	uint8_t config[CONFIG_MAX];
	size_t config_size;
	struct h264_config h264;
	struct aac_config aac;
	char init[NAME + 32]; /* the init segment of the configuration; empty: not written */
	struct sample *samples;
	size_t count, room;
	struct buf data;
	int64_t last;      /* HZ: the newest DTS */
	int64_t next;      /* audio: the next frame's place on the grid, in samples */
	int off;           /* audio: frames in a row that are off the grid */
	int64_t last_dur;  /* the newest known frame duration, in the track's own units */
	int64_t peak_bps, bytes, ticks; /* measured */
	double fps;
	int gaps, skipped; /* skipped: frames before the first key frame of a run */
	uint32_t parts;
	struct ts ts; /* its counters, where it is one */
};

struct dead { /* a file that is to go */
	char path[2 * NAME + 64];
	int64_t when_ms;
};

struct segmenter {
	struct segmenter_options how;
	int dir, lock, archive; /* archive: the broadcast's folder, or -1 */
	struct strand strand[TRACKS_MAX];
	int strands;
	struct segment *list;
	int listed;
	struct dead *dead;
	size_t deads, dead_room;
	char stream[65], broadcast[27], session[65];
	int64_t epoch, origin_ms, started_ms;
	bool identified, marked, ended, wrote, fresh; /* fresh: nothing cut by this process yet */
	bool full, copying, master_due, dependent;
	int64_t next_n, gone_dsn; /* the next number; discontinuities that have left the window */
	int target_s, inits;
	bool started, broken, cutting, forced; /* broken: the next segment is a discontinuity */
	int64_t start, cut, newest, moved; /* moved: added to all times after a jump back */
	size_t scan;
	int leader;
	int64_t declared_bps, archived_ms, mastered_n;
};

static bool
is_source(const struct strand *k)
{
	return tracks_in_rung(&k->told, "source", 6);
}

static int64_t
to_hz(const struct strand *k, int64_t t)
{
	return k->video ? t : t * HZ / k->aac.rate;
}

/* Instants of a sample on the common clock. */
static int64_t
when(const struct strand *k, const struct sample *s)
{
	return to_hz(k, s->pts);
}

/* ---- what failed, said once ---- */

static bool
is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -EIO || r == -ENOMEM;
}

static void
failed(struct segmenter *g, int r, const char *path)
{
	struct event e;

	if (!g->full) {
		complain(r, "cannot write %s/%s", g->how.dir, path);
		event_begin(&e, is_full(r) ? "disk.full" : "write.failed");
		event_str(&e, "path", path);
		event_str(&e, "reason", strerror(-r));
		event_send(&e);
	}
	g->full = true;
}

static void
recovered(struct segmenter *g)
{
	struct event e;

	if (!g->full)
		return;
	g->full = false;
	warning(0, "writing to %s works again", g->how.dir);
	event_begin(&e, "write.recovered");
	event_send(&e);
}

/* ---- identity ---- */

static void
base32(char *to, uint64_t v)
{
	static const char digit[] = "0123456789abcdefghijklmnopqrstuv";
	int i;

	for (i = 9; i >= 0; i--, v >>= 5)
		to[i] = digit[v & 31];
	to[10] = '\0';
}

static void
bury(struct segmenter *g, const char *path, int64_t when_ms)
{
	struct dead *d;

	if (g->deads == g->dead_room) {
		size_t room = g->dead_room ? 2 * g->dead_room : 64;

		if (room > EXPIRING_MAX || !(d = realloc(g->dead, room * sizeof(*d)))) {
			unlinkat(g->dir, path, 0);
			return;
		}
		g->dead = d;
		g->dead_room = room;
	}
	d = &g->dead[g->deads++];
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->when_ms = when_ms;
}

static bool
init_in_use(const struct segmenter *g, int track, const char *init)
{
	int i;

	if (!strcmp(g->strand[track].init, init))
		return true;
	for (i = 0; i < g->listed; i++)
		if (!strcmp(g->list[i].entry[track].init, init))
			return true;
	return false;
}

/* The oldest segment leaves the window; its files stay for as long as a client may want them. */
static void
drop_first(struct segmenter *g)
{
	struct segment old = g->list[0];
	char path[2 * NAME + 64];
	int64_t when_ms, longest = 0;
	int i;

	for (i = 0; i < g->listed; i++)
		longest += g->list[i].dur;
	when_ms = clock_wall_ms() + (old.dur + longest) / 90 + g->target_s * 1000;
	g->listed--;
	memmove(g->list, g->list + 1, (size_t)g->listed * sizeof(*g->list));
	if (old.discontinuity)
		g->gone_dsn++;
	for (i = 0; i < g->strands; i++) {
		if (!*old.entry[i].init)
			continue;
		if (!old.entry[i].gap) {
			snprintf(path, sizeof(path), "%s/%s", g->strand[i].name, old.file);
			bury(g, path, when_ms);
		}
		if (strcmp(old.entry[i].init, NO_INIT) && !init_in_use(g, i, old.entry[i].init)) {
			snprintf(path, sizeof(path), "%s/%s", g->strand[i].name, old.entry[i].init);
			bury(g, path, when_ms);
		}
	}
}

static void
expire(struct segmenter *g, int64_t now)
{
	size_t i, kept = 0;

	for (i = 0; i < g->deads; i++)
		if (g->dead[i].when_ms > now)
			g->dead[kept++] = g->dead[i];
		else
			unlinkat(g->dir, g->dead[i].path, 0);
	g->deads = kept;
}

static void
write_stream(struct segmenter *g, bool live)
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
		failed(g, r, "stream.json");
	if (g->archive >= 0 && (r = file_put(g->archive, "broadcast.json", true, text, (size_t)n)) < 0)
		failed(g, r, "broadcast.json");
}

static int
open_archive(struct segmenter *g)
{
	char path[PATH_MAX];
	int r;

	if (!g->how.archive)
		return 0;
	if (g->archive >= 0)
		close(g->archive);
	g->archive = -1;
	if (snprintf(path, sizeof(path), "%s/%s", g->how.archive, g->broadcast) >= PATH_MAX)
		return -ENAMETOOLONG;
	if ((r = file_folder(AT_FDCWD, path)) < 0)
		return r;
	g->archive = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return g->archive < 0 ? -errno : 0;
}

/* A broadcast other than the one the playlists hold: they start empty, the counters go on. */
static int
new_broadcast(struct segmenter *g, const char *broadcast)
{
	int i;

	while (g->listed)
		drop_first(g);
	if (*g->broadcast)
		g->gone_dsn++;
	snprintf(g->broadcast, sizeof(g->broadcast), "%s", broadcast);
	g->target_s = 0;
	g->dependent = false;
	g->started_ms = clock_wall_ms();
	g->broken = false;
	g->inits = 0;
	for (i = 0; i < g->strands; i++) {
		g->strand[i].init[0] = '\0';
		g->strand[i].unfit = false;
		g->strand[i].peak_bps = g->strand[i].bytes = g->strand[i].ticks = 0;
	}
	return 0;
}

static bool
good_id(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz");

	return n >= 10 && n <= 26 && !s[n];
}

static int
identify(struct segmenter *g, const struct mark *m, int64_t first_ms)
{
	char made[27];
	const char *id = m && *m->broadcast ? m->broadcast : NULL;
	int r;

	if (id && !good_id(id)) {
		warning(0, "a broadcast id is not made of 10 to 26 of [0-9a-z]: ignored");
		id = NULL;
	}
	if (!id) {
		base32(made, (uint64_t)clock_wall_ms());
		id = made;
	}
	if (m && *m->stream)
		snprintf(g->stream, sizeof(g->stream), "%s", m->stream);
	if (m && *m->session)
		snprintf(g->session, sizeof(g->session), "%s", m->session);
	g->epoch = m && m->epoch > 0 ? m->epoch : g->epoch ? g->epoch : 1;
	g->origin_ms = m && m->origin_ms ? m->origin_ms : clock_wall_ms() - first_ms;
	if (strcmp(id, g->broadcast))
		new_broadcast(g, id);
	else
		g->broken = true;
	g->identified = true;
	events_about(*g->stream ? g->stream : NULL, g->broadcast);
	if ((r = open_archive(g)) < 0) {
		complain(r, "cannot write to %s", g->how.archive);
		return r;
	}
	write_stream(g, true);
	return 0;
}

/* ---- tracks ---- */

static int
track_index(const struct segmenter *g, uint8_t type, uint8_t id)
{
	int i;

	for (i = 0; i < g->strands; i++)
		if (g->strand[i].type == type && g->strand[i].id == id)
			return i;
	return -1;
}

static void
name_track(struct segmenter *g, struct strand *k)
{
	char rung[NAME];
	size_t n = strcspn(k->told.rung, "+"), i;
	int j;

	snprintf(rung, sizeof(rung), "%.*s", (int)n, k->told.rung);
	for (i = 0; rung[i]; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", rung[i]))
			rung[i] = '_';
	if (!*rung)
		snprintf(rung, sizeof(rung), "%s", k->id ? "track" : "source");
	if (k->video)
		snprintf(k->name, sizeof(k->name), "%.64s", rung);
	else if (k->told.kbps && !is_source(k))
		snprintf(k->name, sizeof(k->name), "audio-%dk", k->told.kbps);
	else
		snprintf(k->name, sizeof(k->name), "audio-%.64s", rung);
	for (j = 0; j < g->strands; j++)
		if (g->strand[j].type && !strcmp(g->strand[j].name, k->name)) {
			n = strlen(k->name);
			snprintf(k->name + n, sizeof(k->name) - n, "-%d", k->id);
			return;
		}
}

static struct strand *
add_track(struct segmenter *g, const struct track *t)
{
	struct strand *k, new = { .type = t->type,
		.id = t->id,
		.video = t->type == FLV_VIDEO,
		.told = *t,
		.data.max = QUEUE_MAX,
		.last = INT64_MIN };
	int i, r;

	name_track(g, &new);
	for (i = 0; i < g->strands; i++) /* a track that the state named comes back */
		if (!g->strand[i].type && !strcmp(g->strand[i].name, new.name))
			break;
	if (i == TRACKS_MAX)
		return NULL;
	k = &g->strand[i];
	*k = new;
	if (i == g->strands)
		g->strands++;
	if (!g->how.ts && (r = file_folder(g->dir, k->name)) < 0) /* else: when it is known who carries it */
		failed(g, r, k->name);
	g->master_due = true;
	return k;
}

int
segmenter_tracks(struct segmenter *g, const struct tracks *t)
{
	int i, at;

	for (i = 0; i < t->count; i++) {
		if ((at = track_index(g, t->track[i].type, t->track[i].id)) >= 0) {
			char rung[TRACKS_RUNG];

			memcpy(rung, g->strand[at].told.rung, sizeof(rung));
			g->strand[at].told = t->track[i];
			if (*g->strand[at].init) /* folders are not renamed under a player */
				memcpy(g->strand[at].told.rung, rung, sizeof(rung));
			continue;
		}
		if (t->track[i].type == FLV_VIDEO || t->track[i].type == FLV_AUDIO)
			add_track(g, &t->track[i]);
	}
	return 0;
}

/* Others have gone on without it: it is not waited for until it is back. */
static bool
is_away(const struct segmenter *g, const struct strand *k)
{
	return k->last != INT64_MIN && g->newest - k->last > LATE;
}

/* The track that the cuts follow: the first encoded picture, else the source, else the sound. */
static int
pick_leader(const struct segmenter *g)
{
	int i, best = -1, score = INT_MIN, s;

	for (i = 0; i < g->strands; i++) {
		const struct strand *k = &g->strand[i];

		if (!k->known)
			continue;
		s = (k->video ? is_source(k) ? 2 : 3 : 1) - (is_away(g, k) ? 3 : 0);
		if (s > score) {
			score = s;
			best = i;
		}
	}
	return best;
}

/* ---- writing ---- */

static void
put_init(struct segmenter *g, struct strand *k)
{
	struct fmp4_track t = { .video = k->video,
		.timescale = k->video ? HZ : (uint32_t)k->aac.rate,
		.width = k->h264.width,
		.height = k->h264.height,
		.rate = k->aac.rate,
		.channels = k->aac.channels,
		.config = k->config,
		.config_size = k->config_size };
	char name[NAME + 32], path[2 * NAME + 64];
	struct buf b = { 0 };
	bool copied;
	int r;

	if (g->how.ts) {
		if ((r = file_folder(g->dir, k->name)) < 0 ||
			(g->archive >= 0 && (r = file_folder(g->archive, k->name)) < 0))
			failed(g, r, k->name);
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
		r = file_put(g->dir, path, false, buf_data(&b), buf_len(&b));
	if (!r && g->archive >= 0) {
		file_folder(g->archive, k->name);
		r = file_link(g->dir, path, g->archive, path, &copied);
	}
	if (r < 0)
		failed(g, r, path);
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
		failed(g, r, path);
}

static void
drop_samples(struct strand *k, size_t n)
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

/* The frames of a part of fragmented MP4. */
static int
fill_fmp4(struct strand *k, size_t count, struct buf *b)
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
			at->idr };
	}
	fmp4_styp(b);
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
	if (n && ts_audio(b, &k->ts, to_hz(a, a->samples[i].dts), &a->aac, sizes, n, *data) < 0 && !b->error)
		b->error = -EBADMSG;
	*data += bytes;
	return n;
}

/* A segment of a transport stream: the track's frames, and those of the sound that it carries. */
static int
fill_ts(struct strand *k, size_t count, struct strand *a, size_t heard, struct buf *b)
{
	const uint8_t *data = buf_data(&k->data), *sound = a ? buf_data(&a->data) : NULL;
	size_t i, j = 0;
	int r;

	k->ts.video = k->video;
	k->ts.audio = a != NULL;
	if ((r = ts_tables(b, &k->ts)) < 0)
		return r;
	for (i = 0; k->video && i < count; data += k->samples[i++].size) {
		const struct sample *at = &k->samples[i];

		/* Sound leaves when so much of it is there that a packet of its own is worth it. */
		while (j < heard && to_hz(a, a->samples[j].dts) + TS_GATHER <= at->dts)
			j += put_sound(k, a, j, heard, at->dts, &sound, b);
		if ((r = ts_video(b, &k->ts, at->pts, at->dts, at->idr, k->config, k->config_size,
			     k->h264.nal_len, data, at->size)) < 0)
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

static struct strand *sound_of(struct segmenter *, const struct strand *);

/* A track's part of the segment, of the first counts[] frames of each, becomes a file. */
static void
put_media(struct segmenter *g, int track, struct segment *s, const size_t *counts)
{
	struct strand *k = &g->strand[track], *a;
	size_t count = counts[track];
	struct entry *e = &s->entry[track];
	char path[2 * NAME + 64];
	struct buf b = { 0 };
	struct event ev;
	int r = 0;

	if (!k->known || is_carried(g, k))
		return;
	snprintf(path, sizeof(path), "%s/%s", k->name, s->file);
	/* Every picture but the leader's has to begin with a key frame, or it is not shown. */
	e->gap = !count || (k->video && track != g->leader && !k->samples[0].idr);
	k->gaps = e->gap ? k->gaps + 1 : 0;
	if (k->video && count && e->gap && k->gaps == UNFIT && !k->unfit) {
		k->unfit = g->master_due = true;
		warning(0, "%s has no key frame where the others have: off the master playlist", k->name);
		event_begin(&ev, "rung.unfit");
		event_str(&ev, "rung", k->name);
		event_str(&ev, "reason", "segments do not begin with a key frame");
		event_send(&ev);
	}
	if (!*k->init)
		put_init(g, k);
	if (!*k->init)
		e->gap = true;
	memcpy(e->init, k->init, sizeof(e->init));
	if (!e->gap && g->how.ts) {
		a = k->video ? sound_of(g, k) : k;
		r = fill_ts(k, k->video ? count : 0, a, a ? counts[a - g->strand] : 0, &b);
	} else if (!e->gap) {
		r = fill_fmp4(k, count, &b);
	}
	if (!r && !e->gap)
		r = b.error ? b.error : file_put(g->dir, path, false, buf_data(&b), buf_len(&b));
	if (r < 0) {
		failed(g, r, path);
		e->gap = true;
	} else if (!e->gap) {
		e->bytes = (int64_t)buf_len(&b);
		recovered(g);
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
			int64_t span = k->samples[count - 1].dts - k->samples[0].dts;

			k->fps = span > 0 ? (double)(count - 1) * HZ / (double)span : 0;
		}
	}
	if (*e->init)
		archive_segment(g, k, s, e, path);
	buf_free(&b);
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
	double f = k->h264.fps > 0 ? k->h264.fps : k->fps, d;
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

/* The sound of a picture: its rung's, or the first there is. */
static struct strand *
sound_of(struct segmenter *g, const struct strand *v)
{
	struct strand *first = NULL, *a;
	int i;

	for (i = 0; i < g->strands; i++) {
		a = &g->strand[i];
		if (a->video || !a->known || (!*a->init && !g->how.ts))
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

static void
put_master(struct segmenter *g)
{
	char video[H264_CODEC], audio[AAC_CODEC], codecs[64], uri[NAME + 16];
	struct buf b = { 0 };
	bool pictures = false;
	int64_t total = 0;
	int i, r;

	m3u8_master(&b, !g->dependent);
	for (i = 0; i < g->strands; i++) {
		struct strand *k = &g->strand[i];

		pictures |= k->video && *k->init && !k->unfit;
	}
	for (i = 0; pictures && i < g->strands; i++) {
		struct strand *k = &g->strand[i];

		if (k->video || !*k->init)
			continue;
		snprintf(uri, sizeof(uri), "%s/index.m3u8", k->name);
		m3u8_audio(&b, k->name, uri, k->aac.channels);
	}
	for (i = 0; i < g->strands; i++) {
		struct strand *k = &g->strand[i], *a = NULL;
		struct m3u8_variant v = { .uri = uri };

		if (!*k->init || k->video != pictures || k->unfit)
			continue;
		snprintf(uri, sizeof(uri), "%s/index.m3u8", k->name);
		v.bandwidth = k->peak_bps;
		v.average = average(k);
		if (k->video) {
			a = sound_of(g, k);
			v.width = k->h264.width;
			v.height = k->h264.height;
			v.fps = frame_rate(k);
			snprintf(codecs, sizeof(codecs), "%s%s%s", h264_codec(video, &k->h264), a ? "," : "",
				a ? aac_codec(audio, &a->aac) : "");
		} else {
			snprintf(codecs, sizeof(codecs), "%s", aac_codec(audio, &k->aac));
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
		failed(g, b.error ? b.error : r, "master.m3u8");
		goto out;
	}
	g->master_due = false;
	g->declared_bps = total;
out:
	buf_free(&b);
}

static void
put_playlist(struct segmenter *g, int track, bool ended)
{
	struct strand *k = &g->strand[track];
	struct m3u8_list list = { version(g), g->target_s, 0, g->gone_dsn, true, false };
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
		failed(g, r, path);
		return;
	}
	event_begin(&ev, "playlist.written");
	event_str(&ev, "path", path);
	event_int(&ev, "seq", g->listed ? g->list[g->listed - 1].n : g->next_n - 1);
	event_bool(&ev, "ended", ended);
	event_send(&ev);
}

/* ---- the archive's playlists, from its journal ---- */

static void
put_archive(struct segmenter *g, bool ended)
{
	struct buf journal = { 0 }, *b = NULL;
	char(*map)[NAME + 32] = NULL;
	char path[NAME + 16];
	char *line, *next;
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
			m3u8_begin(&b[i], &(struct m3u8_list){ version(g), g->target_s, 0, 0, !g->dependent, true });
		if (strcmp(init, NO_INIT) && strcmp(map[i], init))
			s.map = memcpy(map[i], init, strlen(init) + 1);
		s.uri = file;
		s.dur_us = json_integer_value(json_object_get(o, "dur_us"));
		s.wall_ms = json_integer_value(json_object_get(o, "wall_ms"));
		s.discontinuity = json_is_true(json_object_get(o, "discontinuity"));
		s.gap = json_is_true(json_object_get(o, "gap"));
		m3u8_segment(&b[i], &s);
		json_decref(o);
	}
	for (i = 0; i < g->strands; i++) {
		if (!buf_len(&b[i]))
			continue;
		if (ended)
			m3u8_end(&b[i]);
		snprintf(path, sizeof(path), "%s/index.m3u8", g->strand[i].name);
		r = b[i].error;
		if (!r)
			r = file_put(g->archive, path, true, buf_data(&b[i]), buf_len(&b[i]));
		if (r < 0)
			failed(g, r, path);
	}
	g->archived_ms = clock_mono_ms();
	goto out;
fail:
	failed(g, r < 0 ? r : -ENOMEM, "segments.ndjson");
out:
	for (i = 0; b && i < TRACKS_MAX; i++)
		buf_free(&b[i]);
	free(b);
	free(map);
	buf_free(&journal);
}

/* ---- the state ---- */

static void
put_state(struct segmenter *g)
{
	json_t *o, *list, *gone, *tracks;
	char *text;
	size_t j;
	int i, t, r;

	o = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:i,s:b,s:I,s:b}", "broadcast", g->broadcast, "epoch",
		(json_int_t)g->epoch, "origin_ms", (json_int_t)g->origin_ms, "started_ms",
		(json_int_t)g->started_ms, "next", (json_int_t)g->next_n, "gone_discontinuities",
		(json_int_t)g->gone_dsn, "target_s", g->target_s, "ended", g->ended, "end_pts",
		(json_int_t)g->start, "dependent", g->dependent);
	json_object_set_new(o, "stream", json_string(g->stream));
	tracks = json_array();
	for (t = 0; t < g->strands; t++)
		json_array_append_new(tracks, json_string(g->strand[t].name));
	json_object_set_new(o, "tracks", tracks);
	list = json_array();
	for (i = 0; i < g->listed; i++) {
		const struct segment *s = &g->list[i];
		json_t *e = json_pack("{s:I,s:I,s:I,s:I,s:s,s:b,s:b}", "n", (json_int_t)s->n, "pts",
			(json_int_t)s->pts, "dur", (json_int_t)s->dur, "wall_ms", (json_int_t)s->wall_ms,
			"file", s->file, "discontinuity", s->discontinuity, "independent",
			s->independent);
		json_t *files = json_object();

		for (t = 0; t < g->strands; t++)
			if (*s->entry[t].init)
				json_object_set_new(files, g->strand[t].name,
					json_pack("{s:s,s:b,s:I}", "init", s->entry[t].init, "gap",
						s->entry[t].gap, "bytes", (json_int_t)s->entry[t].bytes));
		json_object_set_new(e, "files", files);
		json_array_append_new(list, e);
	}
	json_object_set_new(o, "segments", list);
	gone = json_array();
	for (j = 0; j < g->deads; j++)
		json_array_append_new(gone, json_pack("{s:s,s:I}", "path", g->dead[j].path, "when_ms",
						      (json_int_t)g->dead[j].when_ms));
	json_object_set_new(o, "expiring", gone);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	r = text ? file_put(g->dir, ".state.json", true, text, strlen(text)) : -ENOMEM;
	if (r < 0)
		failed(g, r, ".state.json");
	free(text);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t
int_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool
safe_path(const char *p)
{
	return *p && *p != '/' && !strstr(p, "..");
}

static void
get_state(struct segmenter *g)
{
	struct buf b = { 0 };
	json_t *o = NULL, *e, *files, *f;
	const char *name;
	size_t i;
	int t;

	if (file_get(g->dir, ".state.json", STATE_MAX, &b) == 0)
		o = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL);
	buf_free(&b);
	if (!json_is_object(o))
		goto out;
	if (good_id(text_of(o, "broadcast")))
		snprintf(g->broadcast, sizeof(g->broadcast), "%s", text_of(o, "broadcast"));
	if (mark_stream_name(text_of(o, "stream")))
		snprintf(g->stream, sizeof(g->stream), "%s", text_of(o, "stream"));
	g->epoch = int_of(o, "epoch");
	g->origin_ms = int_of(o, "origin_ms");
	g->started_ms = int_of(o, "started_ms");
	g->next_n = int_of(o, "next");
	g->gone_dsn = int_of(o, "gone_discontinuities");
	g->target_s = (int)int_of(o, "target_s");
	g->dependent = json_is_true(json_object_get(o, "dependent"));
	json_array_foreach(json_object_get(o, "expiring"), i, e)
		if (safe_path(text_of(e, "path")))
			bury(g, text_of(e, "path"), int_of(e, "when_ms"));
	json_array_foreach(json_object_get(o, "tracks"), i, e) {
		struct strand *k;

		name = json_string_value(e);
		if (!name || !safe_path(name) || strchr(name, '/') || strlen(name) >= NAME ||
			g->strands == TRACKS_MAX)
			continue;
		k = &g->strand[g->strands++]; /* no track of the input yet; see adopt */
		snprintf(k->name, sizeof(k->name), "%s", name);
		k->last = INT64_MIN;
		k->data.max = QUEUE_MAX;
	}
	json_array_foreach(json_object_get(o, "segments"), i, e) {
		struct segment *s;

		if (g->listed > g->how.window || !safe_path(text_of(e, "file")))
			break;
		s = &g->list[g->listed++];
		memset(s, 0, sizeof(*s));
		s->n = int_of(e, "n");
		s->pts = int_of(e, "pts");
		s->dur = int_of(e, "dur");
		s->wall_ms = int_of(e, "wall_ms");
		snprintf(s->file, sizeof(s->file), "%s", text_of(e, "file"));
		s->discontinuity = json_is_true(json_object_get(e, "discontinuity"));
		s->independent = json_is_true(json_object_get(e, "independent"));
		files = json_object_get(e, "files");
		for (t = 0; t < g->strands; t++)
			if ((f = json_object_get(files, g->strand[t].name))) {
				snprintf(s->entry[t].init, sizeof(s->entry[t].init), "%s",
					text_of(f, "init"));
				s->entry[t].gap = json_is_true(json_object_get(f, "gap"));
				s->entry[t].bytes = int_of(f, "bytes");
			}
		if (s->n >= g->next_n)
			g->next_n = s->n + 1;
	}
out:
	json_decref(o);
}

static bool
named(const struct segmenter *g, const char *track, const char *file)
{
	char path[2 * NAME + 64];
	size_t i;
	int j, t;

	for (t = 0; t < g->strands && strcmp(track, g->strand[t].name); t++)
		;
	for (j = 0; t < g->strands && j < g->listed; j++) {
		const struct segment *s = &g->list[j];

		if (!strcmp(file, s->entry[t].init))
			return true;
		if (!strcmp(file, s->file))
			return true;
	}
	snprintf(path, sizeof(path), "%.79s/%.120s", track, file);
	for (i = 0; i < g->deads; i++)
		if (!strcmp(path, g->dead[i].path))
			return true;
	return false;
}

/* One line of a playlist that a writer before us left, for when its state is gone. */
static int64_t
tag_value(const char *text, const char *tag)
{
	const char *at = strstr(text, tag);

	return at ? strtoll(at + strlen(tag), NULL, 10) : 0;
}

static void
learn_playlist(struct segmenter *g, const char *track)
{
	char path[NAME + 320];
	struct buf b = { 0 };
	int64_t n, dsn;
	char *at;

	snprintf(path, sizeof(path), "%s/index.m3u8", track);
	if (file_get(g->dir, path, STATE_MAX, &b) == 0 && buf_u8(&b, 0) == 0) {
		char *text = (char *)buf_data(&b);

		n = tag_value(text, "#EXT-X-MEDIA-SEQUENCE:");
		dsn = tag_value(text, "#EXT-X-DISCONTINUITY-SEQUENCE:");
		for (at = text; (at = strstr(at, "#EXTINF:")); at++)
			n++;
		for (at = text; (at = strstr(at, "#EXT-X-DISCONTINUITY\n")); at++)
			dsn++;
		if (n > g->next_n)
			g->next_n = n;
		if (!g->listed && dsn + 1 > g->gone_dsn)
			g->gone_dsn = dsn + 1;
	}
	buf_free(&b);
}

/* What lies in a track's folder: numbers are learnt, what the state does not name goes. */
static void
sweep(struct segmenter *g, const char *track)
{
	int fd = openat(g->dir, track, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		const char *dash = strrchr(e->d_name, '-'), *dot = strrchr(e->d_name, '.');
		bool media = dot && (!strcmp(dot, ".m4s") || !strcmp(dot, ".ts"));
		bool init = dot && !strcmp(dot, ".mp4") && !strncmp(e->d_name, "init-", 5);
		bool temp = dot && !strcmp(dot, ".tmp") && *e->d_name == '.';
		int64_t n;

		if (media && dash && (n = strtoll(dash + 1, NULL, 10)) >= g->next_n && n < INT64_MAX)
			g->next_n = n + 1;
		if (temp || ((media || init) && !named(g, track, e->d_name)))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

static void
look_around(struct segmenter *g)
{
	int fd = openat(g->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (*e->d_name == '.') {
			if (n > 5 && !strcmp(e->d_name + n - 4, ".tmp"))
				unlinkat(g->dir, e->d_name, 0);
			continue;
		}
		if (n >= NAME || fstatat(g->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode))
			continue;
		learn_playlist(g, e->d_name);
		sweep(g, e->d_name);
	}
	closedir(d);
}

int
segmenter_open(struct segmenter **out, const struct segmenter_options *how)
{
	struct segmenter *g = calloc(1, sizeof(*g));
	int64_t until = clock_mono_ms() + how->lock_ms;
	int r;

	if (!g)
		return -ENOMEM;
	g->how = *how;
	g->dir = g->lock = g->archive = -1;
	g->leader = -1;
	g->fresh = true;
	g->newest = INT64_MIN;
	if (!(g->list = calloc((size_t)how->window + 2, sizeof(*g->list)))) {
		r = -ENOMEM;
		goto fail;
	}
	if ((r = file_folder(AT_FDCWD, how->dir)) < 0)
		goto fail;
	if ((g->dir = open(how->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		(g->lock = openat(g->dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660)) < 0) {
		r = -errno;
		goto fail;
	}
	while (flock(g->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= until) {
			r = errno == EWOULDBLOCK ? -EBUSY : -errno;
			goto fail;
		}
		poll(NULL, 0, 20);
	}
	get_state(g);
	look_around(g);
	*out = g;
	return 0;
fail:
	segmenter_close(&g);
	return r;
}

/* ---- cutting ---- */

/* Where a track's queue is divided for a cut at t; *ready: nothing more has to come first. */
static size_t
divide(const struct segmenter *g, int track, int64_t t, bool *ready)
{
	const struct strand *k = &g->strand[track];
	size_t i;

	*ready = false;
	for (i = 0; k->video && i < k->count; i++)
		if (k->samples[i].idr && when(k, &k->samples[i]) >= t - NEAR &&
			when(k, &k->samples[i]) <= t + NEAR) {
			*ready = true;
			return i;
		}
	if (k->count)
		*ready = to_hz(k, k->samples[k->count - 1].dts) > t + (k->video ? NEAR : 0) ||
			(!k->video && when(k, &k->samples[k->count - 1]) >= t);
	for (i = 0; i < k->count; i++)
		if (when(k, &k->samples[i]) >= t)
			return i;
	return i;
}

static void
close_segment(struct segmenter *g, int64_t end, bool all)
{
	struct segment *s = &g->list[g->listed];
	int64_t dur = end - g->start;
	size_t counts[TRACKS_MAX];
	bool ready;
	int i, sec;

	memset(s, 0, sizeof(*s));
	s->n = g->next_n++;
	s->pts = g->start;
	s->dur = dur > 0 ? dur : 1;
	s->wall_ms = g->origin_ms + g->start / 90;
	s->discontinuity = g->broken && (g->listed || s->n > 0);
	s->independent = !(g->leader >= 0 && g->strand[g->leader].video) ||
		(g->strand[g->leader].count && g->strand[g->leader].samples[0].idr);
	g->broken = false;
	if (!s->independent && !g->dependent)
		g->dependent = g->master_due = true;
	snprintf(s->file, sizeof(s->file), "%s-%" PRId64 "-%" PRId64 ".%s", g->broadcast, g->epoch, s->n,
		g->how.ts ? "ts" : "m4s");
	sec = (int)((s->dur + HZ / 2) / HZ);
	if (!g->target_s) {
		g->target_s = (g->how.target_ms + 999) / 1000;
		if (sec > g->target_s)
			g->target_s = sec;
		g->master_due = true;
	}
	for (i = 0; i < g->strands; i++)
		counts[i] = all ? g->strand[i].count : divide(g, i, end, &ready);
	for (i = 0; i < g->strands; i++)
		put_media(g, i, s, counts);
	for (i = 0; i < g->strands; i++)
		drop_samples(&g->strand[i], counts[i]);
	g->listed++;
	while (g->listed > g->how.window)
		drop_first(g);
	for (i = 0; i < g->strands; i++)
		put_playlist(g, i, false);
	put_master(g);
	if (g->archive >= 0 &&
		(!g->archived_ms || clock_mono_ms() - g->archived_ms >= ARCHIVE_EVERY_MS))
		put_archive(g, false);
	g->start = end;
	g->fresh = false;
	put_state(g);
	expire(g, clock_wall_ms());
}

/* The first frame of a run: what lies before it in the other tracks has nowhere to go. */
static bool
start(struct segmenter *g)
{
	struct strand *k;
	int64_t first;
	size_t i, n;
	int j;

	if ((j = pick_leader(g)) < 0)
		return false;
	k = &g->strand[j];
	/* Sound that waits in vain for its picture goes alone. */
	if (!k->count && g->newest != INT64_MIN)
		for (i = 0; i < (size_t)g->strands; i++) {
			struct strand *a = &g->strand[i];

			if (a->count && a->last - when(a, &a->samples[0]) > LATE + JUMP) {
				j = (int)i;
				k = a;
				break;
			}
		}
	if (!k->count || (k->video && !k->samples[0].idr))
		return false;
	/* A picture that only onMetaData has told of so far is given the time to come. */
	for (i = 0; !k->video && i < (size_t)g->strands; i++)
		if (g->strand[i].video && g->strand[i].type && !g->strand[i].known &&
			k->last - when(k, &k->samples[0]) < LATE)
			return false;
	g->leader = j;
	g->start = when(k, &k->samples[0]);
	first = to_hz(k, k->samples[0].dts) - LEAD;
	if (g->start < 0)
		g->start = 0;
	for (j = 0; j < g->strands; j++) {
		k = &g->strand[j];
		if (j == g->leader)
			continue;
		for (n = 0; n < k->count && when(k, &k->samples[n]) < (k->video ? g->start - NEAR : first); n++)
			;
		drop_samples(k, n);
	}
	g->started = true;
	g->cutting = false;
	g->scan = 1;
	return true;
}

/* The next instant to cut at, once the leader has shown it. */
static bool
decide(struct segmenter *g)
{
	struct strand *k;
	int64_t target = MS(g->how.target_ms), high, gop = 0, last, limit, t;
	size_t i;

	if (is_away(g, &g->strand[g->leader]))
		g->leader = pick_leader(g);
	k = &g->strand[g->leader];
	limit = g->target_s ? (int64_t)g->target_s * HZ + HZ / 2 - 1 : GOP_MAX;
	last = g->start;
	high = g->start;
	for (i = 0; i < k->count; i++) {
		const struct sample *s = &k->samples[i];

		t = when(k, s);
		if (i && k->video && s->idr) {
			gop = t - last;
			last = t;
			if (t - g->start >= target - MS(50) ||
				(t - g->start + gop > (g->target_s ? limit : target + HZ / 2) &&
					t - g->start >= MS(500))) {
				g->cut = t;
				return g->cutting = true;
			}
		}
		if (i && t >= high && !k->video && t - g->start >= target) {
			g->cut = t;
			return g->cutting = true;
		}
		/* Past the limit without a key frame: cut before the frame that would cross it. */
		if (i && t - g->start > limit) {
			g->cut = high > g->start ? high : t;
			return g->cutting = true;
		}
		if (t > high)
			high = t;
	}
	if (g->newest - g->start > target + LATE + limit ||
		(g->newest - g->start > target + LATE && k->last < g->start + target &&
			g->newest - k->last > LATE)) {
		g->cut = g->start + target; /* the leader is away, the others go on */
		return g->cutting = true;
	}
	return false;
}

static void
cut(struct segmenter *g)
{
	bool ready, waiting;
	int i;

	for (;;) {
		if (!g->started && !start(g))
			return;
		if (!g->cutting && !decide(g))
			return;
		waiting = false;
		for (i = 0; i < g->strands; i++) {
			struct strand *k = &g->strand[i];

			if (!k->known && !(k->type && k->last == INT64_MIN && g->fresh))
				continue;
			divide(g, i, g->cut, &ready);
			k->idle = !ready && (g->newest - g->cut > LATE || is_away(g, k));
			waiting |= !ready && !k->idle;
		}
		if (waiting)
			return;
		g->cutting = false;
		close_segment(g, g->cut, false);
	}
}

/* Everything that has come goes out; what comes next is a new run. */
static void
flush(struct segmenter *g)
{
	int64_t end = INT64_MIN;
	bool any = false;
	int i;

	if (!g->started)
		start(g);
	while (g->started && (g->cutting || decide(g))) {
		g->cutting = false;
		close_segment(g, g->cut, false);
	}
	for (i = 0; g->started && i < g->strands; i++) {
		struct strand *k = &g->strand[i];
		int64_t t = INT64_MIN, d;
		size_t j;

		for (j = 0; j < k->count; j++)
			if (when(k, &k->samples[j]) > t)
				t = when(k, &k->samples[j]);
		if (!k->count)
			continue;
		any = true;
		d = k->count > 1 ? k->samples[k->count - 1].dts - k->samples[k->count - 2].dts :
				   k->last_dur;
		t += to_hz(k, d > 0 ? d : 1);
		if (i == g->leader || (end == INT64_MIN && !g->strand[g->leader].count))
			end = t;
	}
	if (any && end > g->start) {
		int64_t limit = (int64_t)g->target_s * HZ + HZ / 2 - 1;

		if (g->target_s && end - g->start > limit)
			end = g->start + limit;
		close_segment(g, end, true);
	}
	for (i = 0; i < g->strands; i++) {
		drop_samples(&g->strand[i], g->strand[i].count);
		g->strand[i].last = INT64_MIN;
		g->strand[i].audio_on = false;
	}
	g->started = g->cutting = false;
	g->newest = INT64_MIN;
	g->broken = g->broken || g->listed || !g->fresh;
}

/* ---- what comes in ---- */

static int
take_header(struct segmenter *g, struct strand *k, const struct flv_packet *p)
{
	struct h264_config h264;
	struct aac_config aac;
	int r;

	if (!p->size || p->size > CONFIG_MAX)
		return 0;
	if (k->known && p->size == k->config_size && !memcmp(k->config, p->data, p->size))
		return 0;
	r = k->video ? h264_config_parse(p->data, p->size, &h264) :
		       aac_config_parse(p->data, p->size, &aac);
	if (r < 0) {
		warning(0, "the %s configuration of %s is malformed: ignored",
			k->video ? "H.264" : "AAC", k->name);
		return 0;
	}
	if (k->known)
		flush(g);
	if (k->video)
		k->h264 = h264;
	else
		k->aac = aac;
	memcpy(k->config, p->data, p->size);
	k->config_size = p->size;
	k->init[0] = '\0';
	k->fps = 0;
	k->last_dur = k->video ? 3000 : k->aac.frame;
	k->known = g->master_due = true;
	return 0;
}

static void
dropped(const struct strand *k, const char *reason, int frames)
{
	struct event e;

	event_begin(&e, "media.dropped");
	event_str(&e, "track", k->name);
	event_str(&e, "reason", reason);
	event_int(&e, "frames", frames);
	event_send(&e);
}

/* The frame's place on the grid of whole frames from time zero; false: it has none. */
static bool
audio_place(struct strand *k, int64_t t, int64_t *at)
{
	int64_t frame = k->aac.frame, exact = t * k->aac.rate / HZ, off;
	int64_t grid = (exact + frame / 2) / frame * frame;

	if (!k->audio_on) {
		k->next = grid;
		k->audio_on = true;
	}
	off = exact - k->next;
	if (off > frame || off < -frame)
		k->off++;
	else
		k->off = 0;
	if (off > (int64_t)k->aac.rate || (k->off >= 4 && off > 0)) {
		k->next = grid;
		k->off = 0;
	} else if (k->off >= 4) {
		k->off = 0; /* one frame fewer brings it back */
		return false;
	}
	*at = k->next;
	k->next += frame;
	return true;
}

static int
push(struct strand *k, const struct sample *s, const uint8_t *data)
{
	if (k->count == k->room) {
		size_t room = k->room ? 2 * k->room : 256;
		struct sample *more = realloc(k->samples, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->samples = more;
		k->room = room;
	}
	if (buf_append(&k->data, data, s->size) < 0)
		return k->data.error;
	k->samples[k->count++] = *s;
	return 0;
}

/* Time that jumps without a mark: a new run, and never back. */
static int64_t
follow(struct segmenter *g, struct strand *k, int64_t dts)
{
	int64_t t = dts + g->moved;

	if (g->newest == INT64_MIN)
		return t;
	if (t > g->newest + JUMP) {
		flush(g);
	} else if (k->last == INT64_MIN ? t < g->newest - GOP_MAX :
					  t < g->newest - JUMP && t < k->last - MS(500)) {
		int64_t end = g->newest;

		flush(g);
		g->moved += end + MS(40) - t;
		t = dts + g->moved;
		warning(0, "time jumped back by more than 3 s: the stream goes on with a discontinuity");
	}
	return t;
}

int
segmenter_packet(struct segmenter *g, int64_t dts_ms, const struct flv_packet *p)
{
	int at = track_index(g, p->type, p->track), r;
	struct sample s = { 0 };
	struct strand *k;
	int64_t t;

	if (p->kind != FLV_HEADER && p->kind != FLV_FRAME)
		return 0;
	if (p->codec != (p->type == FLV_VIDEO ? FLV_AVC : FLV_AAC)) {
		if (p->kind == FLV_HEADER || p->key)
			inform("%s track %d is neither H.264 nor AAC: ignored",
				p->type == FLV_VIDEO ? "video" : "audio", p->track);
		return 0;
	}
	if (!g->identified) {
		struct mark env;

		mark_from_env(&env);
		if ((r = identify(g, &env, dts_ms)) < 0)
			return r;
	}
	if (at < 0) {
		struct track told = { .type = p->type, .id = p->track };

		snprintf(told.rung, sizeof(told.rung), p->track ? "track%d" : "source", p->track);
		if (!add_track(g, &told))
			return 0;
		at = track_index(g, p->type, p->track);
	}
	k = &g->strand[at];
	if (p->kind == FLV_HEADER)
		return take_header(g, k, p);
	if (!k->known || !p->size)
		return 0;
	t = follow(g, k, MS(dts_ms));
	s.size = (uint32_t)p->size;
	if (k->video) {
		int32_t cts = p->cts < -10000 || p->cts > 10000 ? 0 : p->cts; /* damaged */
		int64_t pts = t + MS(cts) + (int64_t)p->nano * 9 / 100000;

		s.idr = h264_idr(p->data, p->size, k->h264.nal_len);
		if (!s.idr && !g->started && !k->count) {
			k->skipped++; /* nothing can be shown before the first key frame */
			return 0;
		}
		if (k->skipped)
			dropped(k, "no key frame yet", k->skipped);
		k->skipped = 0;
		/* tfdt is the true DTS: libavformat moves pictures with negative offsets (5.1). */
		s.dts = t;
		if (k->count && s.dts <= k->samples[k->count - 1].dts)
			s.dts = k->samples[k->count - 1].dts + 1;
		s.pts = pts;
	} else {
		if (!audio_place(k, t, &s.dts)) {
			dropped(k, "audio runs ahead of its timestamps", 1);
			return 0;
		}
		s.pts = s.dts;
		s.idr = true;
	}
	if (g->started && when(k, &s) < g->start - NEAR && k->idle) {
		dropped(k, "too late for its segment", 1);
		return 0;
	}
	if (k->count >= SAMPLES_MAX || buf_len(&k->data) + p->size > QUEUE_MAX)
		flush(g);
	if ((r = push(k, &s, p->data)) < 0)
		return r;
	if (t > k->last)
		k->last = t;
	if (t > g->newest)
		g->newest = t;
	cut(g);
	return 0;
}

int
segmenter_mark(struct segmenter *g, int64_t dts, const struct mark *m)
{
	g->marked = true;
	switch (m->kind) {
	case MARK_SESSION:
		if (!g->identified)
			return identify(g, m, dts);
		if (*m->broadcast && strcmp(m->broadcast, g->broadcast)) {
			flush(g);
			return identify(g, m, dts);
		}
		if (strcmp(m->session, g->session)) {
			flush(g);
			snprintf(g->session, sizeof(g->session), "%s", m->session);
		}
		return 0;
	case MARK_GAP:
	case MARK_DISCONTINUITY:
	case MARK_PARAMS:
		flush(g);
		return 0;
	case MARK_END:
		g->ended = true;
		return 0;
	case MARK_TICK:
		return 0;
	}
	return 0;
}

bool
segmenter_marked(const struct segmenter *g)
{
	return g->marked;
}

bool
segmenter_ended(const struct segmenter *g)
{
	return g->ended;
}

bool
segmenter_wrote(const struct segmenter *g)
{
	return g->wrote;
}

int
segmenter_finish(struct segmenter *g, bool ended)
{
	int i;

	flush(g);
	if (!g->listed && !g->identified)
		return 0;
	g->ended = ended;
	if (ended) {
		for (i = 0; i < g->strands; i++)
			put_playlist(g, i, true);
		if (!g->identified)
			open_archive(g);
		write_stream(g, false);
	}
	put_archive(g, ended);
	put_state(g);
	return g->full ? -ENOSPC : 0;
}

void
segmenter_close(struct segmenter **g)
{
	int i;

	if (!*g)
		return;
	for (i = 0; i < (*g)->strands; i++) {
		free((*g)->strand[i].samples);
		buf_free(&(*g)->strand[i].data);
		ts_free(&(*g)->strand[i].ts);
	}
	if ((*g)->archive >= 0)
		close((*g)->archive);
	if ((*g)->lock >= 0)
		close((*g)->lock);
	if ((*g)->dir >= 0)
		close((*g)->dir);
	free((*g)->list);
	free((*g)->dead);
	free(*g);
	*g = NULL;
}
