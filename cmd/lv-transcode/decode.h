/*
 * decode: one track's packets into frames; the only place that knows decoders.
 *
 * Units:  times in milliseconds; a frame's pts is that of its packet.
 * Errors: -ENOTSUP for a codec that is not there, -EBADMSG for a configuration it refuses.
 *         A packet that does not decode is not an error: it is counted.
 */
#ifndef LV_DECODE_H
#define LV_DECODE_H

#include <libavutil/frame.h>

#include "flv.h"

struct decoder;
typedef int decode_fn(void *arg, AVFrame *);
int decoder_new(struct decoder **, const struct flv_packet *head);
int decoder_push(struct decoder *, int64_t pts, const struct flv_packet *, decode_fn *, void *arg);
int decoder_flush(struct decoder *, decode_fn *, void *arg); /* all out; ready for more */
int64_t decoder_bad(const struct decoder *);
void decoder_free(struct decoder **);

#endif
