#include "segmenter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "file.h"
#include "json.h"
#include "segmenter_parts.h"

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
		seg_drop_first(g);
	if (*g->broadcast)
		g->gone_dsn++;
	snprintf(g->broadcast, sizeof(g->broadcast), "%s", broadcast);
	g->target_s = 0;
	g->dependent = false;
	g->captions = 0;
	g->started_ms = clock_wall_ms();
	g->broken = g->away = g->hole = false;
	g->have = 0;
	g->inits = 0;
	g->time = (struct timeline){ 0 };
	for (i = 0; i < g->strands; i++) {
		g->strand[i].init[0] = '\0';
		g->strand[i].unfit = false;
		g->strand[i].peak_bps = g->strand[i].bytes = g->strand[i].ticks = 0;
	}
	return 0;
}

bool
seg_good_id(const char *s)
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

	if (id && !seg_good_id(id)) {
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
	seg_write_stream(g, true);
	return 0;
}

/* The folder, made when it is missing, and its lock, which somebody may hold. */
static int
open_folder(const char *path, int *dir, int *lock)
{
	int r;

	if ((r = file_folder(AT_FDCWD, path)) < 0)
		return r;
	if ((*dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		(*lock = openat(*dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660)) < 0)
		return -errno;
	return 0;
}

void
seg_open_again(struct segmenter *g)
{
	int dir = -1, lock = -1;
	struct stat st;

	if (fstat(g->dir, &st) < 0 || st.st_nlink)
		return;
	if (open_folder(g->how.dir, &dir, &lock) == 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) {
		close(g->lock);
		close(g->dir);
		g->dir = dir;
		g->lock = lock;
		g->master_due = true;
		seg_write_stream(g, true);
		return;
	}
	if (lock >= 0)
		close(lock);
	if (dir >= 0)
		close(dir);
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
	if ((r = open_folder(how->dir, &g->dir, &g->lock)) < 0)
		goto fail;
	while (flock(g->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= until) {
			r = errno == EWOULDBLOCK ? -EBUSY : -errno;
			goto fail;
		}
		poll(NULL, 0, 20);
	}
	seg_get_state(g);
	seg_look_around(g);
	*out = g;
	return 0;
fail:
	segmenter_close(&g);
	return r;
}

/* ---- what comes in ---- */

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
	k->samples[k->count] = *s;
	k->samples[k->count++].size += (uint32_t)k->ahead;
	k->ahead = 0;
	return 0;
}

/*
 * A tag's time, on one line that never goes back; where it jumps a new run begins.  The tracks of a
 * stream jump one after another: those that come later find the run just begun.
 */
static int64_t
time_of(struct segmenter *g, const struct strand *k, int64_t dts)
{
	const char *why = timeline_follow(&g->time, (int)(k - g->strand), (uint32_t)dts, &dts);

	if (why && g->newest != INT64_MIN &&
		!(g->broken && g->started && MS(dts) - g->start < JUMP)) {
		seg_flush(g);
		warning(0, "%s in %s: the stream goes on with a discontinuity", why, k->name);
	}
	return MS(dts);
}

static void
hear(struct segmenter *g, const struct strand *k, const struct flv_packet *p)
{
	uint8_t triples[CAPTIONS_FRAME_MAX];
	unsigned new = captions_channels(triples, captions_find(p->codec, p->data, p->size, k->codec.nal_len, triples));

	g->master_due |= (new & ~g->captions) != 0;
	g->captions |= new;
}

