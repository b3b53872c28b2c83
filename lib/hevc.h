/*
 * hevc: what a packager has to know of HEVC: the configuration record, what its sequence parameter
 * set tells of size, frame rate and colours, and whether a picture can be begun with.  No I/O.
 *
 * Errors: -EBADMSG for a record or parameter set that is broken, ends too early or is not there.
 * Spec:   ISO/IEC 14496-15 8.3.3.1 (hvcC), E.3 (codec string); ITU-T H.265 7.3.1, 7.3.2.2, 7.3.4,
 *         7.3.7, 7.4.2.2, E.2.1.
 */
#ifndef LV_HEVC_H
#define LV_HEVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEVC_SIDE_MAX 16384 /* a wider or higher picture is malformed */

struct hevc_config {
	uint8_t space, tier, profile, level;
	uint32_t compat;
	uint8_t constraints[6];
	int nal_len;
	int width, height; /* in the conformance window */
	double fps;        /* 0: the parameter set does not say */
	uint8_t transfer;  /* H.273 8.2; 2: it does not say */
};

int hevc_config_parse(const uint8_t *hvcc, size_t, struct hevc_config *);
int hevc_sps_parse(const uint8_t *nal, size_t, struct hevc_config *); /* size, rate, colours */

/* What can be begun with.  After a clean random access picture (CRA) others may follow that are
   shown before it and refer to what came earlier: an open group of pictures. */
enum hevc_access { HEVC_NONE, HEVC_CRA, HEVC_CLOSED };
enum hevc_access hevc_access(const uint8_t *frame, size_t, int nal_len);

#define HEVC_CODEC 48
const char *hevc_codec(char text[HEVC_CODEC], const struct hevc_config *);

#endif
