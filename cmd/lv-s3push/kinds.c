#include "kinds.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#define KINDS 64
#define MEDIA_CACHE "public, max-age=86400, immutable"
#define LIST_CACHE "public, max-age=2"
#define PICTURE_CACHE "public, max-age=10"

static struct kind kinds[KINDS] = {
	{ ".m3u8", "application/vnd.apple.mpegurl", LIST_CACHE, KIND_LIST, 0 },
	{ ".mpd", "application/dash+xml", LIST_CACHE, KIND_MANIFEST, 0 },
	{ ".ts", "video/mp2t", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".m4s", "video/iso.segment", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".mp4", "video/mp4", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".m4v", "video/mp4", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".m4a", "audio/mp4", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".cmfv", "video/mp4", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".cmfa", "audio/mp4", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".aac", "audio/aac", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".mp3", "audio/mpeg", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".vtt", "text/vtt", MEDIA_CACHE, KIND_MEDIA, 0 },
	{ ".jpg", "image/jpeg", PICTURE_CACHE, KIND_MEDIA, 0 },
	{ ".png", "image/png", PICTURE_CACHE, KIND_MEDIA, 0 },
	{ ".webp", "image/webp", PICTURE_CACHE, KIND_MEDIA, 0 },
	{ ".json", "application/json", LIST_CACHE, KIND_MEDIA, 0 },
	{ "segments.ndjson", "application/x-ndjson", LIST_CACHE, KIND_MEDIA, 60000 },
};

static char everything[] = "archive/*", *archive[] = { everything, NULL };
static char **kept = archive, **excluded;

static bool
ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), len = strlen(suffix);

	return n > len && !strcmp(s + n - len, suffix);
}

const struct kind *
kind_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const struct kind *k, *best = NULL;

	for (k = kinds; k < kinds + KINDS && k->suffix; k++)
		if ((ends(path, k->suffix) || !strcmp(slash ? slash + 1 : path, k->suffix)) &&
			(!best || strlen(k->suffix) > strlen(best->suffix)))
			best = k;
	return best;
}

static bool
matches(const char *path, char **patterns)
{
	for (; patterns && *patterns; patterns++)
		if (!fnmatch(*patterns, path, 0))
			return true;
	return false;
}

bool
kind_excluded(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return !strcmp(name, "ll.m3u8") || !strcmp(name, "master-ll.m3u8") || strstr(path, "/parts/") ||
		ends(name, ".tmp") || matches(path, excluded);
}

bool
kind_kept(const char *path)
{
	return matches(path, kept);
}

/* The kind with this suffix, or a new one; *value what follows the equals sign. */
static struct kind *
named(const char *text, const char **value)
{
	size_t n = strcspn(text, "=");
	struct kind *k;

	if (!n || !text[n] || !text[n + 1])
		return NULL;
	*value = text + n + 1;
	for (k = kinds; k < kinds + KINDS - 1 && k->suffix; k++)
		if (strlen(k->suffix) == n && !strncmp(k->suffix, text, n))
			return k;
	if (k->suffix || !(k->suffix = strndup(text, n)))
		return NULL;
	k->type = "application/octet-stream";
	k->cache = LIST_CACHE;
	return k;
}

int
kind_set_type(const char *text)
{
	const char *value;
	struct kind *k = named(text, &value);

	if (!k)
		return -EINVAL;
	k->type = value;
	return 0;
}

int
kind_set_cache(const char *text)
{
	const char *value;
	struct kind *k = named(text, &value);

	if (!k)
		return -EINVAL;
	k->cache = value;
	return 0;
}

void
kind_exclude(char **patterns)
{
	excluded = patterns;
}

void
kind_keep(char **patterns)
{
	kept = patterns;
}
