#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "clock.h"

#define SETS 256
#define WAYS 4
#define DAY "public, max-age=86400, immutable"

static const struct kind kinds[] = {
	{ "m3u8", "application/vnd.apple.mpegurl", PLAYLIST, true },
	{ "m4s", "video/iso.segment", MEDIA, false },
	{ "mp4", "video/mp4", MEDIA, false },
	{ "ts", "video/mp2t", MEDIA, false },
	{ "aac", "audio/aac", MEDIA, false },
	{ "vtt", "text/vtt; charset=utf-8", MEDIA, true },
	{ "jpg", "image/jpeg", PICTURE, false },
	{ "png", "image/png", PICTURE, false },
	{ "json", "application/json", FACTS, true },
	{ "html", "text/html; charset=utf-8", PAGE, true },
	{ "css", "text/css; charset=utf-8", PAGE, true },
	{ "js", "text/javascript; charset=utf-8", PAGE, true },
	{ "mjs", "text/javascript; charset=utf-8", PAGE, true },
	{ "svg", "image/svg+xml", PAGE, true },
	{ "txt", "text/plain; charset=utf-8", PAGE, true },
};

struct versions {
	const char *csp;
	bool judged;
	struct version *sets[SETS][WAYS];
};

int
version_open(int folder, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

const struct kind *
kind_of(const char *path)
{
	const char *name = strrchr(path, '/'), *dot;
	size_t i;

	if (!(dot = strrchr(name ? name : path, '.')))
		return NULL;
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(dot + 1, kinds[i].ext))
			return &kinds[i];
	return NULL;
}

void
version_label(const struct versions *all, struct httpd_body *b, const struct version *v, const char *tag)
{
	char cache[64];

	httpd_body_header(b, "Content-Type", v->kind->type);
	snprintf(cache, sizeof(cache), "private%s", v->cache + strcspn(v->cache, ","));
	httpd_body_header(b, "Cache-Control", all->judged && v->kind->role != PAGE ? cache : v->cache);
	httpd_body_header(b, "ETag", tag);
	httpd_body_header(b, "Last-Modified", v->date);
	httpd_body_header(b, "Accept-Ranges", "bytes");
	httpd_body_header(b, "X-Content-Type-Options", "nosniff");
	if (v->kind->text)
		httpd_body_header(b, "Vary", "Accept-Encoding");
	if (v->kind->role == PAGE) {
		httpd_body_header(b, "Content-Security-Policy", all->csp);
		httpd_body_header(b, "Referrer-Policy", "same-origin");
		return;
	}
	httpd_body_header(b, "Access-Control-Allow-Origin", "*");
	httpd_body_header(b, "Access-Control-Expose-Headers", "Age, Content-Length, Content-Range, Date");
	httpd_body_header(b, "Timing-Allow-Origin", "*");
}

static void
version_free(struct version **vp)
{
	struct version *v = *vp;

	if (!v)
		return;
	httpd_body_unref(&v->plain);
	httpd_body_unref(&v->gzip);
	httpd_body_unref(&v->unchanged);
	httpd_body_unref(&v->unchanged_gzip);
	if (v->fd >= 0)
		close(v->fd);
	free(v);
	*vp = NULL;
}

/* A playlist may be kept for half a target duration; the master changes when the ladder does. */
static void
playlist_cache(struct version *v, const char *text)
{
	static const char target[] = "#EXT-X-TARGETDURATION:";
	const char *line = strstr(text, target);
	long seconds = line ? strtol(line + sizeof(target) - 1, NULL, 10) / 2 : 3;

	seconds = seconds < 1 ? 1 : seconds > 30 ? 30 : seconds;
	snprintf(v->cache_text, sizeof(v->cache_text), "public, max-age=%ld", seconds);
	v->cache = v->cache_text;
}

static int
compress_text(struct httpd_body **out, const char *text, size_t n)
{
	z_stream z = { 0 };
	uint8_t *packed;
	size_t cap;
	int r = -ENOMEM;

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	cap = deflateBound(&z, n);
	if ((packed = malloc(cap))) {
		z.next_in = (Bytef *)text;
		z.avail_in = (uInt)n;
		z.next_out = packed;
		z.avail_out = (uInt)cap;
		if (deflate(&z, Z_FINISH) == Z_STREAM_END)
			r = httpd_body_bytes(out, packed, z.total_out);
		free(packed);
	}
	deflateEnd(&z);
	return r;
}

