/*
 * audio: decoded sound into one AAC track, 48 kHz stereo, on a grid of 1024 samples from time 0.
 *
 * What is missing becomes silence, what comes twice is dropped, and the encoder's own delay is
 * taken off, so that a packet's time is that of the sound in it.
 * Shape:  new; begin at the first time wanted; (push | fill) repeated; drain, then begin again.
 * Units:  milliseconds in and out.
 */
#ifndef LV_AUDIO_H
#define LV_AUDIO_H

#include <libavutil/frame.h>

#include "flv.h"

struct audio;
/* A packet of the track, or its configuration (FLV_HEADER); nothing of it may be kept. */
typedef int audio_fn(void *arg, int64_t dts, const struct flv_packet *);
int audio_new(struct audio **, int kbps, audio_fn *, void *arg);
int audio_begin(struct audio *, int64_t ms);
int audio_push(struct audio *, const AVFrame *);
int audio_fill(struct audio *, int64_t until_ms); /* silence, where nothing has come until then */
int audio_drain(struct audio *);
int64_t audio_promise(const struct audio *); /* no later packet will have an earlier dts */
void audio_free(struct audio **);

#endif
