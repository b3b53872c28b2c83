/*
 * rows: records of one size in a file without a name, for tables that may outgrow memory.
 *
 * Shape:  new, rows_add as often as needed, then any number of times rows_rewind and
 *         rows_next until 0; free.  No adding between rewind and the last next.
 * Owner:  rows_next gives a pointer that is good until the next call, rows_last one that is
 *         good until the next rows_add.
 * Errors: -errno of the file.
 */
#ifndef LV_ROWS_H
#define LV_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct rows;
int rows_new(struct rows **, const char *folder, size_t record);
int rows_add(struct rows *, const void *);
void *rows_last(struct rows *); /* the newest record, to be changed in place; NULL: there is none */
uint64_t rows_count(const struct rows *);
void rows_rewind(struct rows *);
int rows_next(struct rows *, const void **); /* 1: a record, 0: that was all */
void rows_free(struct rows **);

#endif
