#include "list.h"

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

#define FACTS_MAX (16 << 10)

struct list {
	int root;
	char *text;
	size_t len;
	int64_t made_ms;
};

static void
keep(json_t *to, const json_t *from, const char *key, json_type type)
{
	json_t *value = json_object_get(from, key);

	if (value && json_typeof(value) == type)
		json_object_set(to, key, value);
}

/* What one folder says of itself, NULL when it is not live. */
static json_t *
facts_of(int root, const char *stream, const struct viewers *viewers)
{
	char path[128], text[FACTS_MAX];
	json_t *facts, *out = NULL;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "live/%s/stream.json", stream);
	if ((fd = version_open(root, path)) < 0)
		return NULL;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n <= 0 || n == FACTS_MAX || !(facts = json_loadb(text, (size_t)n, 0, NULL)))
		return NULL;
	if (json_is_true(json_object_get(facts, "live")) && (out = json_object())) {
		json_object_set_new(out, "stream", json_string(stream));
		keep(out, facts, "broadcast", JSON_STRING);
		keep(out, facts, "started_at", JSON_STRING);
		keep(out, facts, "origin_ms", JSON_INTEGER);
		json_object_set_new(out, "viewers", json_integer((json_int_t)viewers_of(viewers, stream)));
		snprintf(path, sizeof(path), "live/%s/poster.jpg", stream);
		if ((fd = version_open(root, path)) >= 0) {
			close(fd);
			snprintf(path, sizeof(path), "/live/%s/poster.jpg", stream);
			json_object_set_new(out, "poster", json_string(path));
		}
	}
	json_decref(facts);
	return out;
}

static json_t *
look(int root, const struct viewers *viewers)
{
	json_t *streams = json_array(), *one;
	int fd = openat(root, "live", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return streams; /* nothing was ever live here */
	}
	while ((entry = readdir(dir)) && json_array_size(streams) < LIST_MAX)
		if (web_stream_name(entry->d_name, strlen(entry->d_name)) &&
			(one = facts_of(root, entry->d_name, viewers)))
			json_array_append_new(streams, one);
	closedir(dir);
	return streams;
}

const char *
list_text(struct list *l, const struct viewers *viewers, size_t *len)
{
	int64_t now = clock_mono_ms();
	json_t *all;

	if (!l->text || now - l->made_ms >= LIST_FRESH_MS) {
		free(l->text);
		all = json_pack("{s:o}", "streams", look(l->root, viewers));
		l->text = all ? json_dumps(all, JSON_COMPACT) : NULL;
		json_decref(all);
		l->len = l->text ? strlen(l->text) : 0;
		l->made_ms = now;
	}
	*len = l->len;
	return l->text;
}

int
list_new(struct list **out, int root)
{
	struct list *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->root = root;
	*out = l;
	return 0;
}

void
list_free(struct list **lp)
{
	if (!*lp)
		return;
	free((*lp)->text);
	free(*lp);
	*lp = NULL;
}
