/*
 * board: the streams and the commands, a row each, out of what the sources said.  No I/O.
 *
 * Shape:  clear, then take for each source, then rows in the order of their names.
 * Units:  as in the names; a figure that nobody told is NAN.
 */
#ifndef LV_STAT_BOARD_H
#define LV_STAT_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"
#include "table.h"

#define BOARD_STREAMS 10000
#define BOARD_PROBLEMS 192

enum board_figure {
	BOARD_LIVE, BOARD_START_S, BOARD_BPS, BOARD_FPS, BOARD_KEYS_S, BOARD_DRIFT_S, BOARD_RECONNECTS,
	BOARD_VIEWERS, BOARD_CHAT, BOARD_SPEED, BOARD_LEVEL, BOARD_LAG_S, BOARD_PUBLISH_LAG_S,
	BOARD_PLAYLIST_AGE_S, BOARD_S3_LAG_S, BOARD_FIGURES
};

struct board_row {
	struct table_item item; /* first */
	char stream[65];
	double figures[BOARD_FIGURES];
	char problems[BOARD_PROBLEMS]; /* names, parted by commas */
};

struct board_unit { /* a command */
	char unit[SOURCE_UNIT], command[32], version[32];
	bool up;
	double start_s, memory_bytes, cpu_s;
};

struct board {
	struct board_row **rows; /* when sorted */
	struct table streams;
	size_t nrows;
	struct board_unit units[SOURCES_MAX];
	size_t nunits;
	double publishers, connections, chat; /* of all */
};

void board_clear(struct board *);
/* unit NULL: what the text says of a command itself is passed over. */
void board_take(struct board *, const char *unit, bool up, const char *text, size_t n);
int board_sort(struct board *); /* when all were taken; -ENOMEM */
void board_free(struct board *);

#endif
