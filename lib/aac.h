/*
 * aac: the AudioSpecificConfig.  No I/O.
 *
 * Errors: -EBADMSG for a configuration that is broken, ends too early or has no sample rate.
 * Spec:   ISO/IEC 14496-3 1.6.2.1.
 */
#ifndef LV_AAC_H
#define LV_AAC_H

#include <stddef.h>
#include <stdint.h>

struct aac_config {
	int object;      /* 2: AAC-LC, 5: HE-AAC, 29: HE-AAC v2 */
	int rate;        /* of the core, hertz; what a frame's samples are counted in */
	int channels;    /* 0: a program config element says */
	int frame;       /* samples a frame: 1024 or 960 */
};

int aac_config_parse(const uint8_t *asc, size_t, struct aac_config *);

/* A raw frame of silence, at most AAC_SILENCE bytes: its size, or 0 where we have none. */
#define AAC_SILENCE 6
int aac_silence(uint8_t frame[AAC_SILENCE], const struct aac_config *);

#define AAC_CODEC 16
const char *aac_codec(char text[AAC_CODEC], const struct aac_config *);

#endif