int
segmenter_packet(struct segmenter *g, int64_t dts_ms, const struct flv_packet *p)
{
	struct sample s = { 0 };
	enum codec_start begins;
	struct strand *k;
	size_t front;
	int64_t t;
	int r;

	if (p->kind != FLV_HEADER && p->kind != FLV_FRAME)
		return 0;
	if (!g->identified) {
		struct mark env;

		mark_from_env(&env);
		if ((r = identify(g, &env, dts_ms)) < 0)
			return r;
	}
	if (!(k = seg_track(g, p->type, p->track)))
		return 0;
	if (!codec_packaged(p->codec, g->how.ts))
		return seg_leave_out(g, k, p->codec);
	if (p->kind == FLV_HEADER) {
		seg_header(g, k, p);
		return 0;
	}
	if (codec_has_config(p->codec) && (!k->known || k->codec.fourcc != p->codec))
		return 0;
	begins = seg_frame(g, k, p);
	front = codec_skip(&k->codec, p->data, p->size);
	if (!k->known || p->size == front)
		return 0;
	t = time_of(g, k, dts_ms);
	s.size = (uint32_t)(p->size - front);
	if (k->video && !codec_has_picture(&k->codec, p->data + front, s.size)) {
		hear(g, k, p);
		if (buf_len(&k->data) + s.size > QUEUE_MAX)
			seg_flush(g);
		k->ahead += s.size;
		return buf_append(&k->data, p->data + front, s.size);
	}
	if (k->video) {
		int32_t cts = p->cts < -10000 || p->cts > 10000 ? 0 : p->cts; /* damaged */
		int64_t pts = t + MS(cts) + (int64_t)p->nano * 9 / 100000;

		hear(g, k, p);
		s.key = begins != CODEC_DELTA;
		s.open = begins == CODEC_OPEN;
		if (!s.key && !g->started && !k->count) {
			k->skipped++; /* nothing can be shown before the first key frame */
			buf_clear(&k->data);
			k->ahead = 0;
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
		s.dts = t * k->codec.rate / HZ;
		if (!timeline_sound(&k->grid, k->codec.rate, codec_samples(&k->codec, p->data, p->size),
			    &s.dts)) {
			dropped(k, "audio runs ahead of its timestamps", 1);
			return 0;
		}
		s.pts = s.dts;
		s.key = true;
	}
	if (g->started && when(k, &s) < g->start - NEAR && k->idle) {
		dropped(k, "too late for its segment", 1);
		return 0;
	}
	if (k->count >= SAMPLES_MAX || buf_len(&k->data) + p->size > QUEUE_MAX)
		seg_flush(g);
	if ((r = push(k, &s, p->data + front)) < 0)
		return r;
	if (t > k->last)
		k->last = t;
	if (t > g->newest)
		g->newest = t;
	seg_cut(g);
	return 0;
}

int
segmenter_cue(struct segmenter *g, int64_t dts, const void *id3, size_t n)
{
	int64_t t = MS(dts);
	int i;

	if (g->newest == INT64_MIN) /* before any media: nothing to say it of */
		return 0;
	if (t - g->newest > JUMP || g->newest - t > JUMP) /* a time that was repaired */
		t = g->newest;
	if (g->cues == CUES_MAX) {
		if (!g->cues_lost)
			warning(0, "more than %d cues in a segment: some are left out", CUES_MAX);
		g->cues_lost = true;
		return 0;
	}
	if ((i = buf_append(&g->cued, id3, n)) < 0)
		return i;
	g->cue[g->cues++] = (struct cue){ t, ++g->cue_id, n };
	return 0;
}

int
segmenter_mark(struct segmenter *g, int64_t dts, const struct mark *m)
{
	g->marked = true;
	switch (m->kind) {
	case MARK_SESSION:
		if (!g->identified) {
			/* An heir is told again of whom the writer before it saw leave. */
			g->away = g->away && !strcmp(m->session, g->session);
			return identify(g, m, dts);
		}
		if (*m->broadcast && strcmp(m->broadcast, g->broadcast)) {
			seg_flush(g);
			return identify(g, m, dts);
		}
		if (strcmp(m->session, g->session)) {
			seg_flush(g);
			snprintf(g->session, sizeof(g->session), "%s", m->session);
		}
		g->away = false;
		return 0;
	case MARK_GAP:
		seg_flush(g);
		if ((g->away = g->listed))
			seg_put_state(g);
		return 0;
	case MARK_DISCONTINUITY:
	case MARK_PARAMS:
		seg_flush(g);
		return 0;
	case MARK_END:
		g->ended = true;
		return 0;
	case MARK_TICK:
		if (g->away && !g->started)
			seg_gap(g, MS(dts));
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

	seg_flush(g);
	if (!g->listed && !g->identified)
		return 0;
	g->ended = ended;
	if (ended) {
		for (i = 0; i < g->strands; i++)
			seg_put_playlist(g, i, true);
		if (!g->identified)
			open_archive(g);
		seg_write_stream(g, false);
	}
	seg_put_archive(g, ended);
	seg_put_state(g);
	return g->full;
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
	buf_free(&(*g)->cued);
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
