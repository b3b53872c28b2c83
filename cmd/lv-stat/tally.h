/*
 * tally counts what the events of others tell, so that it can be asked for: of lv-transcode, lv-segment,
 * lv-tee and lv-vod, which come and go with a stream or a recording.  No I/O, no clock.
 *
 * Shape:  new; line for each line of events; fill when the figures are wanted.
 * Rule:   a stream is told of from its first event to its broadcast.ended, or until there was no event of
 *         it for TALLY_SILENT_MS; then it is gone with all its series.
 * Limits: TALLY_STREAMS at a time; more are counted as lv_events_uncounted_total.
 */
#ifndef LV_STAT_TALLY_H
#define LV_STAT_TALLY_H

#include "metrics.h"

#define TALLY_STREAMS 4096
#define TALLY_SILENT_MS 60000

struct tally;

int tally_new(struct tally **);
void tally_line(struct tally *, const char *line, size_t n, int64_t now_ms); /* Unix time */
void tally_fill(struct tally *, struct metrics *, int64_t now_ms);
void tally_free(struct tally **);

#endif
