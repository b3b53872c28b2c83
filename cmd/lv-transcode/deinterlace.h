/*
 * deinterlace: whole pictures from interlaced ones; those that are whole pass through.
 *
 * Shape:  push each frame; one comes out for each that went in, a frame later; drain at the end
 *         of a run, after which it begins anew.
 * Units:  pts in milliseconds.
 */
#ifndef LV_DEINTERLACE_H
#define LV_DEINTERLACE_H

#include <stdbool.h>

#include "decode.h"

struct deinterlace;
bool deinterlace_needed(const AVFrame *);
int deinterlace_push(struct deinterlace **, const AVFrame *, decode_fn *, void *arg); /* made by the first */
int deinterlace_drain(struct deinterlace **, decode_fn *, void *arg);
void deinterlace_free(struct deinterlace **);

#endif
