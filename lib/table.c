#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS_FIRST 8

/* FNV-1a from a seed of this process, and a last mixing. */
uint64_t
table_hash(const char *s, size_t n)
{
	static uint64_t seed;
	uint64_t h;

	while (!seed)
		if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
			seed = 0x9e3779b97f4a7c15;
	for (h = seed ^ 0xcbf29ce484222325; n; n--, s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	h ^= h >> 32;
	h *= seed | 1;
	return h ^ h >> 29;
}

static struct table_item **
slot(const struct table *t, uint64_t hash)
{
	return &t->slots[hash & (t->size - 1)];
}

void *
table_find(const struct table *t, const char *name)
{
	uint64_t hash;
	struct table_item *i;

	if (!t->count)
		return NULL;
	hash = table_hash(name, strlen(name));
	for (i = *slot(t, hash); i; i = i->next)
		if (i->hash == hash && !strcmp(i->name, name))
			return i;
	return NULL;
}

static void
put(struct table *t, struct table_item *i)
{
	struct table_item **s = slot(t, i->hash);

	i->next = *s;
	*s = i;
}

static int
resize(struct table *t, size_t size)
{
	struct table_item **old = t->slots, **slots = calloc(size, sizeof(struct table_item *)), *i;
	size_t n, old_size = t->size;

	if (!slots)
		return -ENOMEM;
	t->slots = slots;
	t->size = size;
	for (n = 0; n < old_size; n++)
		while ((i = old[n])) {
			old[n] = i->next;
			put(t, i);
		}
	free(old);
	return 0;
}

int
table_add(struct table *t, struct table_item *i, const char *name)
{
	if (t->count >= t->size && resize(t, t->size ? t->size * 2 : SLOTS_FIRST) < 0 && !t->size)
		return -ENOMEM;
	i->name = name;
	i->hash = table_hash(name, strlen(name));
	put(t, i);
	t->count++;
	return 0;
}

void
table_drop(struct table *t, struct table_item *i)
{
	struct table_item **at;

	for (at = slot(t, i->hash); *at != i; at = &(*at)->next)
		;
	*at = i->next;
	t->count--;
}

void *
table_next(const struct table *t, const void *item)
{
	const struct table_item *i = item;
	size_t n = 0;

	if (i && i->next)
		return i->next;
	if (i)
		n = (i->hash & (t->size - 1)) + 1;
	for (; n < t->size; n++)
		if (t->slots[n])
			return t->slots[n];
	return NULL;
}

void
table_empty(struct table *t, void (*free_item)(void *))
{
	struct table_item *i;
	size_t n;

	for (n = 0; n < t->size; n++)
		while ((i = t->slots[n])) {
			t->slots[n] = i->next;
			free_item(i);
		}
	free(t->slots);
	*t = (struct table){ 0 };
}
