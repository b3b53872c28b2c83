/*
 * cue: what a publisher says at an instant, onTextData and onCuePoint, as an ID3 tag that players know
 * from HLS: a TXXX frame, described by the script's name, whose text is the value as JSON.  No I/O.
 *
 * Errors: cue_id3 gives 1, 0 for another tag, -EBADMSG for a broken one, -EMSGSIZE over CUE_MAX.
 * Spec:   ID3v2.4.0 structure 3.1, 4, frames 4.2.6; AMF 0.
 */
#ifndef LV_CUE_H
#define LV_CUE_H

#include "buf.h"
#include "flv.h"

#define CUE_MAX 8192 /* bytes of the JSON */

int cue_id3(const struct flv_tag *, struct buf *);

#endif
