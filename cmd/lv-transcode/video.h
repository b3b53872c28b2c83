/*
 * video: one encoded rung: frames scaled into a picture of constant size, and encoded.
 *
 * Units:  a frame's pts in milliseconds, and so are all times.
 * Errors: video_new gives what the encoder said when neither it nor libx264 can be opened.
 * A picture keeps its shape: it is scaled to fit, and padded where it differs from the rung's.
 * Whatever comes, what leaves is 4:2:0 BT.709 of one size, so that the parameters never change.
 * IDR pictures are where the caller says, and nowhere else.
 */
#ifndef LV_VIDEO_H
#define LV_VIDEO_H

#include <stdbool.h>

#include <libavutil/frame.h>

#include "flv.h"
#include "ladder.h"

struct video;
typedef int video_fn(void *arg, int64_t dts, const struct flv_packet *);
/* fps: expected, for the rate control; the rung is borrowed for as long as the video lives. */
int video_new(struct video **, const struct rung *, double fps, video_fn *, void *arg);
/* scaled: what was encoded, good for a smaller rung to scale from until the next push; NULL when
 * it has borders. */
int video_push(struct video *, const AVFrame *, bool idr, const AVFrame **scaled);
/* Captions (captions.h) for the next picture, and for those after it what is more than it holds; -ENOSPC
 * when so many wait that these are left out.  libx264, h264_nvenc and h264_qsv write them. */
int video_captions(struct video *, const uint8_t *triples, size_t);
uint32_t video_codec(const struct video *);
int video_drain(struct video *);                /* all out; the next picture has to be an IDR */
int video_abandon(struct video *);              /* the same, but what is inside is lost: how many */
void video_floor(struct video *, int64_t dts);  /* nothing may have an earlier dts */
int64_t video_promise(const struct video *);    /* no later packet will have an earlier dts */
void video_free(struct video **);

#endif
