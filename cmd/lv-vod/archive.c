/* Archive: its tracks, and what a folder, a playlist or a list leads to. */
#include "archive_parts.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "place.h"
#include "store.h"

#define LINE_MAX_BYTES 16384

int
arc_listing(struct archive *a, const char *name, struct listing **out)
{
	struct listing *l;

	if ((*out = archive_find(a, name)))
		return 0;
	if (a->listings == LISTINGS_MAX)
		return -EMSGSIZE;
	l = &a->listing[a->listings];
	memset(l, 0, sizeof(*l));
	if (!(l->name = strdup(name)))
		return -ENOMEM;
	a->listings++;
	*out = l;
	return 0;
}

/* A copy, or the last one's when it is the same: few strings for many segments. */
static int
share(char **to, const char *text, char *last)
{
	if (!text || (last && !strcmp(last, text))) {
		*to = text ? last : NULL;
		return 0;
	}
	return (*to = strdup(text)) ? 0 : -ENOMEM;
}

int
arc_segment(struct archive *a, struct listing *l, const struct segment *s)
{
	static const struct segment none;
	const struct segment *last;
	struct segment *to;

	if (a->segments == SEGMENTS_MAX)
		return -EMSGSIZE;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;

		if (!(to = realloc(l->segment, room * sizeof(*to))))
			return -ENOMEM;
		l->segment = to;
		l->room = room;
	}
	last = l->count ? &l->segment[l->count - 1] : &none;
	to = &l->segment[l->count++];
	*to = *s;
	to->last = true;
	to->begins = s->begins || l->count == 1 || to[-1].n >> SOURCE_BIT != a->sources ||
		(s->discontinuity && !*l->session);
	if (l->count > 1)
		to[-1].last = false;
	to->n |= (int64_t)a->sources << SOURCE_BIT;
	to->folder = to->init = to->file = NULL;
	a->segments++;
	if (share(&to->folder, s->folder, last->folder) < 0 || share(&to->init, s->init, last->init) < 0 ||
		!(to->file = strdup(s->file)))
		return -ENOMEM;
	return 0;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static bool
is_segment(const char *name)
{
	return *name != '.' && (ends_with(name, ".m4s") || ends_with(name, ".ts") || ends_with(name, ".cmfv") ||
		ends_with(name, ".cmfa"));
}

static bool
is_init(const char *name)
{
	return *name != '.' && strstr(name, "init") && !is_segment(name);
}

/* The init segment of a segment, by their names: BROADCAST-EPOCH-N and init-BROADCAST-EPOCH-K. */
static char *
init_for(const struct place_names *names, const char *name)
{
	const char *dash = strrchr(name, '-');
	char *any = NULL;
	size_t i;

	if (ends_with(name, ".ts"))
		return NULL;
	for (i = 0; i < names->count; i++) {
		char *init = names->name[i];

		if (!is_init(init))
			continue;
		any = any ? any : init;
		if (dash && !strncmp(init, "init-", 5) && !strncmp(init + 5, name, (size_t)(dash - name + 1)))
			return init;
	}
	return any;
}

/* The number at the end of a name, or -1. */
static int64_t
number_in(const char *name)
{
	const char *dot = strrchr(name, '.'), *p = dot;
	int64_t n = 0;

	while (p > name && isdigit((unsigned char)p[-1]))
		p--;
	if (p == dot || dot - p > 11)
		return -1;
	for (; p < dot; p++)
		n = 10 * n + (*p - '0');
	return n;
}

static int
add_bare(struct archive *a, const char *folder, const char *name)
{
	struct place_names names;
	struct listing *l = NULL;
	int r = place_list(folder, &names);
	size_t i;

	for (i = 0; !r && i < names.count; i++) {
		struct segment s = { .folder = (char *)folder, .file = names.name[i] };

		if (!is_segment(s.file))
			continue;
		s.init = init_for(&names, s.file);
		if ((s.n = number_in(s.file)) < 0)
			s.n = l ? (int64_t)l->count : 0;
		if (!l)
			r = arc_listing(a, name, &l);
		if (!r)
			r = arc_segment(a, l, &s);
		a->guessed = true;
	}
	place_names_free(&names);
	return r;
}

/* A folder without journal: a track for each of its folders, or one in the folder itself. */
static int
add_tracks(struct archive *a, const char *folder)
{
	static const char own[] = "index.m3u8";
	struct place_names names;
	char *sub;
	size_t i;
	int r = place_list(folder, &names);

	for (i = 0; !r && i < names.count; i++) {
		char *name = names.name[i];
		size_t n = strlen(name);

		if (name[n - 1] != '/')
			continue;
		name[n - 1] = '\0';
		if (!(sub = place_path(folder, name)))
			r = -ENOMEM;
		else if ((r = arc_playlist(a, sub, own, name, 1)) == -ENOENT)
			r = add_bare(a, sub, name);
		free(sub);
	}
	place_names_free(&names);
	if (r || a->segments)
		return r;
	r = arc_playlist(a, folder, own, "main", 1);
	return r == -ENOENT ? add_bare(a, folder, "main") : r;
}

