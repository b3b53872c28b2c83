/*
 * progress: how much of a recording is written.
 *
 * A bar on a terminal, an event a second for programs, and one of each when all is written.
 */
#ifndef LV_VOD_PROGRESS_H
#define LV_VOD_PROGRESS_H

#include <stdint.h>

void progress_tell(uint64_t done, uint64_t size);
void progress_end(void); /* the bar's line ends, whatever comes after it */

#endif
