/*
 * notify: what a daemon tells systemd of itself (sd_notify(3)), over the socket in NOTIFY_SOCKET;
 * nothing, where there is none.
 *
 * Shape:  notify_ready once everybody can be served; notify_tick from a timer of the loop, which is
 *         what the watchdog (WatchdogSec=) watches; reloading, then ready, around a reload.
 * Errors: none: whoever does not listen is not told.
 */
#ifndef LV_NOTIFY_H
#define LV_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_tick(int64_t now_ms); /* clock_mono_ms; a sign of life at half of WATCHDOG_USEC */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* one line */

#endif
