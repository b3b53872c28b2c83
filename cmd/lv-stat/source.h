/*
 * source: who is asked for figures: commands with --metrics, at a port or a socket, and whoever has a
 * socket NAME.metrics in a folder.
 *
 * Shape:  sources_add for each; then sources_ask again and again: done comes once for each time, when
 *         all have answered or SOURCE_MS is over.
 * Owner:  an answer is the source's, good until the next ask.
 * Limits: SOURCES_MAX at a time, METRICS_BYTES an answer.
 */
#ifndef LV_STAT_SOURCE_H
#define LV_STAT_SOURCE_H

#include <ev.h>
#include <stdbool.h>

#include "buf.h"

#define SOURCES_MAX 256
#define SOURCE_MS 2000
#define SOURCE_UNIT 80

struct source {
	char unit[SOURCE_UNIT]; /* the name of its socket without .metrics, or its address */
	bool up;                /* it has answered */
	const char *text;       /* what it said */
	size_t len;
	/* source.c's own: */
	char *where;
	bool found, asked; /* in a folder; and not answered yet */
	int fd;
	ev_io io;
	struct buf in;
	size_t sent;
	struct source *next;
};

int sources_add(const char *where); /* -EINVAL: neither a folder nor an address */
void sources_ask(struct ev_loop *, void (*done)(struct ev_loop *));
bool sources_any(void); /* some were added, whether they are there or not */
const struct source *sources_first(void); /* and by next, in the order of their names */
void sources_free(struct ev_loop *);

#endif
