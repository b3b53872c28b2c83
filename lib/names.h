/* names: the words that stand for the values of an enumeration.  No I/O. */
#ifndef LV_NAMES_H
#define LV_NAMES_H

#include <stddef.h>

/* The index of text among n names, of which some may be NULL; -EINVAL: it is none of them, or NULL. */
int names_find(const char *const names[], size_t n, const char *text);
#define NAMES_FIND(names, text) names_find(names, sizeof(names) / sizeof(*(names)), text)

#endif
