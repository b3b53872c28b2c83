#include "metricsread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
		(!first && c >= '0' && c <= '9');
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static const char *
skip_name(const char *p, const char *end)
{
	const char *from = p;

	while (p < end && is_name(*p, p == from))
		p++;
	return p;
}

/* The name at p; NULL when there is none, or a longer one than we know. */
static const char *
take_name(struct metricsread_line *l, const char *p, const char *end)
{
	const char *after = skip_name(p, end);
	size_t n = (size_t)(after - p);

	if (!n || n >= sizeof(l->name))
		return NULL;
	memcpy(l->name, p, n);
	l->name[n] = '\0';
	return after;
}

/* Behind the closing quote of the value that begins at p, which is behind its first; or NULL. */
static const char *
skip_value(const char *p, const char *end)
{
	for (; p < end && *p != '"'; p++)
		if (*p == '\\' && ++p == end)
			return NULL;
	return p < end ? p + 1 : NULL;
}

/* One label, as name="value"; behind it, or NULL.  *name and *value begin there. */
static const char *
take_label(const char *p, const char *end, const char **name, const char **name_end, const char **value)
{
	*name = p;
	*name_end = p = skip_name(p, end);
	if (p == *name || end - p < 2 || p[0] != '=' || p[1] != '"')
		return NULL;
	*value = p + 2;
	return skip_value(*value, end);
}

static const char *
take_labels(struct metricsread_line *l, const char *p, const char *end)
{
	const char *name, *name_end, *value;

	l->labels = p;
	while (p < end && *p != '}') {
		if (!(p = take_label(p, end, &name, &name_end, &value)))
			return NULL;
		if (p < end && *p == ',')
			p++;
		else if (p == end || *p != '}')
			return NULL;
	}
	if (p == end)
		return NULL;
	l->labels_len = (size_t)(p - l->labels);
	return p + 1;
}

static int
take_sample(struct metricsread_line *l, const char *p, const char *end)
{
	char number[64], *over;

	l->kind = METRICSREAD_SAMPLE;
	l->labels = "";
	l->labels_len = 0;
	if (!(p = take_name(l, p, end)))
		return -EBADMSG;
	if (p < end && *p == '{' && !(p = take_labels(l, p + 1, end)))
		return -EBADMSG;
	p = skip_blanks(p, end);
	l->text = p;
	while (p < end && *p != ' ' && *p != '\t')
		p++;
	l->text_len = (size_t)(p - l->text);
	if (!l->text_len || l->text_len >= sizeof(number))
		return -EBADMSG;
	memcpy(number, l->text, l->text_len);
	number[l->text_len] = '\0';
	l->value = strtod(number, &over);
	return *over ? -EBADMSG : 1;
}

/* "# HELP name text" and "# TYPE name type"; any other comment is 0. */
static int
take_comment(struct metricsread_line *l, const char *p, const char *end)
{
	p = skip_blanks(p + 1, end);
	if (end - p < 5 || (memcmp(p, "HELP ", 5) && memcmp(p, "TYPE ", 5)))
		return 0;
	l->kind = *p == 'H' ? METRICSREAD_HELP : METRICSREAD_TYPE;
	if (!(p = take_name(l, skip_blanks(p + 5, end), end)))
		return -EBADMSG;
	l->text = skip_blanks(p, end);
	l->text_len = (size_t)(end - l->text);
	return 1;
}

void
metricsread_begin(struct metricsread *r, const char *text, size_t n)
{
	r->at = text;
	r->end = text + n;
}

int
metricsread_next(struct metricsread *r, struct metricsread_line *l)
{
	const char *p, *end;
	int got = 0;

	while (!got && r->at < r->end) {
		if (!(end = memchr(r->at, '\n', (size_t)(r->end - r->at))))
			return -EBADMSG; /* cut off */
		p = skip_blanks(r->at, end);
		r->at = end + 1;
		if (p < end)
			got = *p == '#' ? take_comment(l, p, end) : take_sample(l, p, end);
	}
	return got;
}

bool
metricsread_label(const struct metricsread_line *l, const char *wanted, char *value, size_t cap)
{
	const char *p = l->labels, *end = p + l->labels_len, *name, *name_end, *from;
	bool escaped;
	size_t n = 0;

	for (; p < end; p += p < end && *p == ',') {
		if (!(p = take_label(p, end, &name, &name_end, &from)))
			return false;
		if (strlen(wanted) != (size_t)(name_end - name) || memcmp(wanted, name, strlen(wanted)))
			continue;
		for (; from < p - 1; from++) {
			if (n + 1 >= cap)
				return false;
			escaped = *from == '\\';
			from += escaped;
			value[n++] = escaped && *from == 'n' ? '\n' : *from;
		}
		value[n] = '\0';
		return true;
	}
	return false;
}
