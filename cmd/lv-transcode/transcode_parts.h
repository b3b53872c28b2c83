/*
 * The parts of transcode, which share its struct; nobody else includes this.
 *
 *   transcode.c           what comes in: held until enough is known, then taken tag by tag
 *   transcode_ladder.c    the rungs that run, and what a restart has to know of them
 *   transcode_pictures.c  a picture of the source becomes one of each rung; where IDRs are
 *   transcode_runs.c      sound and silence, where a run begins and ends, what may leave
 *   transcode_slate.c     what the rungs show while nobody publishes
 *   transcode_load.c      what is measured, and what is left out when we are behind
 *   transcode_tracks.c    what goes out, and how our onMetaData tells of it
 */
#ifndef LV_TRANSCODE_PARTS_H
#define LV_TRANSCODE_PARTS_H

#include "transcode.h"

#include "audio.h"
#include "buf.h"
#include "codec.h"
#include "decode.h"
#include "deinterlace.h"
#include "mark.h"
#include "order.h"
#include "poster.h"
#include "shed.h"
#include "tracks.h"
#include "video.h"

#define STALE_MS 1500 /* a picture or a sound that has not come for so long is away */
#define CADENCE 32    /* intervals that the frame rate is measured over */
#define IDRS 32       /* IDR pictures inside the decoder */
#define NEVER INT64_MIN

struct step { /* a rung of the ladder, as it runs */
	struct transcode *t;
	const struct rung *rung;
	struct video *video;
	struct audio *audio;
	uint8_t track, sound_track;
	int divisor;
	int64_t idr; /* the newest one */
	bool off;    /* shed */
};

struct transcode {
	struct transcode_options how;
	struct ladder ladder;
	struct step step[LADDER_MAX];
	int order_of[LADDER_MAX], steps; /* pictures, the largest first */
	struct step *voice;              /* the first with a sound */
	struct order *order;
	struct buf out, tag, held;
	struct tracks told; /* by the source's onMetaData */
	struct decoder *video, *audio;
	struct deinterlace *deinterlace;
	struct poster *poster;
	struct buf video_head, audio_head;
	struct codec source;               /* of the video's configuration */
	uint32_t video_codec, audio_codec; /* what came first */
	bool decided, replaying, running, passing, silent; /* silent: the source had no sound */
	bool seen_video, seen_audio, told_extra, told_lost;
	struct mark_seen seen;
	char broadcast[27];
	int64_t origin_ms;
	int width, height; /* of the source as it is shown, when the ladder was decided */
	int64_t first, at, video_at, audio_at; /* times of tags; NEVER: none */
	int64_t idr[IDRS];
	unsigned idrs;
	/* pictures */
	int64_t due, last_pts;
	int phase;
	double fps, fps_told;
	int64_t interval[CADENCE];
	unsigned intervals;
	/* slate */
	AVFrame *still; /* the last picture */
	int64_t still_pts, media_at;
	bool slating;
	/* load */
	struct shed shed;
	int64_t looked, measured, measured_at;
	int64_t in, made, lost, reported_in, reported_made, reported_lost;
};

/* transcode_ladder.c */
bool transcode_get_state(struct transcode *); /* of a process before us, for this broadcast */
int transcode_open_ladder(struct transcode *);

/* transcode_pictures.c; the first is for what is left out, and the second a decoder's callback */
void transcode_lose(struct transcode *, int r, const char *what);
int transcode_picture(void *transcode, AVFrame *);
int transcode_drain_pictures(struct transcode *);

/* transcode_runs.c; the first is a decoder's callback */
int transcode_sound(void *transcode, AVFrame *);
int transcode_silence(struct transcode *, int64_t until);
int transcode_fill_silence(struct transcode *);
int transcode_begin_run(struct transcode *, int64_t dts);
int transcode_end_run(struct transcode *);
int transcode_release(struct transcode *);

/* transcode_slate.c */
int transcode_still(struct transcode *, const AVFrame *); /* a picture that was shown */
int transcode_slate(struct transcode *);       /* up to t->at, when nothing has come for long enough */
void transcode_slate_ends(struct transcode *); /* something has come */

/* transcode_load.c */
void transcode_look_at_load(struct transcode *);

/* transcode_tracks.c */
int transcode_put_packet(struct transcode *, int64_t dts, const struct flv_packet *);
int transcode_put_metadata(struct transcode *, int64_t dts);
double transcode_fps(const struct transcode *, const struct rung *);

#endif
