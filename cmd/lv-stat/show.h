/*
 * show: a board for people, as a table or a screen that is drawn again and again, and for programs, as
 * a JSON object a line.
 */
#ifndef LV_STAT_SHOW_H
#define LV_STAT_SHOW_H

#include <stdint.h>

#include "board.h"
#include "buf.h"

/* width 0 and height 0: as much as there is. */
void show_table(struct buf *, const struct board *, int64_t now_ms, int width, int height);
void show_json(struct buf *, const struct board *, int64_t now_ms);

/* The terminal is ours from open to close: the other screen, no echo, no cursor. */
int screen_open(void); /* -ENOTTY */
void screen_draw(const struct board *, int64_t now_ms);
void screen_close(void);

#endif
