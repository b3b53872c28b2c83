/*
 * emotes: the emotes of the rooms, a line each, and where they are in a text.  No I/O.
 *
 *   NAME                  in every room
 *   NAME /path            and its picture, on the site of the page
 *   @alice NAME /path     in the room alice only
 *   # a remark
 *
 * An emote in a text is a word of its own, with blanks around; case counts.
 * Limits: EMOTES_MAX lines of EMOTES_LINE_MAX bytes.
 */
#ifndef LV_EMOTES_H
#define LV_EMOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "chat.h"

#define EMOTES_MAX 10000
#define EMOTES_LINE_MAX 256
#define EMOTES_URL_MAX 96

struct emotes;

/* -EBADMSG: *line is too long, or not of the form above; -E2BIG: too many lines. */
int emotes_new(struct emotes **, const char *text, size_t n, int *line);
void emotes_free(struct emotes **);

/* The emote's spot without a place in a text; no list knows every name. */
bool emotes_find(const struct emotes *, const char *room, const char *name, struct chat_spot *);

/* Those in a text of UTF-8, the first CHAT_SPOTS_MAX of them; how many. */
int emotes_mark(const struct emotes *, const char *room, const char *text, struct chat_spot spots[CHAT_SPOTS_MAX]);

#endif
