/*
 * table: things found by name.  A chained hash table that grows, seeded so that nobody can aim.
 *
 * Shape:  embed a struct table_item first in your own struct; find, add, drop, each.
 * Owner:  items belong to the caller; the name is borrowed and has to outlive its item's stay.
 */
#ifndef LV_TABLE_H
#define LV_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_item {
	struct table_item *next;
	const char *name;
	uint64_t hash;
};

struct table { /* zeroed is empty */
	struct table_item **slots;
	size_t size, count;
};

uint64_t table_hash(const char *, size_t);

void *table_find(const struct table *, const char *name);
int table_add(struct table *, struct table_item *, const char *name); /* -ENOMEM */
void table_drop(struct table *, struct table_item *);

/* The item after this one (NULL: the first), in no order.  To drop one, take its next before. */
void *table_next(const struct table *, const void *item);

void table_empty(struct table *, void (*free_item)(void *)); /* and its memory */

#endif
