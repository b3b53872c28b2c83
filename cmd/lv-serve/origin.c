#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "clock.h"
#include "shelf.h"
#include "web.h"

#define SETS 256
#define WAYS 4
#define CSP                                                                                        \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "          \
	"media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "  \
	"form-action 'none'; frame-ancestors *; connect-src 'self'%s%s%s%s"
#define CHAT_MAX 128
#define LIVE "live/"
#define ARCHIVE "archive/"
#define DAY "public, max-age=86400, immutable"
#define ERROR_CACHE "public, max-age=1"

static char csp[512 + 2 * CHAT_MAX]; /* the pages' policy, which names the chat */
static bool judged; /* viewers are let in one by one: no cache in front may hand on what one of them has */

enum role { PLAYLIST, MEDIA, PICTURE, FACTS, PAGE };

static const struct kind {
	const char *ext, *type;
	enum role role;
	bool text; /* compressed for those who take it */
} kinds[] = {
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

/* One version of one file, ready to be sent. */
struct entry {
	char path[ORIGIN_PATH_MAX];
	const struct kind *kind;
	int fd;
	struct stat st;
	int64_t checked_ms, used_ms;
	char tag[80], tag_gzip[80], date[WEB_DATE];
	const char *cache;
	char cache_text[40];
	struct httpd_body *plain, *gzip, *unchanged, *unchanged_gzip;
};

struct origin {
	int root, player;
	bool archive;
	struct shelf *shelf;
	const struct gate *gate;
	struct entry *sets[SETS][WAYS];
	char site[CHAT_MAX + 16]; /* what the page has to know */
};

int
origin_open(int folder, const char *path)
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

static const struct kind *
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

/* Everything that is said of a version, whatever part of it is sent. */
static void
label(struct httpd_body *b, const struct entry *e, const char *tag)
{
	char cache[64];

	httpd_body_header(b, "Content-Type", e->kind->type);
	snprintf(cache, sizeof(cache), "private%s", e->cache + strcspn(e->cache, ","));
	httpd_body_header(b, "Cache-Control", judged && e->kind->role != PAGE ? cache : e->cache);
	httpd_body_header(b, "ETag", tag);
	httpd_body_header(b, "Last-Modified", e->date);
	httpd_body_header(b, "Accept-Ranges", "bytes");
	httpd_body_header(b, "X-Content-Type-Options", "nosniff");
	if (e->kind->text)
		httpd_body_header(b, "Vary", "Accept-Encoding");
	if (e->kind->role == PAGE) {
		httpd_body_header(b, "Content-Security-Policy", csp);
		httpd_body_header(b, "Referrer-Policy", "same-origin");
		return;
	}
	httpd_body_header(b, "Access-Control-Allow-Origin", "*");
	httpd_body_header(b, "Access-Control-Expose-Headers", "Age, Content-Length, Content-Range, Date");
	httpd_body_header(b, "Timing-Allow-Origin", "*");
}

static void
entry_free(struct entry **ep)
{
	struct entry *e = *ep;

	if (!e)
		return;
	httpd_body_unref(&e->plain);
	httpd_body_unref(&e->gzip);
	httpd_body_unref(&e->unchanged);
	httpd_body_unref(&e->unchanged_gzip);
	if (e->fd >= 0)
		close(e->fd);
	free(e);
	*ep = NULL;
}

/* A playlist may be kept for half a target duration; the master changes when the ladder does. */
static void
playlist_cache(struct entry *e, const char *text)
{
	static const char target[] = "#EXT-X-TARGETDURATION:";
	const char *line = strstr(text, target);
	long seconds = line ? strtol(line + sizeof(target) - 1, NULL, 10) / 2 : 3;

	seconds = seconds < 1 ? 1 : seconds > 30 ? 30 : seconds;
	snprintf(e->cache_text, sizeof(e->cache_text), "public, max-age=%ld", seconds);
	e->cache = e->cache_text;
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
entry_text(struct entry *e)
{
	size_t size = (size_t)e->st.st_size, got = 0;
	char *text = malloc(size + 1);
	ssize_t n = 1;
	int r = -ENOMEM;

	if (!text)
		return r;
	while (got < size && (n = pread(e->fd, text + got, size - got, (off_t)got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	if (got < size)
		r = n < 0 ? -errno : -EIO; /* it shrank under us: it was not made by rename */
	else
		r = httpd_body_bytes(&e->plain, text, size);
	if (!r && e->kind->role == PLAYLIST)
		playlist_cache(e, text);
	if (!r && size > 256 && !(r = compress_text(&e->gzip, text, size))) {
		label(e->gzip, e, e->tag_gzip);
		httpd_body_header(e->gzip, "Content-Encoding", "gzip");
	}
	free(text);
	return r;
}

static int
entry_new(struct entry **out, int folder, const char *path, const char *key, const struct kind *kind)
{
	static const char *const cache[] = { [PLAYLIST] = "public, max-age=1", [MEDIA] = DAY,
		[PICTURE] = "public, max-age=5", [FACTS] = "public, max-age=1", [PAGE] = "no-cache" };
	struct entry *e = calloc(1, sizeof(*e));
	int r, fd;

	if (!e)
		return -ENOMEM;
	e->kind = kind;
	e->cache = cache[kind->role];
	snprintf(e->path, sizeof(e->path), "%s", key);
	if ((e->fd = r = origin_open(folder, path)) < 0)
		goto out;
	if (fstat(e->fd, &e->st) < 0) {
		r = -errno;
		goto out;
	}
	snprintf(e->tag, sizeof(e->tag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx\"",
		(uint64_t)e->st.st_ino, (uint64_t)e->st.st_size, (uint64_t)e->st.st_mtim.tv_sec,
		(unsigned long)e->st.st_mtim.tv_nsec);
	snprintf(e->tag_gzip, sizeof(e->tag_gzip), "\"z%s", e->tag + 1);
	web_date_text(e->date, e->st.st_mtim.tv_sec);
	r = -EFBIG;
	if (kind->text && e->st.st_size <= ORIGIN_TEXT_MAX) {
		r = entry_text(e);
	} else if ((fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		r = -errno;
	} else {
		r = httpd_body_file(&e->plain, fd, 0, (uint64_t)e->st.st_size);
	}
	if (!r)
		r = httpd_body_bytes(&e->unchanged, NULL, 0);
	if (!r && e->gzip && !(r = httpd_body_bytes(&e->unchanged_gzip, NULL, 0)))
		label(e->unchanged_gzip, e, e->tag_gzip);
	if (!r) {
		label(e->plain, e, e->tag);
		label(e->unchanged, e, e->tag);
		*out = e;
		return 0;
	}
out:
	entry_free(&e);
	return r;
}

static bool
entry_same(const struct entry *e, int folder, const char *path)
{
	int fd = origin_open(folder, path);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && st.st_ino == e->st.st_ino && st.st_dev == e->st.st_dev &&
		st.st_size == e->st.st_size && st.st_mtim.tv_sec == e->st.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == e->st.st_mtim.tv_nsec;
	close(fd);
	return same;
}

/* The present version of a file: out of what is open, or opened now. */
static int
entry_find(struct origin *o, struct entry **out, int folder, const char *path, const char *key,
	const struct kind *kind)
{
	int64_t now = clock_mono_ms();
	uint32_t hash = 2166136261u;
	struct entry **set, **slot = NULL;
	const char *c;
	size_t i;
	int r;

	for (c = key; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	set = o->sets[(hash ^ hash >> 16) % SETS];
	for (i = 0; i < WAYS; i++) {
		if (set[i] && !strcmp(set[i]->path, key)) {
			slot = &set[i];
			if (now - (*slot)->checked_ms >= ORIGIN_FRESH_MS) {
				if (!entry_same(*slot, folder, path))
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
	entry_free(slot);
	if ((r = entry_new(slot, folder, path, key, kind)) < 0)
		return r;
	(*slot)->checked_ms = (*slot)->used_ms = now;
	*out = *slot;
	return 0;
}

void
origin_say(struct httpd_request *req, unsigned status, const char *type, const char *cache,
	const void *text, size_t n)
{
	struct httpd_body *b = NULL;

	if (httpd_body_bytes(&b, text, n) < 0)
		return; /* without a reply the connection closes */
	httpd_body_header(b, "Content-Type", type);
	httpd_body_header(b, "Cache-Control", cache);
	httpd_body_header(b, "X-Content-Type-Options", "nosniff");
	httpd_body_header(b, "Access-Control-Allow-Origin", "*");
	if (status == 405 || status == 204)
		httpd_body_header(b, "Allow", "GET, HEAD, OPTIONS");
	if (status == 204) {
		httpd_body_header(b, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
		httpd_body_header(b, "Access-Control-Allow-Headers", "Range, If-None-Match, If-Range");
		httpd_body_header(b, "Access-Control-Max-Age", "86400");
	}
	httpd_reply(req, status, b);
	httpd_body_unref(&b);
}

static void
refuse(struct httpd_request *req, unsigned status, const char *text)
{
	origin_say(req, status, "text/plain; charset=utf-8", ERROR_CACHE, text, strlen(text));
}

static void
send_part(struct httpd_request *req, const struct entry *e, enum web_range range, uint64_t first,
	uint64_t last)
{
	bool part = range == WEB_RANGE_PART;
	struct httpd_body *b = NULL;
	char text[96];
	int fd;

	if (!part) {
		snprintf(text, sizeof(text), "bytes */%" PRIu64, (uint64_t)e->st.st_size);
		if (httpd_body_bytes(&b, NULL, 0) < 0)
			return;
	} else {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last,
			(uint64_t)e->st.st_size);
		if ((fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0)) < 0 ||
			httpd_body_file(&b, fd, first, last - first + 1) < 0) {
			refuse(req, 503, "too busy\n");
			return;
		}
	}
	label(b, e, e->tag);
	httpd_body_header(b, "Content-Range", text);
	httpd_reply(req, part ? 206 : 416, b);
	httpd_body_unref(&b);
}

/* RFC 9110, section 13.2.2: the order in which conditions are looked at. */
static void
send_entry(struct httpd_request *req, struct entry *e)
{
	const char *none = httpd_header(req, "If-None-Match"), *since, *same, *ranged;
	bool packed = e->gzip && web_takes_gzip(httpd_header(req, "Accept-Encoding"));
	enum web_range range;
	uint64_t first, last;
	int64_t when;

	ranged = httpd_header(req, "Range");
	if (none && (web_tag_in(none, e->tag) || (e->gzip && web_tag_in(none, e->tag_gzip)))) {
		httpd_reply(req, 304, packed && !ranged ? e->unchanged_gzip : e->unchanged);
		return;
	}
	if (!none && (since = httpd_header(req, "If-Modified-Since")) && !web_date(since, &when) &&
		e->st.st_mtim.tv_sec <= when) {
		httpd_reply(req, 304, packed && !ranged ? e->unchanged_gzip : e->unchanged);
		return;
	}
	same = httpd_header(req, "If-Range");
	if (ranged && (!same || !strcmp(same, e->tag) || !strcmp(same, e->date))) {
		range = web_range(ranged, (uint64_t)e->st.st_size, &first, &last);
		if (range != WEB_RANGE_NONE) {
			send_part(req, e, range, first, last);
			return;
		}
	}
	httpd_reply(req, 200, packed && !ranged ? e->gzip : e->plain);
}

/* STREAM, or STREAM/BROADCAST where recordings are shown. */
static bool
is_watched(const struct origin *o, const char *name)
{
	size_t n = strcspn(name, "/");
	const char *broadcast = name + n + 1;

	return web_stream_name(name, n) &&
		(!name[n] || (o->archive && web_stream_name(broadcast, strlen(broadcast))));
}

/* Of a stream, or "" of all that are nobody's secret. */
static void
say_recordings(struct origin *o, struct httpd_request *req, const char *stream)
{
	size_t len;
	const char *text = shelf_text(o->shelf, stream, &len);

	if (text)
		origin_say(req, 200, "application/json", "public, max-age=2", text, len);
	else
		refuse(req, 503, "too busy\n");
}

/* False: it is answered already, or will come again. */
static bool
may_pass(const struct origin *o, struct httpd_request *req, const char **path, const char *remote)
{
	const char *why = NULL;

	switch (gate_pass(o->gate, req, path, remote, &why)) {
	case GATE_OPEN:
		return true;
	case GATE_SHUT:
		origin_say(req, 403, "text/plain; charset=utf-8", "no-store", why, strlen(why));
		return false;
	case GATE_BUSY:
		origin_say(req, 503, "text/plain; charset=utf-8", "no-store", "too busy\n", 9);
		return false;
	default:
		return false;
	}
}

void
origin_answer(struct origin *o, struct httpd_request *req, const char *remote, struct origin_seen *seen)
{
	char whole[ORIGIN_PATH_MAX + VIEWLINK_TEXT], stream[sizeof(seen->stream)] = "";
	const char *path = whole, *file, *name;
	const struct kind *kind;
	struct entry *e;
	int folder = o->root, r;
	bool live, tree;

	memset(seen, 0, sizeof(*seen));
	if (!strcmp(req->method, "OPTIONS")) {
		origin_say(req, 204, "text/plain", ERROR_CACHE, NULL, 0);
		return;
	}
	if (strcmp(req->method, "GET") && strcmp(req->method, "HEAD")) {
		refuse(req, 405, "only GET and HEAD\n");
		return;
	}
	if ((r = web_path(req->target, whole, sizeof(whole))) < 0) {
		refuse(req, r == -ENAMETOOLONG ? 414 : 400, "no such thing\n");
		return;
	}
	if (!may_pass(o, req, &path, remote))
		return;
	if (!strncmp(path, "check/", 6) && web_stream_name(path + 6, strlen(path + 6))) {
		origin_say(req, 200, "text/plain", "no-store", "yes\n", 4);
		return;
	}
	if (!strcmp(path, "site.json")) {
		origin_say(req, 200, "application/json", "no-cache", o->site, strlen(o->site));
		return;
	}
	if (o->archive && !o->gate->key && !o->gate->judge && !strcmp(path, "recordings.json")) {
		say_recordings(o, req, "");
		return;
	}
	file = path;
	live = !strncmp(path, LIVE, strlen(LIVE));
	tree = live || (o->archive && !strncmp(path, ARCHIVE, strlen(ARCHIVE)));
	name = path + strlen(live ? LIVE : ARCHIVE);
	if (tree && *name) {
		size_t n = strcspn(name, "/");

		if (!web_stream_name(name, n)) {
			refuse(req, 404, "not found\n");
			return;
		}
		if (!live && !strcmp(name + n, "/recordings.json")) {
			memcpy(stream, name, n);
			say_recordings(o, req, stream);
			return;
		}
		if (live)
			memcpy(seen->stream, name, n);
	} else {
		folder = o->player;
		if (!*path)
			file = "index.html";
		else if (!strncmp(path, "watch/", 6) && is_watched(o, path + 6))
			file = "watch.html";
		else if (!strncmp(path, "player/", 7))
			file = path + 7;
		else
			folder = -1;
	}
	kind = kind_of(file);
	if (folder < 0 || !kind || tree != (kind->role != PAGE) ||
		(r = entry_find(o, &e, folder, file, tree ? path : file, kind)) < 0) {
		if (folder < 0 || !kind || tree != (kind->role != PAGE) || r == -ENOENT || r == -ENOTDIR ||
			r == -ELOOP || r == -EXDEV || r == -ENXIO || r == -EACCES || r == -ENAMETOOLONG)
			refuse(req, 404, "not found\n");
		else
			refuse(req, 503, "too busy\n");
		return;
	}
	seen->playlist = live && kind->role == PLAYLIST;
	send_entry(req, e);
}

void
origin_sweep(struct origin *o, int64_t now_ms)
{
	size_t i, j;

	for (i = 0; i < SETS; i++)
		for (j = 0; j < WAYS; j++)
			if (o->sets[i][j] && now_ms - o->sets[i][j]->used_ms > ORIGIN_KEEP_MS)
				entry_free(&o->sets[i][j]);
}

bool
origin_chat_good(const char *where)
{
	size_t n = strlen(where);
	bool port = *where == ':' && n > 1 && strspn(where + 1, "0123456789") == n - 1;

	return n < CHAT_MAX && (port || *where == '/' || !strncmp(where, "ws://", 5) || !strncmp(where, "wss://", 6)) &&
		strspn(where, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_[]") == n;
}

int
origin_new(struct origin **out, int root, int player, const struct gate *gate, bool archive, const char *chat)
{
	struct origin *o = calloc(1, sizeof(*o));
	bool port = chat && *chat == ':', url = chat && *chat == 'w';

	if (!o || shelf_new(&o->shelf, root) < 0) {
		free(o);
		return -ENOMEM;
	}
	snprintf(o->site, sizeof(o->site), chat ? "{\"chat\":\"%s\"}\n" : "{}\n", chat);
	snprintf(csp, sizeof(csp), CSP, port ? " ws://*" : url ? " " : "", port || url ? chat : "",
		port ? " wss://*" : "", port ? chat : "");
	o->root = root;
	o->player = player;
	o->gate = gate;
	judged = gate->judge != NULL;
	o->archive = archive;
	*out = o;
	return 0;
}

void
origin_free(struct origin **op)
{
	struct origin *o = *op;

	if (!o)
		return;
	origin_sweep(o, INT64_MAX);
	shelf_free(&o->shelf);
	close(o->root);
	if (o->player >= 0)
		close(o->player);
	free(o);
	*op = NULL;
}
