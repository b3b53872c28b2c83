/*
 * recording: the media of an archive put on one time line: what goes into the file, from where.
 *
 * Shape:  recording_new, recording_scan (reads the sample tables of all segments), then
 *         recording_head for the front of the file, recording_next for each piece of its payload;
 *         recording_free.
 * Time:   the picture leads (the sound where there is none).  A segment whose picture is missing
 *         leaves with its sound.  A hole is closed, or kept: the last picture stays, and there is
 *         silence.  Sound runs on without a hole and is never off by more than half a frame:
 *         frames are left out, or silence put in, where that would be passed.
 * Owner:  borrows the archive.
 * Errors: -errno of tables and files; -ENODATA when nothing can be used.
 */
#ifndef LV_VOD_RECORDING_H
#define LV_VOD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aac.h"
#include "archive.h"
#include "chapters.h"
#include "media.h"
#include "mp4write.h"
#include "rows.h"

#define NOTES_MAX 1000
#define NEAR_S 0.004 /* where an exact one is cut, times as near as that are the same: senders round them */

struct recording_options {
	bool keep;           /* holes are kept */
	double from_s, to_s; /* of the recording's time; to_s 0: to its end */
	const char *tables;  /* a folder for tables */
	bool exact;          /* only what is shown is in it: */
	const struct segment *edge[2]; /* the pictures before the first key frame, and from the last one on, where needed */
	struct chapters *chapters; /* NULL: none; a recording uses them up */
};

enum { NOTE_GAP, NOTE_MISSING, NOTE_DAMAGED, NOTE_TRUNCATED, NOTE_CLOSED, NOTE_KEPT, NOTE_BACK, NOTE_PARAMS, NOTE_SILENCE,
	NOTE_SOUND_HOLE, NOTE_KINDS };
extern const char *const note_names[NOTE_KINDS];

struct note { /* something that was found, and when in the recording */
	int kind;
	double at_s;
	int64_t ms; /* its length, where it has one */
	const char *track, *file;
};

struct piece { /* bytes that lie together */
	const struct segment *segment; /* NULL: silence */
	bool video; /* of a transport stream: which of its tracks */
	uint64_t offset, bytes;
};

struct lane { /* a track of the recording */
	const struct listing *from;
	size_t at; /* the next segment */
	struct media media;
	int out; /* the writer's track, -1: none yet */
	uint32_t timescale;
	int entry; /* of what comes next */
	bool begun;
	int64_t base; /* when the first sample begins, in output time */
	int64_t end;  /* when the next one does */
	int64_t last_shown; /* when the last one has been seen or heard */
	uint32_t last_dur;
	uint64_t frames, dropped;
	uint8_t silence[AAC_SILENCE];
	int silence_size;
	int64_t silent;
};

struct held { /* the newest segment, until it is known what follows */
	const struct segment *picture, *sound;
	struct mp4_sample *p, *s; /* in output time */
	size_t np, ns, room_p, room_s;
	int entry_p, entry_s;
	int64_t end; /* of the leader, in output time */
};

struct recording_cut { /* where an exact one is cut */
	bool begun, begins, ends; /* begins, ends: there are pictures before, and behind */
	double begin_s, end_s;
	int32_t delay, end_delay; /* from when a key frame is decoded until it is shown */
};

struct recording {
	struct recording_options how;
	struct media_stream stream;
	struct lane lane[2]; /* the leader, and the sound beside a picture */
	int lanes;
	bool video;
	struct mp4_writer *writer;
	struct rows *pieces;
	struct piece piece; /* being made longer */
	struct held held;
	bool holding, finished;
	struct recording_cut cut;
	struct media edge[2];
	bool joined[2]; /* its parameters are in the sample entries of the others */
	int64_t shift;   /* input time less output time, of the leader */
	int64_t in_end;  /* where the leader goes on, in input time */
	int64_t in_dur;  /* and how long its newest frame lasts */
	int64_t zero;    /* output time of the first picture */
	bool anchored;
	const struct segment *last;
	uint64_t size, segments, used, count[NOTE_KINDS];
	struct note note[NOTES_MAX];
	int notes;
};

int recording_new(struct recording **, const struct listing *leader, const struct listing *sound, bool video,
	const struct recording_options *);
int recording_scan(struct recording *);
double recording_seconds(const struct recording *);
int recording_head(struct recording *, mp4_emit_fn *, void *arg);
int recording_next(struct recording *, struct piece *); /* 1: a piece, 0: that was all */
void recording_free(struct recording **);

#endif
