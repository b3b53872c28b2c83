#include "words.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct word {
	char room[65]; /* empty: every room */
	bool begun, open; /* anything may be before it, and behind */
	size_t n;
	uint32_t code[];
};

struct words {
	size_t count, cap;
	struct word **all;
};

/* Small letters of the scripts that have them by arithmetic: Latin-1, Greek and Cyrillic. */
static uint32_t
fold(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) ||
		(c >= 0x410 && c <= 0x42f))
		return c + 32;
	return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

static bool
is_letter(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0xaa;
}

/* What is compared, at most n characters; -EBADMSG for what is not UTF-8. */
static int
spell(uint32_t *code, const char *s, size_t n)
{
	size_t len, count = 0;
	uint32_t c;

	for (; n; s += len, n -= len) {
		if (!(len = text_char(s, n, &c)))
			return -EBADMSG;
		if (!text_hidden(c) && !text_mark(c))
			code[count++] = fold(c);
	}
	return (int)count;
}

static int
word_add(struct words *w, const char *s, size_t n)
{
	uint32_t code[WORDS_LINE_MAX];
	struct word *word, **all;
	size_t room = 0;
	bool begun, open;
	int count;

	if (n > WORDS_LINE_MAX)
		return -EBADMSG;
	if (*s == '@') {
		while (room < n && s[room] != ' ')
			room++;
		if (room < 2 || room > 65 || room == n)
			return -EBADMSG;
	}
	if ((count = spell(code, s + room + (room > 0), n - room - (room > 0))) <= 0)
		return -EBADMSG;
	begun = code[0] == '*';
	open = count > 1 && code[count - 1] == '*';
	if ((count -= begun + open) <= 0)
		return -EBADMSG;
	if (w->count == WORDS_MAX)
		return -E2BIG;
	if (w->count == w->cap) {
		if (!(all = realloc(w->all, (w->cap ? w->cap * 2 : 64) * sizeof(struct word *))))
			return -ENOMEM;
		w->all = all;
		w->cap = w->cap ? w->cap * 2 : 64;
	}
	if (!(word = calloc(1, sizeof(*word) + (size_t)count * sizeof(uint32_t))))
		return -ENOMEM;
	word->begun = begun;
	word->open = open;
	word->n = (size_t)count;
	memcpy(word->code, code + begun, word->n * sizeof(uint32_t));
	if (room)
		memcpy(word->room, s + 1, room - 1);
	w->all[w->count++] = word;
	return 0;
}

int
words_new(struct words **out, const char *text, size_t n, int *line)
{
	struct words *w = calloc(1, sizeof(*w));
	const char *s;
	size_t len;
	int r = 0;

	if (!w)
		return -ENOMEM;
	for (*line = 1; n; ++*line) {
		len = text_line(&text, &n, &s);
		if (len && *s != '#' && (r = word_add(w, s, len)) < 0)
			break;
	}
	if (r < 0)
		words_free(&w);
	else
		*out = w;
	return r;
}

void
words_free(struct words **words)
{
	struct words *w = *words;
	size_t i;

	if (!w)
		return;
	for (i = 0; i < w->count; i++)
		free(w->all[i]);
	free(w->all);
	free(w);
	*words = NULL;
}

static bool
word_in(const struct word *w, const uint32_t *code, size_t n)
{
	size_t at, end;

	for (at = 0; at + w->n <= n; at++) {
		end = at + w->n;
		if (memcmp(code + at, w->code, w->n * sizeof(uint32_t)))
			continue;
		if (!w->begun && at && is_letter(code[at - 1]) && is_letter(code[at]))
			continue;
		if (w->open || end == n || !is_letter(code[end]) || !is_letter(code[end - 1]))
			return true;
	}
	return false;
}

bool
words_in(const struct words *w, const char *room, const char *text)
{
	size_t size = strlen(text), i;
	uint32_t *code = w && size ? malloc(size * sizeof(*code)) : NULL;
	bool found = false;
	int n;

	if (!code)
		return false;
	if ((n = spell(code, text, size)) > 0)
		for (i = 0; i < w->count && !found; i++)
			found = (!*w->all[i]->room || !strcmp(w->all[i]->room, room)) &&
				word_in(w->all[i], code, (size_t)n);
	free(code);
	return found;
}
