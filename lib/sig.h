/*
 * sig: the signals of a filter, in one place.
 *
 * SIGTERM and SIGINT ask for a drain: the filter reads on to the end of its input, at most
 * SIG_DRAIN_MS, flushes and exits 0; a second one leaves at once (128 + signal).
 * SIGPIPE is caught by an empty handler, because an ignored signal would survive exec.
 * Daemons take their signals in their libev loop and only call sig_pipe.
 */
#ifndef LV_SIG_H
#define LV_SIG_H

#include <stdbool.h>

#define SIG_DRAIN_MS 5000

void sig_setup(void);
void sig_pipe(void);
bool sig_draining(void);
int sig_drain_left_ms(void); /* -1 while no drain was asked for, 0 when its time is over */

#endif
