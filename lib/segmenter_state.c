/* Segmenter: what a restart has to know, and files whose time is over. */
#include "segmenter_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

static void
bury(struct segmenter *g, const char *path, int64_t when_ms)
{
	struct dead *d;

	if (g->deads == g->dead_room) {
		size_t room = g->dead_room ? 2 * g->dead_room : 64;

		if (room > EXPIRING_MAX || !(d = realloc(g->dead, room * sizeof(*d)))) {
			unlinkat(g->dir, path, 0);
			return;
		}
		g->dead = d;
		g->dead_room = room;
	}
	d = &g->dead[g->deads++];
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->when_ms = when_ms;
}

static bool
init_in_use(const struct segmenter *g, int track, const char *init)
{
	int i;

	if (!strcmp(g->strand[track].init, init))
		return true;
	for (i = 0; i < g->listed; i++)
		if (!strcmp(g->list[i].entry[track].init, init))
			return true;
	return false;
}

/* The oldest segment leaves the window; its files stay for as long as a client may want them. */
void
seg_drop_first(struct segmenter *g)
{
	struct segment old = g->list[0];
	char path[2 * NAME + 64];
	int64_t when_ms, all = 0;
	int i;

	for (i = 0; i < g->listed; i++)
		all += g->list[i].dur;
	for (i = 0; i < g->listed; i++) /* of the lists that a segment was in, the longest counts */
		if (g->list[i].longest < all)
			g->list[i].longest = all;
	when_ms = clock_wall_ms() + (old.dur + g->list[0].longest) / 90 + g->target_s * 1000;
	g->listed--;
	memmove(g->list, g->list + 1, (size_t)g->listed * sizeof(*g->list));
	if (old.discontinuity)
		g->gone_dsn++;
	for (i = 0; i < g->strands; i++) {
		if (!*old.entry[i].init)
			continue;
		if (!old.entry[i].gap) {
			snprintf(path, sizeof(path), "%s/%s", g->strand[i].name, old.file);
			bury(g, path, when_ms);
		}
		if (strcmp(old.entry[i].init, NO_INIT) && !init_in_use(g, i, old.entry[i].init)) {
			snprintf(path, sizeof(path), "%s/%s", g->strand[i].name, old.entry[i].init);
			bury(g, path, when_ms);
		}
	}
}

void
seg_expire(struct segmenter *g, int64_t now)
{
	size_t i, kept = 0;

	for (i = 0; i < g->deads; i++)
		if (g->dead[i].when_ms > now)
			g->dead[kept++] = g->dead[i];
		else
			unlinkat(g->dir, g->dead[i].path, 0);
	g->deads = kept;
}

void
seg_put_state(struct segmenter *g)
{
	json_t *o, *list, *gone, *tracks;
	char *text;
	size_t j;
	int i, t, r;

	o = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:i,s:b,s:I,s:b}", "broadcast", g->broadcast, "epoch",
		(json_int_t)g->epoch, "origin_ms", (json_int_t)g->origin_ms, "started_ms",
		(json_int_t)g->started_ms, "next", (json_int_t)g->next_n, "gone_discontinuities",
		(json_int_t)g->gone_dsn, "target_s", g->target_s, "ended", g->ended, "end_pts",
		(json_int_t)g->media, "dependent", g->dependent);
	json_object_set_new(o, "stream", json_string(g->stream));
	json_object_set_new(o, "session", json_string(g->session));
	json_object_set_new(o, "away", json_boolean(g->away));
	json_object_set_new(o, "captions", json_integer(g->captions));
	tracks = json_array();
	for (t = 0; t < g->strands; t++)
		json_array_append_new(tracks, json_string(g->strand[t].name));
	json_object_set_new(o, "tracks", tracks);
	list = json_array();
	for (i = 0; i < g->listed; i++) {
		const struct segment *s = &g->list[i];
		json_t *e = json_pack("{s:I,s:I,s:I,s:I,s:s,s:b,s:b}", "n", (json_int_t)s->n, "pts",
			(json_int_t)s->pts, "dur", (json_int_t)s->dur, "wall_ms", (json_int_t)s->wall_ms,
			"file", s->file, "discontinuity", s->discontinuity, "independent",
			s->independent);
		json_t *files = json_object();

		for (t = 0; t < g->strands; t++)
			if (*s->entry[t].init)
				json_object_set_new(files, g->strand[t].name,
					json_pack("{s:s,s:b,s:I}", "init", s->entry[t].init, "gap",
						s->entry[t].gap, "bytes", (json_int_t)s->entry[t].bytes));
		json_object_set_new(e, "files", files);
		json_array_append_new(list, e);
	}
	json_object_set_new(o, "segments", list);
	gone = json_array();
	for (j = 0; j < g->deads; j++)
		json_array_append_new(gone, json_pack("{s:s,s:I}", "path", g->dead[j].path, "when_ms",
						      (json_int_t)g->dead[j].when_ms));
	json_object_set_new(o, "expiring", gone);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	r = text ? file_put(g->dir, ".state.json", true, text, strlen(text)) : -ENOMEM;
	if (r < 0)
		seg_failed(g, r, ".state.json");
	free(text);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t
