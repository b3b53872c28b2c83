/*
 * viewers counts who watches what: an address with a user agent that asked for a playlist of a
 * stream within VIEWERS_GONE_MS is one viewer of it.
 *
 * Shape:  new, seen for each playlist asked for, tick about once a second, free.
 * Events: play.started and play.ended for each viewer, viewers.counted for each stream every
 *         VIEWERS_COUNT_MS (and once with 0 when the last has gone).
 * Limits: VIEWERS_MAX at a time; more are served but not counted, with a warning.
 */
#ifndef LV_VIEWERS_H
#define LV_VIEWERS_H

#include <stddef.h>
#include <stdint.h>

#define VIEWERS_GONE_MS 30000
#define VIEWERS_COUNT_MS 10000
#define VIEWERS_MAX 65536

struct viewers;

int viewers_new(struct viewers **);
void viewers_seen(struct viewers *, const char *stream, const char *remote, const char *agent);
void viewers_tick(struct viewers *, int64_t now_ms);
size_t viewers_of(const struct viewers *, const char *stream); /* NULL: of all streams */
/* Each stream that is or was just watched. */
void viewers_each(const struct viewers *, void (*)(void *ctx, const char *stream, size_t viewers), void *ctx);
void viewers_free(struct viewers **); /* play.ended for those who are left */

#endif
