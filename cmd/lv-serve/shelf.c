#include "shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "version.h"
#include "web.h"

#define KEPT 16         /* texts, of the streams that were asked about last */
#define STREAMS_MAX 1000
#define FACTS_MAX (64 << 10)
#define NAME 65
#define PATH 384

struct place { /* of a recording */
	char stream[NAME], broadcast[NAME];
};

struct shelf {
	int root;
	struct {
		char stream[NAME];
		char *text;
		size_t len;
		int64_t made_ms;
	} kept[KEPT];
	int turn;
	struct place best[SHELF_MAX]; /* while one is made: newest first */
	size_t n;
};

static json_t *
facts(int root, const char *path)
{
	int fd = version_open(root, path);
	json_t *o = NULL;
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	if ((text = malloc(FACTS_MAX)) && (n = read(fd, text, FACTS_MAX)) > 0)
		o = json_loadb(text, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL);
	free(text);
	close(fd);
	return o;
}

static bool
is_there(int root, const char *path)
{
	int fd = version_open(root, path);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* A name is told where such a file is. */
static void
tell(json_t *to, const char *key, int root, const struct place *p, const char *name)
{
	char path[PATH];

	snprintf(path, sizeof(path), "archive/%s/%s/%s", p->stream, p->broadcast, name);
	if (is_there(root, path))
		json_object_set_new(to, key, json_string(name));
}

static json_t *
describe(int root, const struct place *p)
{
	char path[PATH];
	json_t *o = json_object(), *about, *report;

	json_object_set_new(o, "stream", json_string(p->stream));
	json_object_set_new(o, "broadcast", json_string(p->broadcast));
	snprintf(path, sizeof(path), "archive/%s/%s/broadcast.json", p->stream, p->broadcast);
	about = facts(root, path);
	if (json_is_string(json_object_get(about, "started_at")))
		json_object_set(o, "started_at", json_object_get(about, "started_at"));
	snprintf(path, sizeof(path), "archive/%s/%s/recording.json", p->stream, p->broadcast);
	report = facts(root, path);
	if (json_is_integer(json_object_get(report, "dur_ms")))
		json_object_set(o, "dur_ms", json_object_get(report, "dur_ms"));
	tell(o, "poster", root, p, "recording-poster.jpg");
	tell(o, "thumbnails", root, p, "recording-thumbs.vtt");
	tell(o, "file", root, p, "recording.mp4");
	json_decref(about);
	json_decref(report);
	return o;
}

/* Among the best, if it is new enough: broadcasts' names are in the order of time. */
static void
consider(struct shelf *s, const char *stream, const char *broadcast)
{
	char path[PATH];
	size_t i = s->n;

	if (strlen(broadcast) >= NAME)
		return;
	if (i == SHELF_MAX && strcmp(s->best[i - 1].broadcast, broadcast) >= 0)
		return;
	snprintf(path, sizeof(path), "archive/%s/%s/vod.m3u8", stream, broadcast);
	if (!is_there(s->root, path))
		return;
	if (i == SHELF_MAX)
		i--;
	for (; i > 0 && strcmp(s->best[i - 1].broadcast, broadcast) < 0; i--)
		s->best[i] = s->best[i - 1];
	memcpy(s->best[i].stream, stream, strlen(stream) + 1);
	memcpy(s->best[i].broadcast, broadcast, strlen(broadcast) + 1);
	if (s->n < SHELF_MAX)
		s->n++;
}

static DIR *
folder(int root, const char *path)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static void
look_at(struct shelf *s, const char *stream)
{
	char path[PATH];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "archive/%s", stream);
	if (!(dir = folder(s->root, path)))
		return;
	while ((entry = readdir(dir)))
		if (web_stream_name(entry->d_name, strlen(entry->d_name)))
			consider(s, stream, entry->d_name);
	closedir(dir);
}

static json_t *
look(struct shelf *s, const char *stream)
{
	json_t *all = json_array();
	const struct dirent *entry;
	int streams = 0;
	DIR *dir;
	size_t i;

	s->n = 0;
	if (*stream) {
		look_at(s, stream);
	} else if ((dir = folder(s->root, "archive"))) {
		while ((entry = readdir(dir)) && streams < STREAMS_MAX)
			if (web_stream_name(entry->d_name, strlen(entry->d_name)) && ++streams)
				look_at(s, entry->d_name);
		closedir(dir);
	}
	for (i = 0; i < s->n; i++)
		json_array_append_new(all, describe(s->root, &s->best[i]));
	return all;
}

const char *
shelf_text(struct shelf *s, const char *stream, size_t *len)
{
	int64_t now = clock_mono_ms();
	json_t *all;
	int i;

	for (i = 0; i < KEPT && (!s->kept[i].text || strcmp(s->kept[i].stream, stream)); i++)
		;
	if (i == KEPT)
		i = s->turn++ % KEPT;
	else if (now - s->kept[i].made_ms < SHELF_FRESH_MS)
		goto out;
	free(s->kept[i].text);
	all = json_pack("{s:o}", "recordings", look(s, stream));
	s->kept[i].text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	s->kept[i].len = s->kept[i].text ? strlen(s->kept[i].text) : 0;
	s->kept[i].made_ms = clock_mono_ms();
	snprintf(s->kept[i].stream, NAME, "%s", stream);
out:
	*len = s->kept[i].len;
	return s->kept[i].text;
}

int
shelf_new(struct shelf **out, int root)
{
	struct shelf *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->root = root;
	*out = s;
	return 0;
}

void
shelf_free(struct shelf **sp)
{
	int i;

	if (!*sp)
		return;
	for (i = 0; i < KEPT; i++)
		free((*sp)->kept[i].text);
	free(*sp);
	*sp = NULL;
}
