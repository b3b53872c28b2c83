/*
 * event: facts for programs, one JSON object a line, at most 4096 bytes in one write.
 *
 * Shape:  events_open for each --events (opt_parse does it), then begin, fields, send;
 *         daemons call events_flush from their loop, filters need not; events_close at exit.
 * Rule:   nobody waits for an event reader and nobody dies of one.  A descriptor is reopened
 *         non-blocking through /proc/self/fd, so that no inherited description changes; a sink
 *         that takes nothing queues up to 1 MB, then drops and reports events.dropped with a
 *         count (publish.* and broadcast.* are kept until delivered); EPIPE is one warning;
 *         a path is opened again when its reader has gone.
 * Fields: ts, src, event; then stream and broadcast where events_about named them.
 * Registry: man/lv-events.7 defines every event.
 */
#ifndef LV_EVENT_H
#define LV_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

#define EVENT_MAX 4096 /* bytes a line, with its newline: PIPE_BUF */

struct event {
	struct json json;
	bool kept; /* publish.* and broadcast.* */
	char text[4 * EVENT_MAX];
};

int events_open(const char *where); /* a descriptor's number or a path; -errno when it is bad */
void events_open_env(void);         /* LV_EVENTS_FD, when no --events was given and it is good */
bool events_wanted(void);
void events_about(const char *stream, const char *broadcast); /* NULL leaves the field out */

void event_begin(struct event *, const char *name);
void event_str(struct event *, const char *key, const char *value);
void event_int(struct event *, const char *key, int64_t value);
void event_num(struct event *, const char *key, double value, int decimals);
void event_bool(struct event *, const char *key, bool value);
void event_send(struct event *);

bool events_flush(void);        /* true while something is still queued */
void events_close(int wait_ms); /* the last chance for what is queued */

#endif
