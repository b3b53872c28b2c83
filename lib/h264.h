/*
 * h264: what a packager has to know of H.264: the configuration record, what its sequence parameter
 * set tells of size, frame rate and colours, and whether a picture is an IDR.  No I/O.
 *
 * Errors: -EBADMSG for a record or parameter set that is broken or ends too early.
 * Spec:   ISO/IEC 14496-15 5.3.3.1 (avcC); ITU-T H.264 7.3.2.1, E.1; RFC 6381 (codec string).
 */
#ifndef LV_H264_H
#define LV_H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define H264_SIDE_MAX 16384 /* a wider or higher picture is malformed */

struct h264_config {
	uint8_t profile, compat, level;
	int nal_len;       /* bytes of a NAL unit's length: 1, 2 or 4 */
	int width, height; /* after cropping */
	double fps;        /* 0: the parameter set does not say */
	uint8_t transfer;  /* H.273 8.2; 2: it does not say */
};

int h264_config_parse(const uint8_t *avcc, size_t, struct h264_config *);
int h264_sps_parse(const uint8_t *nal, size_t, struct h264_config *);
bool h264_idr(const uint8_t *frame, size_t, int nal_len); /* one of its slices is an IDR slice */

/* One record that holds the parameter sets of both; -EEXIST when they have a number in common, -EMSGSIZE
   for more than a record holds, -EINVAL for lengths of NAL units that differ. */
int h264_config_join(struct buf *, const uint8_t *a, size_t na, const uint8_t *b, size_t nb);

#define H264_CODEC 16
const char *h264_codec(char text[H264_CODEC], const struct h264_config *);

#endif
