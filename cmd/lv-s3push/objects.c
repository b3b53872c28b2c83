#include "objects.h"

#include <stdlib.h>
#include <string.h>

static size_t
slot_of(const struct objects *o, const char *path)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	return (size_t)(h ^ h >> 32) & (o->nslots - 1);
}

struct object *
objects_find(const struct objects *o, const char *path)
{
	struct object *ob = o->nslots ? o->slots[slot_of(o, path)] : NULL;

	while (ob && strcmp(ob->path, path))
		ob = ob->next;
	return ob;
}

static bool
grow(struct objects *o)
{
	struct objects bigger = { .nslots = o->nslots ? 2 * o->nslots : 1024 };
	struct object *ob, *next;
	size_t i, at;

	if (!(bigger.slots = calloc(bigger.nslots, sizeof(*bigger.slots))))
		return false;
	for (i = 0; i < o->nslots; i++)
		for (ob = o->slots[i]; ob; ob = next) {
			next = ob->next;
			at = slot_of(&bigger, ob->path);
			ob->next = bigger.slots[at];
			bigger.slots[at] = ob;
		}
	free(o->slots);
	o->slots = bigger.slots;
	o->nslots = bigger.nslots;
	return true;
}

struct object *
objects_get(struct objects *o, const char *path)
{
	struct object *ob = objects_find(o, path);
	size_t n = strlen(path) + 1, at;

	if (ob)
		return ob;
	if ((o->n >= o->nslots && !grow(o)) || !(ob = calloc(1, sizeof(*ob) + n)))
		return NULL;
	memcpy(ob->path, path, n);
	ob->kind = kind_of(path);
	ob->kept = kind_kept(path);
	ob->size = -1;
	at = slot_of(o, path);
	ob->next = o->slots[at];
	o->slots[at] = ob;
	o->n++;
	return ob;
}

void
objects_remove(struct objects *o, struct object *ob)
{
	struct object **link = &o->slots[slot_of(o, ob->path)];

	while (*link != ob)
		link = &(*link)->next;
	*link = ob->next;
	o->n--;
	free(ob);
}

void
objects_each(struct objects *o, void (*fn)(void *ctx, struct object *), void *ctx)
{
	struct object *ob, *next;
	size_t i;

	for (i = 0; i < o->nslots; i++)
		for (ob = o->slots[i]; ob; ob = next) {
			next = ob->next;
			fn(ctx, ob);
		}
}

void
objects_free(struct objects *o)
{
	struct object *ob, *next;
	size_t i;

	for (i = 0; i < o->nslots; i++)
		for (ob = o->slots[i]; ob; ob = next) {
			next = ob->next;
			free(ob);
		}
	free(o->slots);
	memset(o, 0, sizeof(*o));
}
