/*
 * mp4read finds what a fragmented MP4 holds: the tracks of an init segment, and where the samples
 * of a fragment lie.  The payload itself is never looked at.  No I/O.
 *
 * Shape:  mp4_box to go from box to box; mp4_init_parse for an init segment; a zeroed mp4_walk
 *         for each file, then for each moof mp4_walk_begin and mp4_walk_next until 0.
 * Units:  the track's timescale; offsets count from the file's first byte.
 * Owner:  everything borrows the bytes that were given.
 * Errors: -EBADMSG for what is malformed, -EMSGSIZE for what is over a limit below, -ENOMSG for
 *         an init segment without a track of sound or picture.
 * Spec:   ISO/IEC 14496-12 4.2, 8.2.2, 8.3, 8.5, 8.6.6, 8.8; 14496-14 5.6 (esds).
 */
#ifndef LV_MP4READ_H
#define LV_MP4READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits. */
#define MP4_TRACKS_MAX 8
#define MP4_INIT_MAX (1 << 20)    /* bytes of an init segment */
#define MP4_MOOF_MAX (8 << 20)    /* bytes of a moof */
#define MP4_SAMPLES_MAX 200000    /* of a moof */
#define MP4_ENTRY_MAX 65536       /* bytes of a sample entry */
#define MP4_TIMESCALE_MAX 1000000000
#define MP4_EDIT_MAX_S 3600       /* a longer edit is passed over */
#define MP4_TIME_MAX ((int64_t)1 << 53)

#define MP4_HEAD 16 /* bytes that are enough for mp4_box */
struct mp4_box {
	uint32_t type;
	unsigned head;
	uint64_t size; /* with its head; UINT64_MAX: to the end of the file */
};
int mp4_box(const uint8_t *, size_t, struct mp4_box *); /* 1, or 0: more bytes are needed */

struct mp4_track {
	uint32_t id, timescale, codec; /* codec: the type of its sample entry */
	bool video;
	int width, height;
	const uint8_t *entry; /* its sample entry, a whole box */
	size_t entry_size;
	const uint8_t *config; /* avcC, hvcC, av1C or vpcC, or the AudioSpecificConfig; NULL: another */
	size_t config_size;
	uint32_t dur, size, flags; /* of samples that say nothing of their own */
	int64_t begins; /* by its edit list: its media time at the file's time zero */
};

struct mp4_init {
	int count;
	struct mp4_track track[MP4_TRACKS_MAX];
};
int mp4_init_parse(const uint8_t *, size_t, struct mp4_init *);

struct mp4_sample {
	int track; /* its place in mp4_init */
	int64_t dts;
	int32_t cts;
	uint32_t dur, size;
	bool key;
	uint64_t offset;
};

struct mp4_walk {
	const struct mp4_init *init;
	const uint8_t *at, *end;     /* of the moof, after what was seen */
	const uint8_t *traf, *trun;  /* where the current ones go on */
	const uint8_t *traf_end, *trun_end;
	uint64_t moof, base, data;   /* offsets: of the moof, of the traf's data, of the next sample */
	uint32_t left, flags, first_flags, samples;
	uint32_t dur, size, sample_flags;
	int track;
	bool first, begun;
	int64_t next[MP4_TRACKS_MAX]; /* where a track goes on without tfdt */
};
/* moof: the whole box, that lies at offset in its file. */
int mp4_walk_begin(struct mp4_walk *, const struct mp4_init *, const uint8_t *moof, size_t, uint64_t offset);
int mp4_walk_next(struct mp4_walk *, struct mp4_sample *); /* 1: a sample, 0: the moof is over */

#endif