int_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool
safe_path(const char *p)
{
	return *p && *p != '/' && !strstr(p, "..");
}

void
seg_get_state(struct segmenter *g)
{
	struct buf b = { 0 };
	json_t *o = NULL, *e, *files, *f;
	const char *name;
	size_t i;
	int t;

	if (file_get(g->dir, ".state.json", STATE_MAX, &b) == 0)
		o = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL);
	buf_free(&b);
	if (!json_is_object(o))
		goto out;
	if (seg_good_id(text_of(o, "broadcast")))
		snprintf(g->broadcast, sizeof(g->broadcast), "%s", text_of(o, "broadcast"));
	if (mark_stream_name(text_of(o, "stream")))
		snprintf(g->stream, sizeof(g->stream), "%s", text_of(o, "stream"));
	snprintf(g->session, sizeof(g->session), "%s", text_of(o, "session"));
	g->away = json_is_true(json_object_get(o, "away"));
	g->epoch = int_of(o, "epoch");
	g->origin_ms = int_of(o, "origin_ms");
	g->started_ms = int_of(o, "started_ms");
	g->next_n = int_of(o, "next");
	g->gone_dsn = int_of(o, "gone_discontinuities");
	g->target_s = (int)int_of(o, "target_s");
	g->dependent = json_is_true(json_object_get(o, "dependent"));
	g->captions = (unsigned)int_of(o, "captions") & ((1u << CAPTIONS_CHANNELS) - 1);
	g->have = g->media = int_of(o, "end_pts");
	json_array_foreach(json_object_get(o, "expiring"), i, e)
		if (safe_path(text_of(e, "path")))
			bury(g, text_of(e, "path"), int_of(e, "when_ms"));
	json_array_foreach(json_object_get(o, "tracks"), i, e) {
		struct strand *k;

		name = json_string_value(e);
		if (!name || !safe_path(name) || strchr(name, '/') || strlen(name) >= NAME ||
			g->strands == TRACKS_MAX)
			continue;
		k = &g->strand[g->strands++]; /* no track of the input yet; see adopt */
		snprintf(k->name, sizeof(k->name), "%s", name);
		k->last = INT64_MIN;
		k->data.max = QUEUE_MAX;
	}
	json_array_foreach(json_object_get(o, "segments"), i, e) {
		struct segment *s;

		if (g->listed > g->how.window || !safe_path(text_of(e, "file")))
			break;
		s = &g->list[g->listed++];
		memset(s, 0, sizeof(*s));
		s->n = int_of(e, "n");
		s->pts = int_of(e, "pts");
		s->dur = int_of(e, "dur");
		s->wall_ms = int_of(e, "wall_ms");
		snprintf(s->file, sizeof(s->file), "%s", text_of(e, "file"));
		s->discontinuity = json_is_true(json_object_get(e, "discontinuity"));
		s->independent = json_is_true(json_object_get(e, "independent"));
		files = json_object_get(e, "files");
		for (t = 0; t < g->strands; t++)
			if ((f = json_object_get(files, g->strand[t].name))) {
				snprintf(s->entry[t].init, sizeof(s->entry[t].init), "%s",
					text_of(f, "init"));
				s->entry[t].gap = json_is_true(json_object_get(f, "gap"));
				s->entry[t].bytes = int_of(f, "bytes");
			}
		if (s->n >= g->next_n)
			g->next_n = s->n + 1;
		g->start = s->pts + s->dur;
	}
	g->hole = g->start > g->media;
