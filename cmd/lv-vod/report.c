#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "fdio.h"

static void
set(json_t *o, const char *key, json_int_t value)
{
	json_object_set_new(o, key, json_integer(value));
}

static void
set_text(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

static json_t *
found(const struct recording *r)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < r->notes; i++) {
		const struct note *n = &r->note[i];
		json_t *o = json_object();

		set_text(o, "what", note_names[n->kind]);
		set(o, "at_ms", llround(n->at_s * 1000));
		if (n->ms)
			set(o, "dur_ms", n->ms);
		set_text(o, "track", n->track);
		set_text(o, "file", n->file);
		json_array_append_new(list, o);
	}
	return list;
}

static int64_t
silent_ms(const struct recording *r)
{
	const struct lane *l = &r->lane[r->lanes - 1];

	return l->timescale ? l->silent * 1000 / l->timescale : 0;
}

int
report_write(int fd, const struct recording *r, const struct archive *a, const char *output)
{
	const struct lane *sound = r->lanes > 1 ? &r->lane[1] : r->video ? NULL : &r->lane[0];
	json_t *o = json_object(), *counts = json_object();
	char *text;
	int i, e;

	set_text(o, "output", output);
	set_text(o, "stream", a->stream);
	set_text(o, "broadcast", a->broadcast);
	if (r->video)
		set_text(o, "video", r->lane[0].from->name);
	if (sound)
		set_text(o, "audio", sound->from->name);
	set(o, "dur_ms", llround(recording_seconds(r) * 1000));
	set(o, "size_bytes", (json_int_t)r->size);
	set(o, "segments", (json_int_t)r->segments);
	set(o, "segments_used", (json_int_t)r->used);
	if (r->video) {
		set(o, "video_frames", (json_int_t)r->lane[0].frames);
		set(o, "video_frames_dropped", (json_int_t)r->lane[0].dropped);
	}
	if (sound) {
		set(o, "audio_frames", (json_int_t)sound->frames);
		set(o, "audio_frames_dropped", (json_int_t)sound->dropped);
		set(o, "silence_ms", silent_ms(r));
	}
	if (a->torn)
		set(o, "journal_lines_torn", a->torn);
	json_object_set_new(o, "guessed", json_boolean(a->guessed));
	for (i = 0; i < NOTE_KINDS; i++)
		if (r->count[i])
			set(counts, note_names[i], (json_int_t)r->count[i]);
	json_object_set_new(o, "counts", counts);
	json_object_set_new(o, "found", found(r));
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	e = text ? fdio_write_all(fd, text, strlen(text)) : -ENOMEM;
	if (!e)
		e = fdio_write_all(fd, "\n", 1);
	free(text);
	json_decref(o);
	return e;
}

void
report_warn(const struct recording *r, const struct archive *a)
{
	static const char *const words[NOTE_KINDS] = { "segments that the archive calls gaps", "segments missing", "segments damaged and left out",
		"segments cut off, and used up to there", "holes closed", "holes kept",
		"clocks set back: the recording goes on", "changes of parameters: a player may stumble there",
		"pauses in the sound filled with silence", "pauses in the sound that could not be filled" };
	int i;

	if (a->torn)
		warning(0, "lines of the journal that make no sense: %d", a->torn);
	if (a->guessed)
		warning(0, "no journal and no playlist: the segments' order was told by their names");
	for (i = 0; i < NOTE_KINDS; i++)
		if (r->count[i])
			warning(0, "%s: %" PRIu64, words[i], r->count[i]);
}
