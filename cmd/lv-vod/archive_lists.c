/* Archive: what journals and playlists name. */
#include "archive_parts.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

/* A name in a listing: below the listing's folder, and no address. */
static bool
is_inside(const char *name)
{
	const char *p = name;

	if (!*name || *name == '/' || strlen(name) >= NAME_MAX * 4)
		return false;
	for (;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 2 && !strncmp(p, "..", 2))
			return false;
		if (!*(p += n))
			return true;
	}
}

/* A power cut leaves runs of NUL in a journal: what was appended after them counts. */
int
arc_get(const char *folder, const char *name, struct buf *b)
{
	int r = place_get(folder, name, LISTING_BYTES_MAX, b);
	size_t i;

	for (i = 0; !r && i < buf_len(b); i++)
		if (!buf_data(b)[i])
			buf_data(b)[i] = '\n';
	return r < 0 ? r : buf_u8(b, 0);
}

/* The next line of a text; its end is made a NUL. */
static char *
next_line(char **at)
{
	char *line = *at, *end;

	if (!*line)
		return NULL;
	end = line + strcspn(line, "\n");
	*at = *end ? end + 1 : end;
	*end = '\0';
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	return line;
}

static int
add_journal_line(struct archive *a, const char *folder, const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *track = json_string_value(json_object_get(o, "track"));
	const char *session = json_string_value(json_object_get(o, "session"));
	struct segment s = { .n = json_integer_value(json_object_get(o, "n")),
		.file = (char *)json_string_value(json_object_get(o, "file")),
		.init = (char *)json_string_value(json_object_get(o, "init")),
		.wall_ms = json_integer_value(json_object_get(o, "wall_ms")),
		.dur_us = json_integer_value(json_object_get(o, "dur_us")),
		.gap = json_is_true(json_object_get(o, "gap")),
		.discontinuity = json_is_true(json_object_get(o, "discontinuity")) };
	struct listing *l;
	int r = 0;

	if (!track || !is_inside(track) || strchr(track, '/') || !s.file || !is_inside(s.file) ||
		(s.init && !is_inside(s.init)) || s.n < 0 || s.n >> SOURCE_BIT) {
		a->torn++; /* a writer that was killed leaves half a line */
		goto out;
	}
	if (!(s.folder = place_path(folder, track)))
		r = -ENOMEM;
	else if ((r = arc_listing(a, track, &l)) == 0) {
		if (session && (s.begins = strcmp(session, l->session) != 0))
			snprintf(l->session, sizeof(l->session), "%s", session);
		r = arc_segment(a, l, &s);
	}
	free(s.folder);
out:
	json_decref(o);
	return r;
}

int
arc_journal(struct archive *a, const char *folder, char *text)
{
	char *line;
	int r = 0;

	while (!r && (line = next_line(&text)))
		if (*line)
			r = add_journal_line(a, folder, line);
	return r;
}

static int64_t
seconds_us(const char *text)
{
	double s = strtod(text, NULL);

	return s > 0 && s < 86400 ? (int64_t)(s * 1e6 + 0.5) : 0;
}

/* What stands in quotes after URI= */
static char *
quoted_uri(char *line)
{
	char *p = strstr(line, "URI=\""), *end;

	if (!p || !(end = strchr(p + 5, '"')))
		return NULL;
	*end = '\0';
	return p + 5;
}

/* A playlist of its own, named in a master. */
static int
add_variant(struct archive *a, const char *folder, const char *uri, int depth)
{
	const char *slash = strrchr(uri, '/');
	char *sub, *name;
	int r = -ENOMEM;

	if (!is_inside(uri))
		return strstr(uri, "://") ? -EREMOTE : -EBADMSG;
	sub = slash ? (char *)NULL : strdup(folder);
	if (slash && asprintf(&sub, "%s/%.*s", folder, (int)(slash - uri), uri) < 0)
		sub = NULL;
	name = slash ? strndup(uri, (size_t)(slash - uri)) : strndup(uri, strcspn(uri, "."));
	if (sub && name)
		r = arc_playlist(a, sub, slash ? slash + 1 : uri, name, depth + 1);
	free(sub);
	free(name);
	return r == -EEXIST ? 0 : r;
}

int
arc_playlist(struct archive *a, const char *folder, const char *file, const char *name, int depth)
{
	struct buf b = { 0 };
	struct segment s = { .folder = (char *)folder };
	struct listing *l = NULL;
	bool master = false;
	char *at, *line, *uri;
	int64_t n = 0;
	int r;

	if ((r = arc_get(folder, file, &b)) < 0)
		goto out;
	at = (char *)buf_data(&b);
	r = -EBADMSG;
	if (!(line = next_line(&at)) || strncmp(line, "#EXTM3U", 7))
		goto out;
	r = 0;
	while (!r && (line = next_line(&at))) {
		if (!strncmp(line, "#EXT-X-STREAM-INF:", 18) || !strncmp(line, "#EXT-X-MEDIA:", 13)) {
			master = true;
			if (depth)
				r = -EBADMSG;
			else if (line[7] == 'M' && (uri = quoted_uri(line)))
				r = add_variant(a, folder, uri, depth);
		} else if (!strncmp(line, "#EXT-X-MEDIA-SEQUENCE:", 22)) {
			n = strtoll(line + 22, NULL, 10);
			if (n < 0 || n >> SOURCE_BIT)
				n = 0;
		} else if (!strncmp(line, "#EXT-X-KEY:", 11) && !strstr(line, "METHOD=NONE")) {
			r = -ENOTSUP;
		} else if (!strncmp(line, "#EXT-X-BYTERANGE:", 17)) {
			r = -ENOTSUP;
		} else if (!strncmp(line, "#EXT-X-MAP:", 11)) {
			s.init = quoted_uri(line);
			if (s.init && !is_inside(s.init))
				r = strstr(s.init, "://") ? -EREMOTE : -EBADMSG;
		} else if (!strncmp(line, "#EXTINF:", 8)) {
			s.dur_us = seconds_us(line + 8);
		} else if (!strcmp(line, "#EXT-X-GAP")) {
			s.gap = true;
		} else if (!strcmp(line, "#EXT-X-DISCONTINUITY")) {
			s.discontinuity = true;
		} else if (*line && *line != '#' && master) {
			r = add_variant(a, folder, line, depth);
		} else if (*line && *line != '#') {
			if (!is_inside(line)) {
				r = strstr(line, "://") ? -EREMOTE : -EBADMSG;
				break;
			}
			if (!l) {
				r = arc_listing(a, name, &l);
				if (!r && l->count && l->segment[l->count - 1].n >> SOURCE_BIT == a->sources)
					r = -EEXIST; /* two variants share it */
			}
			s.n = n++;
			s.file = line;
			if (!r)
				r = arc_segment(a, l, &s);
			s.gap = s.discontinuity = false;
			s.dur_us = 0;
		}
	}
out:
	buf_free(&b);
	return r;
}
