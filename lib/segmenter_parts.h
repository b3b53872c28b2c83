/*
 * The parts of segmenter, which share its struct; nobody else includes this.
 *
 *   segmenter.c        who the stream is, what comes in
 *   segmenter_tracks.c its tracks, and what each of them is
 *   segmenter_cut.c    where all tracks are cut
 *   segmenter_media.c  a track's part of a segment becomes a file
 *   segmenter_lists.c  playlists, the archive's too
 *   segmenter_state.c  what a restart has to know, and files whose time is over
 */
#ifndef LV_SEGMENTER_PARTS_H
#define LV_SEGMENTER_PARTS_H

#include "buf.h"
#include "codec.h"
#include "segmenter.h"
#include "timeline.h"
#include "ts.h"

/* One clock for all tracks; its ticks are a 90000th of a second. */
#define HZ 90000
#define MS(ms) ((int64_t)(ms) * 90)

_Static_assert(TRACKS_MAX <= TIMELINE_TRACKS, "a place on the timeline for each track");

/* Limits. */
#define GOP_MAX MS(10000)        /* a segment never gets longer than this */
#define JUMP MS(TIMELINE_JUMP_MS) /* more than this is a jump in time, not a late packet */
#define LATE MS(3000)            /* a track this far behind is not waited for */
#define ALONE MS(1000)           /* the first sound waits so long for a picture that nothing told of */
#define LEAD MS(100)             /* sound may begin so much before the first picture is decoded */
#define NEAR MS(20)              /* key frames of two tracks this near are the same instant */
#define QUEUE_MAX (64 << 20)     /* bytes of one track's unwritten frames */
#define CONFIG_MAX 4096          /* bytes of decoder configuration */
#define SAMPLES_MAX 20000        /* frames of one track's unwritten segment */
#define STATE_MAX (8 << 20)      /* bytes of .state.json */
#define CUES_MAX 64              /* of a segment */
#define EXPIRING_MAX 50000
#define ARCHIVE_EVERY_MS 60000   /* how often the archive's playlists are rewritten */
#define AGAIN MS(30000)          /* a writer before us had this much: it is what came before, again */
#define UNFIT 3                  /* gaps in a row that take the source off the master */
#define BASE 64                  /* <broadcast>-<epoch>-<n> */
#define NAME 80
#define TS_GATHER MS(120)        /* of sound in one packet of a transport stream */
#define NO_INIT "-"              /* where a transport stream has none */

struct sample {
	int64_t dts, pts; /* video: HZ; audio: samples */
	uint32_t size;
	bool key, open; /* open: what follows it may refer to what came earlier */
};

struct entry { /* one track's part of a listed segment */
	char init[NAME + 32]; /* empty: the track was not there */
	int64_t bytes;
	bool gap;
};

struct segment {
	int64_t n, pts, dur, wall_ms; /* pts and dur in HZ */
	int64_t longest; /* HZ: of the lists that it was in */
	char file[BASE + 40]; /* in the folder of each track */
	bool discontinuity, independent;
	struct entry entry[TRACKS_MAX];
};

struct strand { /* one track */
	uint8_t type, id;
	bool video, known, idle, unfit, left_out;
	char name[NAME];
	struct track told;
	uint8_t config[CONFIG_MAX];
	size_t config_size;
	struct codec codec;
	char init[NAME + 32]; /* the init segment of the configuration; empty: not written */
	struct sample *samples;
	size_t count, room;
	struct buf data;
	size_t ahead;      /* bytes at its end that belong to the picture that follows */
	int64_t last;      /* HZ: the newest DTS */
	struct timeline_sound grid; /* audio */
	int64_t last_dur;  /* the newest known frame duration, in the track's own units */
	int64_t peak_bps, bytes, ticks; /* measured */
	double fps;
	int gaps, skipped; /* skipped: frames before the first key frame of a run */
	uint32_t parts;
	struct ts ts; /* its counters, where it is one */
};

struct cue { /* what was said at an instant; its bytes lie behind one another in cued */
	int64_t pts; /* HZ */
	uint32_t id;
	size_t size;
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
	int full; /* why nothing can be written, -errno; 0: it can */
	bool copying, master_due, dependent;
	struct cue cue[CUES_MAX]; /* in the segment that comes */
	int cues;
	uint32_t cue_id;
	bool cues_lost; /* and said so */
	struct buf cued;
	unsigned captions; /* channels that have spoken */
	int64_t next_n, gone_dsn; /* the next number; discontinuities that have left the window */
	int target_s, inits;
	bool started, broken, cutting; /* broken: the next segment is a discontinuity */
	bool away, hole; /* nobody publishes: no source is in what comes; the lists end in gaps */
	int64_t start, cut, newest, media; /* media: the end of what is no gap */
	struct timeline time;
	int64_t have; /* what lies before was written by the process before us; 0: nothing */
	int leader;
	int64_t declared_bps, archived_ms;
};

static inline bool
is_source(const struct strand *k)
{
	return tracks_in_rung(&k->told, "source", 6);
}

static inline int64_t
to_hz(const struct strand *k, int64_t t)
{
	return k->video ? t : t * HZ / k->codec.rate;
}

/* Instants of a sample on the common clock. */
static inline int64_t
when(const struct strand *k, const struct sample *s)
{
	return to_hz(k, s->pts);
}

/* segmenter.c */
bool seg_good_id(const char *); /* of a broadcast */
void seg_open_again(struct segmenter *); /* when the stream's folder was removed */

/* segmenter_tracks.c */
struct strand *seg_track(struct segmenter *, uint8_t type, uint8_t id); /* NULL: too many */
void seg_header(struct segmenter *, struct strand *, const struct flv_packet *);
enum codec_start seg_frame(struct segmenter *, struct strand *, const struct flv_packet *);
int seg_leave_out(struct segmenter *, struct strand *, uint32_t codec);

/* segmenter_media.c */
void seg_failed(struct segmenter *, int err, const char *path); /* said once, until it works again */
void seg_recovered(struct segmenter *);
void seg_drop_samples(struct strand *, size_t n);
void seg_put_media(struct segmenter *, int track, struct segment *, const size_t *counts);

void seg_drop_cues(struct segmenter *, int64_t before);

/* segmenter_lists.c */
void seg_write_stream(struct segmenter *, bool live);
struct strand *seg_sound_of(struct segmenter *, const struct strand *picture); /* or NULL */
void seg_put_master(struct segmenter *);
void seg_put_playlist(struct segmenter *, int track, bool ended);
void seg_put_archive(struct segmenter *, bool ended);

/* segmenter_state.c */
void seg_drop_first(struct segmenter *);
void seg_expire(struct segmenter *, int64_t now);
void seg_put_state(struct segmenter *);
void seg_get_state(struct segmenter *);
void seg_look_around(struct segmenter *);

/* segmenter_cut.c */
void seg_cut(struct segmenter *);
void seg_flush(struct segmenter *);
void seg_gap(struct segmenter *, int64_t until); /* no media until then: whole segments of nothing */

#endif
