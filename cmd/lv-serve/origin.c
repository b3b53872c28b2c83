#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shelf.h"
#include "version.h"
#include "web.h"

#define CSP                                                                                        \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "          \
	"media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "  \
	"form-action 'none'; frame-ancestors *; connect-src 'self'%s%s%s%s"
#define CHAT_MAX 128
#define LIVE "live/"
#define ARCHIVE "archive/"
#define ERROR_CACHE "public, max-age=1"

struct origin {
	int root, player;
	bool archive;
	struct shelf *shelf;
	const struct gate *gate;
	struct versions *versions;
	char csp[512 + 2 * CHAT_MAX]; /* the pages' policy, which names the chat */
	char site[CHAT_MAX + 16]; /* what the page has to know */
};

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
send_part(const struct origin *o, struct httpd_request *req, const struct version *v, enum web_range range,
	uint64_t first, uint64_t last)
{
	bool part = range == WEB_RANGE_PART;
	struct httpd_body *b = NULL;
	char text[96];
	int fd;

	if (!part) {
		snprintf(text, sizeof(text), "bytes */%" PRIu64, (uint64_t)v->st.st_size);
		if (httpd_body_bytes(&b, NULL, 0) < 0)
			return;
	} else {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last,
			(uint64_t)v->st.st_size);
		if ((fd = fcntl(v->fd, F_DUPFD_CLOEXEC, 0)) < 0 ||
			httpd_body_file(&b, fd, first, last - first + 1) < 0) {
			refuse(req, 503, "too busy\n");
			return;
		}
	}
	version_label(o->versions, b, v, v->tag);
	httpd_body_header(b, "Content-Range", text);
	httpd_reply(req, part ? 206 : 416, b);
	httpd_body_unref(&b);
}

/* RFC 9110, section 13.2.2: the order in which conditions are looked at. */
static void
send_version(const struct origin *o, struct httpd_request *req, struct version *v)
{
	const char *none = httpd_header(req, "If-None-Match"), *since, *same, *ranged;
	bool packed = v->gzip && web_takes_gzip(httpd_header(req, "Accept-Encoding"));
	enum web_range range;
	uint64_t first, last;
	int64_t when;

	ranged = httpd_header(req, "Range");
	if (none && (web_tag_in(none, v->tag) || (v->gzip && web_tag_in(none, v->tag_gzip)))) {
		httpd_reply(req, 304, packed && !ranged ? v->unchanged_gzip : v->unchanged);
		return;
	}
	if (!none && (since = httpd_header(req, "If-Modified-Since")) && !web_date(since, &when) &&
		v->st.st_mtim.tv_sec <= when) {
		httpd_reply(req, 304, packed && !ranged ? v->unchanged_gzip : v->unchanged);
		return;
	}
	same = httpd_header(req, "If-Range");
	if (ranged && (!same || !strcmp(same, v->tag) || !strcmp(same, v->date))) {
		range = web_range(ranged, (uint64_t)v->st.st_size, &first, &last);
		if (range != WEB_RANGE_NONE) {
			send_part(o, req, v, range, first, last);
			return;
		}
	}
	httpd_reply(req, 200, packed && !ranged ? v->gzip : v->plain);
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
	char whole[VERSION_PATH_MAX + VIEWLINK_TEXT], stream[sizeof(seen->stream)] = "";
	const char *path = whole, *file, *name;
	const struct kind *kind;
	struct version *v;
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
		(r = versions_find(o->versions, &v, folder, file, tree ? path : file, kind)) < 0) {
		if (folder < 0 || !kind || tree != (kind->role != PAGE) || r == -ENOENT || r == -ENOTDIR ||
			r == -ELOOP || r == -EXDEV || r == -ENXIO || r == -EACCES || r == -ENAMETOOLONG)
			refuse(req, 404, "not found\n");
		else
			refuse(req, 503, "too busy\n");
		return;
	}
	seen->playlist = live && kind->role == PLAYLIST;
	send_version(o, req, v);
}

void
origin_sweep(struct origin *o, int64_t now_ms)
{
	versions_sweep(o->versions, now_ms);
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
	if (versions_new(&o->versions, o->csp, gate->judge != NULL) < 0) {
		shelf_free(&o->shelf);
		free(o);
		return -ENOMEM;
	}
	snprintf(o->site, sizeof(o->site), chat ? "{\"chat\":\"%s\"}\n" : "{}\n", chat);
	snprintf(o->csp, sizeof(o->csp), CSP, port ? " ws://*" : url ? " " : "", port || url ? chat : "",
		port ? " wss://*" : "", port ? chat : "");
	o->root = root;
	o->player = player;
	o->gate = gate;
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
	versions_free(&o->versions);
	shelf_free(&o->shelf);
	close(o->root);
	if (o->player >= 0)
		close(o->player);
	free(o);
	*op = NULL;
}
