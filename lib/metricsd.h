/*
 * metricsd answers whoever asks for a command's figures: HTTP, on a port or a socket in the file system.
 *
 * Shape:  OPT_METRICS among the options; metricsd_open before a sandbox closes; then metricsd_start on
 *         a libev loop, or, for a loop of one's own, metricsd_ready once, and metricsd_poll in place of
 *         poll(2); metricsd_close.  Without --metrics there is nothing, and they are for free.
 * Figures: fill writes them when they are asked for; those of the process itself come by themselves.
 * Rule:   the command's work goes first: nothing here waits, and there is one answer a turn.
 * Limits: METRICSD_CLIENTS at a time, METRICSD_REQUEST bytes of request, METRICSD_MS for everything
 *         from the connection to the last byte; else the client is cut.  One answer a connection.
 */
#ifndef LV_METRICSD_H
#define LV_METRICSD_H

#include <stdbool.h>

#include "metrics.h"

#define METRICSD_CLIENTS 8
#define METRICSD_REQUEST 8192
#define METRICSD_MS 5000
#define METRICSD_POLL 4

extern char *metricsd_where; /* as --metrics has it; NULL: nobody asks */
#define OPT_METRICS                                                                                \
	{ "metrics", '\0', POPT_ARG_STRING, &metricsd_where, 0, "answer Prometheus here",          \
		"ADDR:PORT|unix:PATH" }

void metricsd_open(void (*fill)(void *ctx, struct metrics *), void *ctx); /* dies when it cannot */
/* Figures of the process, which come first; unless bare, then fill says them by itself, or does not. */
extern bool metricsd_bare;
void metricsd_process(struct metrics *);
int metricsd_folder(void); /* of its socket, for a sandbox that lets its name go; borrows; -1: none */
void metricsd_ready(void); /* the event server.ready */
int metricsd_fd(void);     /* -1: none; else it is readable when metricsd_turn has something to do */
void metricsd_turn(void);  /* and about once a second */
/* poll(2) of at most METRICSD_POLL of one's own, with our turns in between; ms is at least 0. */
struct pollfd;
int metricsd_poll(struct pollfd *, unsigned n, int ms);
void metricsd_close(void);

struct ev_loop;
void metricsd_start(struct ev_loop *);

#endif
