/*
 * captions: CEA-608 and CEA-708 as they ride in pictures (ATSC A/53): triples of a flag byte and two
 * bytes of data, in an SEI message of H.264 and HEVC or in a metadata OBU of AV1.  No I/O.
 *
 * Shape:  captions_find gives a coded frame's triples, captions_channels what channels speak there;
 *         frames may come in any order.
 * Errors: what is broken or cut off holds no captions.
 * Spec:   ATSC A/53 part 4, 6.2.3; CTA-608-E annex F, 8.4; CTA-708-E 4.4, 5; ITU-T H.264 D.1.6;
 *         AV1 5.8.2.
 */
#ifndef LV_CAPTIONS_H
#define LV_CAPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTIONS_TRIPLE 3
#define CAPTIONS_FRAME_MAX (31 * CAPTIONS_TRIPLE) /* bytes that a picture can hold */

/* Bits of what has spoken: SERVICE1 ... SERVICE6, then CC1 ... CC4: hls.js takes the name of the last. */
#define CAPTIONS_CHANNELS 10
#define CAPTIONS_SERVICES 6

/* The triples of a frame of the FourCC given: their bytes, 0 when there are none. */
size_t captions_find(uint32_t fourcc, const uint8_t *frame, size_t, int nal_len, uint8_t to[CAPTIONS_FRAME_MAX]);
unsigned captions_channels(const uint8_t *triples, size_t);
int captions_named(const char *name, size_t); /* "CC1": its bit's number; -1 for none */
const char *captions_name(int number);
bool captions_padding(const uint8_t triple[CAPTIONS_TRIPLE]); /* it says nothing */

#endif
