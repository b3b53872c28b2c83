/*
 * segmenter cuts the tracks of one stream at the same instants, writes segments and playlists
 * below a folder, and keeps the count of them over restarts.
 *
 * Shape:  open (takes the lock, reads the state), then tracks, mark and packet as they come in,
 *         then finish; close at the end.
 * Units:  packets come with milliseconds; inside, one clock of 90000 Hz from media time zero.
 * Errors: open gives -EBUSY when another writer holds the folder, or another -errno.  A full disk
 *         is no error of packet: it is said once, the segment becomes a gap, and on it goes.
 * Order:  media, archive links, journal, playlists, master, state; expiry last.
 * Spec:   RFC 8216bis 6.2; the cuts follow the first encoded video track, or else the source.
 */
#ifndef LV_SEGMENTER_H
#define LV_SEGMENTER_H

#include <stdbool.h>
#include <stdint.h>

#include "captions.h"
#include "flv.h"
#include "mark.h"
#include "tracks.h"

struct segmenter;

#define SEGMENTER_LANGUAGE 36 /* of RFC 5646 */

struct segmenter_options {
	const char *dir, *archive; /* archive: NULL for none */
	bool ts; /* MPEG-TS: a folder a rung, its sound inside; else fMP4, a folder a track */
	int target_ms, window;
	bool deaf; /* captions are not listed, and the master says that there are none */
	char language[CAPTIONS_CHANNELS][SEGMENTER_LANGUAGE]; /* of channels that are listed from the start */
	int lock_ms; /* how long to wait for another writer to leave */
};

int segmenter_open(struct segmenter **, const struct segmenter_options *);
int segmenter_tracks(struct segmenter *, const struct tracks *);
int segmenter_mark(struct segmenter *, int64_t dts, const struct mark *);
int segmenter_packet(struct segmenter *, int64_t dts, const struct flv_packet *);
int segmenter_cue(struct segmenter *, int64_t dts, const void *id3, size_t); /* timed metadata: cue.h */
bool segmenter_marked(const struct segmenter *); /* a mark came: end of file is not the end */
bool segmenter_ended(const struct segmenter *);
bool segmenter_wrote(const struct segmenter *); /* some media came out */
int segmenter_finish(struct segmenter *, bool ended); /* closes the segment; ENDLIST when ended */
void segmenter_close(struct segmenter **);

#endif
