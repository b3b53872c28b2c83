#include "emotes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "text.h"

#define KEY_MAX (TICKET_STREAM_MAX + CHAT_EMOTE_MAX + 2)

struct emote {
	struct table_item item;
	char key[KEY_MAX]; /* the room, empty for every one, a blank, the name */
	char name[CHAT_EMOTE_MAX + 1], url[EMOTES_URL_MAX + 1];
};

struct emotes {
	struct table all;
};

static bool
key_of(char key[KEY_MAX], const char *room, const char *name, size_t n)
{
	return n <= CHAT_EMOTE_MAX && snprintf(key, KEY_MAX, "%s %.*s", room, (int)n, name) < KEY_MAX;
}

/* The next word of a line; its length. */
static size_t
word(const char **s, const char *end, const char **at)
{
	while (*s < end && **s == ' ')
		++*s;
	*at = *s;
	while (*s < end && **s != ' ')
		++*s;
	return (size_t)(*s - *at);
}

/* A path of the site, which needs no escape anywhere. */
static bool
path_good(const char *s, size_t n)
{
	if (n > EMOTES_URL_MAX || *s != '/' || (n > 1 && s[1] == '/'))
		return false;
	for (; n; n--, s++)
		if (!strchr(CHAT_EMOTE_CHARS "/.%~", *s))
			return false;
	return true;
}

static int
take(struct emotes *set, const char *s, size_t n)
{
	char room[TICKET_STREAM_MAX + 1] = "";
	const char *end = s + n, *name, *url, *rest;
	size_t size = word(&s, end, &name), url_size;
	struct emote *e, *old;

	if (n > EMOTES_LINE_MAX)
		return -EBADMSG;
	if (*name == '@') {
		if (size < 2 || size > sizeof(room))
			return -EBADMSG;
		memcpy(room, name + 1, size - 1);
		size = word(&s, end, &name);
	}
	url_size = word(&s, end, &url);
	if (!size || size > CHAT_EMOTE_MAX || word(&s, end, &rest) || (url_size && !path_good(url, url_size)))
		return -EBADMSG;
	if (set->all.count == EMOTES_MAX)
		return -E2BIG;
	if (!(e = calloc(1, sizeof(*e))))
		return -ENOMEM;
	memcpy(e->name, name, size);
	memcpy(e->url, url, url_size);
	if (!chat_emote_good(e->name) || !key_of(e->key, room, name, size)) {
		free(e);
		return -EBADMSG;
	}
	if ((old = table_find(&set->all, e->key))) { /* the last line counts */
		table_drop(&set->all, &old->item);
		free(old);
	}
	if (table_add(&set->all, &e->item, e->key) == 0)
		return 0;
	free(e);
	return -ENOMEM;
}

int
emotes_new(struct emotes **out, const char *text, size_t n, int *line)
{
	struct emotes *set = calloc(1, sizeof(*set));
	const char *s;
	size_t len;
	int r = 0;

	if (!set)
		return -ENOMEM;
	for (*line = 1; n; ++*line) {
		len = text_line(&text, &n, &s);
		if (len && *s != '#' && (r = take(set, s, len)) < 0)
			break;
	}
	if (r < 0)
		emotes_free(&set);
	else
		*out = set;
	return r;
}

void
emotes_free(struct emotes **set)
{
	if (!*set)
		return;
	table_empty(&(*set)->all, free);
	free(*set);
	*set = NULL;
}

static const struct emote *
find(const struct emotes *set, const char *room, const char *name, size_t n)
{
	const struct emote *e = NULL;
	char key[KEY_MAX];

	if (key_of(key, room, name, n))
		e = table_find(&set->all, key);
	if (!e && key_of(key, "", name, n))
		e = table_find(&set->all, key);
	return e;
}

bool
emotes_find(const struct emotes *set, const char *room, const char *name, struct chat_spot *spot)
{
	const struct emote *e = set ? find(set, room, name, strlen(name)) : NULL;

	*spot = (struct chat_spot){ name, e && *e->url ? e->url : NULL, 0, 0 };
	return !set || e;
}

int
emotes_mark(const struct emotes *set, const char *room, const char *text, struct chat_spot spots[CHAT_SPOTS_MAX])
{
	const char *s = text, *end = text + strlen(text), *name;
	const struct emote *e;
	int count = 0, from = 0;
	size_t n;

	while (set && count < CHAT_SPOTS_MAX && (n = word(&s, end, &name))) {
		from += (int)text_count(text, (size_t)(name - text));
		text = name;
		if ((e = find(set, room, name, n)))
			spots[count++] = (struct chat_spot){ e->name, *e->url ? e->url : NULL, from,
				from + (int)n };
	}
	return count;
}
