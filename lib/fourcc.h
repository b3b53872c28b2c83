/*
 * fourcc: the codecs of Enhanced RTMP by name, and sets of them.
 *
 * Names:  the FourCC ("hvc1"), or what people say ("hevc", "h265"), in any case.
 * Sets:   a bit each, FOURCCS_ALL for all; a codec that is none of them (0) is in no other set.
 */
#ifndef LV_FOURCC_H
#define LV_FOURCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOURCCS 11
#define FOURCCS_ALL 0xffffffffU

struct fourcc {
	uint32_t code;
	bool video;
	char name[5];
	const char *also[2]; /* in lower case */
};
extern const struct fourcc fourccs[FOURCCS];

int fourccs_parse(const char *list, uint32_t *set); /* "avc1,aac"; -EINVAL: a name that is none */
bool fourccs_have(uint32_t set, uint32_t code);
void fourccs_text(uint32_t set, char *text, size_t cap); /* "avc1, mp4a" */

#endif