static int
prepare_text(const struct versions *all, struct version *v)
{
	size_t size = (size_t)v->st.st_size, got = 0;
	char *text = malloc(size + 1);
	ssize_t n = 1;
	int r = -ENOMEM;

	if (!text)
		return r;
	while (got < size && (n = pread(v->fd, text + got, size - got, (off_t)got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	if (got < size)
		r = n < 0 ? -errno : -EIO; /* it shrank under us: it was not made by rename */
	else
		r = httpd_body_bytes(&v->plain, text, size);
	if (!r && v->kind->role == PLAYLIST)
		playlist_cache(v, text);
	if (!r && size > 256 && !(r = compress_text(&v->gzip, text, size))) {
		version_label(all, v->gzip, v, v->tag_gzip);
		httpd_body_header(v->gzip, "Content-Encoding", "gzip");
	}
	free(text);
	return r;
}

static int
version_new(const struct versions *all, struct version **out, int folder, const char *path, const char *key,
	const struct kind *kind)
{
	static const char *const cache[] = { [PLAYLIST] = "public, max-age=1", [MEDIA] = DAY,
		[PICTURE] = "public, max-age=5", [FACTS] = "public, max-age=1", [PAGE] = "no-cache" };
	struct version *v = calloc(1, sizeof(*v));
	int r, fd;

	if (!v)
		return -ENOMEM;
	v->kind = kind;
	v->cache = cache[kind->role];
	snprintf(v->path, sizeof(v->path), "%s", key);
	if ((v->fd = r = version_open(folder, path)) < 0)
		goto out;
	if (fstat(v->fd, &v->st) < 0) {
		r = -errno;
		goto out;
	}
	snprintf(v->tag, sizeof(v->tag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx\"",
		(uint64_t)v->st.st_ino, (uint64_t)v->st.st_size, (uint64_t)v->st.st_mtim.tv_sec,
		(unsigned long)v->st.st_mtim.tv_nsec);
	snprintf(v->tag_gzip, sizeof(v->tag_gzip), "\"z%s", v->tag + 1);
	web_date_text(v->date, v->st.st_mtim.tv_sec);
	r = -EFBIG;
	if (kind->text && v->st.st_size <= VERSION_TEXT_MAX) {
		r = prepare_text(all, v);
	} else if ((fd = fcntl(v->fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		r = -errno;
	} else {
		r = httpd_body_file(&v->plain, fd, 0, (uint64_t)v->st.st_size);
	}
	if (!r)
		r = httpd_body_bytes(&v->unchanged, NULL, 0);
	if (!r && v->gzip && !(r = httpd_body_bytes(&v->unchanged_gzip, NULL, 0)))
		version_label(all, v->unchanged_gzip, v, v->tag_gzip);
	if (!r) {
		version_label(all, v->plain, v, v->tag);
		version_label(all, v->unchanged, v, v->tag);
		*out = v;
		return 0;
	}
out:
	version_free(&v);
	return r;
}

static bool
version_same(const struct version *v, int folder, const char *path)
{
	int fd = version_open(folder, path);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && st.st_ino == v->st.st_ino && st.st_dev == v->st.st_dev &&
		st.st_size == v->st.st_size && st.st_mtim.tv_sec == v->st.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == v->st.st_mtim.tv_nsec;
	close(fd);
	return same;
}

int
versions_find(struct versions *all, struct version **out, int folder, const char *path, const char *key,
	const struct kind *kind)
{
	int64_t now = clock_mono_ms();
	uint32_t hash = 2166136261u;
	struct version **set, **slot = NULL;
	const char *c;
	size_t i;
	int r;

	for (c = key; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	set = all->sets[(hash ^ hash >> 16) % SETS];
	for (i = 0; i < WAYS; i++) {
		if (set[i] && !strcmp(set[i]->path, key)) {
			slot = &set[i];
			if (now - (*slot)->checked_ms >= VERSION_FRESH_MS) {
				if (!version_same(*slot, folder, path))
					break;
				(*slot)->checked_ms = now;
			}
			(*slot)->used_ms = now;
			*out = *slot;
			return 0;
		}
		if (!slot || (*slot && (!set[i] || set[i]->used_ms < (*slot)->used_ms)))
			slot = &set[i];
	}
	version_free(slot);
	if ((r = version_new(all, slot, folder, path, key, kind)) < 0)
		return r;
	(*slot)->checked_ms = (*slot)->used_ms = now;
	*out = *slot;
	return 0;
}

void
versions_sweep(struct versions *all, int64_t now_ms)
{
	size_t i, j;

	for (i = 0; i < SETS; i++)
		for (j = 0; j < WAYS; j++)
			if (all->sets[i][j] && now_ms - all->sets[i][j]->used_ms > VERSION_KEEP_MS)
				version_free(&all->sets[i][j]);
}

int
versions_new(struct versions **out, const char *csp, bool judged)
{
	struct versions *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->csp = csp;
	all->judged = judged;
	*out = all;
	return 0;
}

void
versions_free(struct versions **ap)
{
	if (!*ap)
		return;
	versions_sweep(*ap, INT64_MAX);
	free(*ap);
	*ap = NULL;
}
