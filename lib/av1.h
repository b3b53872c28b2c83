/*
 * av1: what a packager has to know of AV1: the configuration record, the size and colours its
 * sequence header tells, and whether a temporal unit can be begun with.  No I/O.
 *
 * Errors: -EBADMSG for a record or header that is broken, ends too early or is not there.
 * Spec:   AV1 Bitstream & Decoding Process 5.3, 5.5, 5.9.2; AV1 Codec ISO Media File Format Binding
 *         2.3 (av1C), 2.4 (samples), 5 (codec string).
 */
#ifndef LV_AV1_H
#define LV_AV1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AV1_SIDE_MAX 16384 /* a wider or higher picture is malformed */

struct av1_config {
	uint8_t profile, level, tier, depth;
	bool mono, still; /* still: the short header of a single picture */
	bool record;      /* the record holds a sequence header, so a frame may do without */
	uint8_t subsampling; /* as the codec string has it: 110 is 4:2:0, its last digit the place */
	uint8_t primaries, transfer, matrix;
	bool full_range;
	int width, height; /* the most that a frame has */
};

struct av1_obu {
	int type;
	const uint8_t *body;
	size_t size;
};
/* The next unit; false at the end, and where a size points outside. */
bool av1_obu_next(const uint8_t **at, const uint8_t *end, struct av1_obu *);

/* The size stays 0 where the record holds no sequence header: the first key frame has one. */
int av1_config_parse(const uint8_t *av1c, size_t, struct av1_config *);
/* A temporal unit that begins with a shown key frame; reads the sequence header in front of it. */
bool av1_key(const uint8_t *unit, size_t, struct av1_config *);
/* The sequence header in it as it is there, with the OBU's own header: its size, 0 when there is none. */
size_t av1_sequence(const uint8_t *unit, size_t, const uint8_t **obu);
size_t av1_delimiter(const uint8_t *unit, size_t); /* bytes in front that MP4 does without */

#define AV1_CODEC 40
const char *av1_codec(char text[AV1_CODEC], const struct av1_config *);

#endif
