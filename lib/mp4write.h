/*
 * mp4write builds the front of an MP4 file, ftyp, moov and the head of mdat, from tables that are
 * kept in rows files: the payload comes after it, in the order in which chunks were told, so that a
 * file with its index first is written from front to back, once, to a pipe as well.
 *
 * Shape:  new; mp4_writer_track for each track; for each chunk its samples, mp4_writer_sample,
 *         then mp4_writer_chunk; at the end mp4_writer_edit and mp4_writer_layout, which gives
 *         the size of all, then mp4_writer_head; free.
 * Units:  dur and cts in the track's timescale; an edit's duration in the movie's.
 * Owner:  entries are copied.
 * Errors: -errno of the tables or of the emitter; -EMSGSIZE over a limit below.
 * Spec:   ISO/IEC 14496-12 8.2 to 8.7.
 */
#ifndef LV_MP4WRITE_H
#define LV_MP4WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP4_OUT_TRACKS 2
#define MP4_OUT_ENTRIES 64 /* sample entries of a track */
#define MP4_OUT_CHAPTERS 255

struct mp4_writer;
int mp4_writer_new(struct mp4_writer **, const char *folder, uint32_t timescale); /* of the movie */
int mp4_writer_track(struct mp4_writer *, bool video, uint32_t timescale, int width, int height);

/* The number of a sample entry (a whole box); an equal one that is there already is taken. */
int mp4_writer_entry(struct mp4_writer *, int track, const uint8_t *entry, size_t);

struct mp4_out_sample {
	uint32_t size, dur;
	int32_t cts;
	uint32_t key;
};
int mp4_writer_sample(struct mp4_writer *, int track, const struct mp4_out_sample *);
void mp4_writer_stretch(struct mp4_writer *, int track, uint32_t dur); /* of the newest sample */
int mp4_writer_chunk(struct mp4_writer *, int track, int entry, uint32_t samples, uint64_t bytes);

/* The track begins after a pause of empty, at media_time, and is shown for dur. */
void mp4_writer_edit(struct mp4_writer *, int track, int64_t empty, int64_t media_time, int64_t dur);

/* A chapter, in the order of time: "chpl" in the user data, which FFmpeg, VLC and most players know. */
void mp4_writer_chapter(struct mp4_writer *, double at_s, const char *title); /* of at most 255 bytes */

uint64_t mp4_writer_samples(const struct mp4_writer *, int track);
int64_t mp4_writer_duration(const struct mp4_writer *, int track); /* of its samples together */

int mp4_writer_layout(struct mp4_writer *, uint64_t *size);
typedef int mp4_emit_fn(void *arg, const void *, size_t);
int mp4_writer_head(struct mp4_writer *, mp4_emit_fn *, void *arg);
void mp4_writer_free(struct mp4_writer **);

#endif
