/* clock: the two clocks, in milliseconds, and the one way we write a date. */
#ifndef LV_CLOCK_H
#define LV_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ms(void); /* never jumps; for time-outs and lag */
int64_t clock_mono_us(void); /* the same in microseconds; for what is over in less */
int64_t clock_wall_ms(void); /* Unix time; for what people and other machines read */

/* RFC 3339, UTC, milliseconds: 2025-06-01T18:04:05.123Z (24 characters and a NUL). */
#define CLOCK_TEXT 32
const char *clock_text(char buf[CLOCK_TEXT], int64_t wall_ms);

#endif
