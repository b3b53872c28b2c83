/*
 * crowd: over how many milliseconds publishers' messages are gathered before they are read.  A wake
 * costs as much as several messages do, so the more publish, the longer.
 *
 * least: what the operator asked for: at least so long; 0 never, -1 only where many publish.
 * now:   the present window; what has begun ends a quarter below the number where it began.
 */
#ifndef LV_CROWD_H
#define LV_CROWD_H

#include <stdint.h>

#define CROWD_MERGE_MS 60 /* the shortest window that is chosen where many publish */

uint32_t crowd_merge_ms(int least, int publishers, uint32_t now);

#endif
