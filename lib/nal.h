/*
 * nal: NAL units as MP4 and FLV keep them, each behind its length, and what is inside one without
 * its emulation prevention.  No I/O.
 *
 * Spec: ISO/IEC 14496-15 4.3.3, 5.3.3; ITU-T H.264 and H.265 7.3.1.
 */
#ifndef LV_NAL_H
#define LV_NAL_H

#include <stddef.h>
#include <stdint.h>

/* The next NAL unit; 0 at the end, or where a length points outside of the frame. */
size_t nal_next(const uint8_t **at, const uint8_t *end, int nal_len, const uint8_t **nal);
/* Without the prevention bytes, as far as cap reaches: the size. */
size_t nal_unescape(uint8_t *to, size_t cap, const uint8_t *nal, size_t);

#endif
