/*
 * avpar: the codecs of FLV as libavcodec knows them: its number for each, and its parameters.
 *
 * Owner:  what is given is borrowed; avpar_extradata points into it; the parameters are the caller's.
 * Errors: avpar_read gives -ENOMEM.  What neither packet says is left as it was.
 */
#ifndef LV_AVPAR_H
#define LV_AVPAR_H

#include <stddef.h>
#include <stdint.h>

#include "flv.h"

struct AVCodecParameters;

int avpar_codec(uint32_t fourcc); /* libavcodec's number of it; 0: it is none of ours */
uint32_t avpar_fourcc(int codec); /* the other way */
/* Of a configuration as FLV has it, what libavcodec takes: its size, perhaps 0. */
size_t avpar_extradata(const struct flv_packet *head, const uint8_t **extra);
/* Into fresh parameters: what the configuration and a frame say.  One of the two may be NULL. */
int avpar_read(struct AVCodecParameters *, const struct flv_packet *head, const struct flv_packet *first);

#endif