out:
	json_decref(o);
}

static bool
named(const struct segmenter *g, const char *track, const char *file)
{
	char path[2 * NAME + 64];
	size_t i;
	int j, t;

	for (t = 0; t < g->strands && strcmp(track, g->strand[t].name); t++)
		;
	for (j = 0; t < g->strands && j < g->listed; j++) {
		const struct segment *s = &g->list[j];

		if (!strcmp(file, s->entry[t].init))
			return true;
		if (!strcmp(file, s->file))
			return true;
	}
	snprintf(path, sizeof(path), "%.79s/%.120s", track, file);
	for (i = 0; i < g->deads; i++)
		if (!strcmp(path, g->dead[i].path))
			return true;
	return false;
}

/* One line of a playlist that a writer before us left, for when its state is gone. */
static int64_t
tag_value(const char *text, const char *tag)
{
	const char *at = strstr(text, tag);

	return at ? strtoll(at + strlen(tag), NULL, 10) : 0;
}

static void
learn_playlist(struct segmenter *g, const char *track)
{
	char path[NAME + 320];
	struct buf b = { 0 };
	int64_t n, dsn;
	char *at;

	snprintf(path, sizeof(path), "%s/index.m3u8", track);
	if (file_get(g->dir, path, STATE_MAX, &b) == 0 && buf_u8(&b, 0) == 0) {
		char *text = (char *)buf_data(&b);

		n = tag_value(text, "#EXT-X-MEDIA-SEQUENCE:");
		dsn = tag_value(text, "#EXT-X-DISCONTINUITY-SEQUENCE:");
		for (at = text; (at = strstr(at, "#EXTINF:")); at++)
			n++;
		for (at = text; (at = strstr(at, "#EXT-X-DISCONTINUITY\n")); at++)
			dsn++;
		if (n > g->next_n)
			g->next_n = n;
		if (!g->listed && dsn + 1 > g->gone_dsn)
			g->gone_dsn = dsn + 1;
	}
	buf_free(&b);
}

/* What lies in a track's folder: numbers are learnt, what the state does not name goes. */
static void
sweep(struct segmenter *g, const char *track)
{
	int fd = openat(g->dir, track, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		const char *dash = strrchr(e->d_name, '-'), *dot = strrchr(e->d_name, '.');
		bool media = dot && (!strcmp(dot, ".m4s") || !strcmp(dot, ".ts"));
		bool init = dot && !strcmp(dot, ".mp4") && !strncmp(e->d_name, "init-", 5);
		bool temp = dot && !strcmp(dot, ".tmp") && *e->d_name == '.';
		int64_t n;

		if (media && dash && (n = strtoll(dash + 1, NULL, 10)) >= g->next_n && n < INT64_MAX)
			g->next_n = n + 1;
		if (temp || ((media || init) && !named(g, track, e->d_name)))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

void
seg_look_around(struct segmenter *g)
{
	int fd = openat(g->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (*e->d_name == '.') {
			if (n > 5 && !strcmp(e->d_name + n - 4, ".tmp"))
				unlinkat(g->dir, e->d_name, 0);
			continue;
		}
		if (n >= NAME || fstatat(g->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode))
			continue;
		learn_playlist(g, e->d_name);
		sweep(g, e->d_name);
	}
	closedir(d);
}