static void
learn_broadcast(struct archive *a, const char *folder)
{
	struct buf b = { 0 };
	const char *stream, *broadcast;
	json_t *o = NULL;

	if (arc_get(folder, "broadcast.json", &b) == 0)
		o = json_loads((char *)buf_data(&b), 0, NULL);
	stream = json_string_value(json_object_get(o, "stream"));
	broadcast = json_string_value(json_object_get(o, "broadcast"));
	snprintf(a->stream, sizeof(a->stream), "%s", stream ? stream : "");
	snprintf(a->broadcast, sizeof(a->broadcast), "%s", broadcast ? broadcast : "");
	a->origin_ms = json_integer_value(json_object_get(o, "origin_ms"));
	json_decref(o);
	buf_free(&b);
}

static int
add_folder(struct archive *a, const char *folder)
{
	struct buf b = { 0 };
	int r;

	learn_broadcast(a, folder);
	if ((r = arc_get(folder, "segments.ndjson", &b)) == 0)
		r = arc_journal(a, folder, (char *)buf_data(&b));
	else if (r == -ENOENT && (r = arc_playlist(a, folder, "master.m3u8", "main", 0)) == -ENOENT)
		r = add_tracks(a, folder);
	buf_free(&b);
	return r;
}

/* A line of a list: an init segment, a segment, or a source like those of the command line. */
static int
add_listed(struct archive *a, char *line, char **init, int64_t *n)
{
	char *slash = strrchr(line, '/');
	const char *name = slash ? slash + 1 : line, *folder = slash ? line : ".", *track;
	struct segment s = { .file = (char *)name, .n = *n };
	struct listing *l;
	int r;

	if (!is_segment(name) && !is_init(name))
		return archive_add(a, line);
	if (slash)
		*slash = '\0';
	if (!*folder)
		folder = "/";
	if (is_init(name)) {
		free(*init);
		return (*init = place_path(folder, name)) ? 0 : -ENOMEM;
	}
	s.init = *init && !strncmp(*init, folder, strlen(folder)) && (*init)[strlen(folder)] == '/'
		? *init + strlen(folder) + 1 : NULL;
	track = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
	if (number_in(name) >= 0)
		s.n = number_in(name);
	s.folder = (char *)folder;
	a->guessed = true;
	++*n;
	if ((r = arc_listing(a, *track ? track : "main", &l)) < 0)
		return r;
	return arc_segment(a, l, &s);
}

static int
add_list(struct archive *a)
{
	char *line = NULL, *init = NULL;
	size_t room = 0;
	int64_t n = 0;
	ssize_t len;
	int r = 0;

	while (!r && (len = getline(&line, &room, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > LINE_MAX_BYTES || !strcmp(line, "-"))
			r = -EBADMSG;
		else if (len && *line != '#')
			r = add_listed(a, line, &init, &n);
	}
	if (!r && ferror(stdin))
		r = -EIO;
	free(init);
	free(line);
	return r;
}

/* A folder, or a playlist in one. */
static int
add_source(struct archive *a, const char *source, bool is_folder)
{
	const char *slash = strrchr(source, '/');
	char *folder, *name;
	int r;

	if (is_folder)
		return add_folder(a, source);
	folder = slash ? strndup(source, (size_t)(slash - source + (slash == source))) : strdup(".");
	name = slash && folder && strrchr(folder, '/') ? strdup(strrchr(folder, '/') + 1) : NULL;
	r = !folder ? -ENOMEM
		: arc_playlist(a, folder, slash ? slash + 1 : source, name && *name ? name : "main", 0);
	free(folder);
	free(name);
	return r;
}

static int
add_bucket(struct archive *a, const char *source)
{
	size_t n = strlen(source);
	char *url;
	int r;

	while (n > 6 && source[n - 1] == '/')
		n--;
	if (!(url = strndup(source, n)))
		return -ENOMEM;
	r = add_source(a, url, !ends_with(url, ".m3u8"));
	free(url);
	return r;
}

int
archive_add(struct archive *a, const char *source)
{
	size_t before = a->segments;
	struct stat st;
	int r;

	if (!strcmp(source, "-"))
		return (r = add_list(a)) < 0 ? r : a->segments == before ? -ENODATA : 0;
	if (strstr(source, "://") && !store_is(source))
		return -EREMOTE;
	if (a->sources == SOURCES_MAX)
		return -EMSGSIZE;
	if (store_is(source))
		r = add_bucket(a, source);
	else
		r = stat(source, &st) < 0 ? -errno : add_source(a, source, S_ISDIR(st.st_mode));
	a->sources++;
	return r < 0 ? r : a->segments == before ? -ENODATA : 0;
}

struct listing *
archive_find(struct archive *a, const char *name)
{
	int i;

	for (i = 0; i < a->listings; i++)
		if (!strcmp(a->listing[i].name, name))
			return &a->listing[i];
	return NULL;
}

void
archive_free(struct archive *a)
{
	size_t j;
	int i;

	for (i = 0; i < a->listings; i++) {
		struct listing *l = &a->listing[i];

		for (j = 0; j < l->count; j++) {
			struct segment *s = &l->segment[j];

			free(s->file);
			if (!j || s->init != s[-1].init)
				free(s->init);
			if (!j || s->folder != s[-1].folder)
				free(s->folder);
		}
		free(l->segment);
		free(l->name);
	}
	memset(a, 0, sizeof(*a));
}
