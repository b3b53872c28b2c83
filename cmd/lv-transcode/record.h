/*
 * record: what encoders make, as FLV carries it: NAL units behind their lengths in place of start
 * codes, and the configuration record from parameter sets or a sequence header.
 *
 * Errors: -ENOTSUP for another codec than H.264, HEVC and AV1, -EBADMSG where a parameter set is
 *         missing; those of the buffer.
 * Spec:   ISO/IEC 14496-15 5.3.3.1 (avcC) and 8.3.3.1 (hvcC); AV1 Codec ISO Media File Format Binding
 *         2.3 (av1C).  Eight bits and 4:2:0, as all our encoders' pictures are.
 */
#ifndef LV_RECORD_H
#define LV_RECORD_H

#include "buf.h"

/* From an encoder's extradata, or a key frame: one with the parameters in it. */
int record_config(struct buf *, uint32_t fourcc, const uint8_t *, size_t);
int record_frame(struct buf *, uint32_t fourcc, const uint8_t *packet, size_t);

#endif
