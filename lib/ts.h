/*
 * ts writes an MPEG transport stream of one program: H.264 on one PID, AAC on another, ID3
 * on a third.  No I/O.
 *
 * Shape:  zeroed for a rung; for each segment ts_tables, then frames in the order of their DTS:
 *         ts_video for each picture, ts_audio for a few frames of sound at a time; ts_free.
 *         The counters go on from one segment to the next.
 * Units:  90000 Hz from media time zero; what is written lies TS_OFFSET later, in 33 bits.
 * Errors: stay in the buffer's error; -EBADMSG for a configuration that makes no sense.
 * Spec:   ISO/IEC 13818-1 2.4.3 (packets, PES), 2.4.4 (PAT, PMT); ITU-T H.264 annex B;
 *         ISO/IEC 13818-7 6.2 (ADTS); RFC 8216bis 3.1.1;
 *         "Timed Metadata for HTTP Live Streaming" 2.3.
 */
#ifndef LV_TS_H
#define LV_TS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aac.h"
#include "buf.h"

#define TS_PACKET 188
#define TS_OFFSET 126000 /* so that the clock reference, half a second earlier, is never negative */
#define TS_AUDIO_MAX 8   /* frames of sound together */

struct ts {
	bool video, audio, id3; /* what the program holds */
	uint8_t counter[5]; /* of the tables and the streams */
	struct buf pes; /* being built */
};

int ts_tables(struct buf *, struct ts *);
/* frame: length-prefixed NAL units; avcc: the configuration, whose parameter sets go before an IDR. */
int ts_video(struct buf *, struct ts *, int64_t pts, int64_t dts, bool idr, const uint8_t *avcc,
	size_t avcc_size, int nal_len, const uint8_t *frame, size_t);
/* sizes of count raw frames that lie one after another at data. */
int ts_audio(struct buf *, struct ts *, int64_t pts, const struct aac_config *, const uint32_t *sizes,
	size_t count, const uint8_t *data);
int ts_id3(struct buf *, struct ts *, int64_t pts, const uint8_t *id3, size_t); /* timed metadata */
void ts_free(struct ts *);

#endif
