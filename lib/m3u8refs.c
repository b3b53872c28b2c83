#include "m3u8refs.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool
begins(const char *line, size_t n, const char *tag)
{
	size_t len = strlen(tag);

	return n >= len && !memcmp(line, tag, len);
}

/* URI="..." among the attributes of a tag; quoted strings hold no quotes (4.2). */
static bool
attribute(const char *line, size_t n, struct m3u8_ref *ref)
{
	static const char name[] = "URI=\"";
	bool quoted = false;
	const char *end;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!quoted && (line[i - !!i] == ',' || line[i - !!i] == ':') &&
			begins(line + i, n - i, name)) {
			ref->uri = line + i + sizeof(name) - 1;
			end = memchr(ref->uri, '"', n - (size_t)(ref->uri - line));
			ref->len = end ? (size_t)(end - ref->uri) : 0;
			return ref->len > 0;
		}
		quoted ^= line[i] == '"';
	}
	return false;
}

static bool
tag_ref(const char *line, size_t n, struct m3u8_ref *ref)
{
	static const struct {
		const char *tag;
		bool playlist;
	} tags[] = { { "#EXT-X-MAP:", false }, { "#EXT-X-KEY:", false }, { "#EXT-X-SESSION-KEY:", false },
		{ "#EXT-X-MEDIA:", true }, { "#EXT-X-I-FRAME-STREAM-INF:", true } };
	size_t i;

	for (i = 0; i < sizeof(tags) / sizeof(*tags); i++)
		if (begins(line, n, tags[i].tag)) {
			ref->playlist = tags[i].playlist;
			return attribute(line, n, ref);
		}
	return false;
}

int
m3u8_refs(const char *text, size_t size, m3u8_ref_fn *fn, void *ctx)
{
	bool gap = false, variant = false;
	size_t at, n, step;
	const char *end;
	int r;

	if (!begins(text, size, "#EXTM3U"))
		return -EBADMSG;
	for (at = 0; at < size; at += step) {
		struct m3u8_ref ref = { .line = at };
		const char *line = text + at;

		end = memchr(line, '\n', size - at);
		n = end ? (size_t)(end - line) : size - at;
		step = n + 1;
		while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
			n--;
		if (!n)
			continue;
		if (line[0] == '#') {
			gap |= begins(line, n, "#EXT-X-GAP");
			variant |= begins(line, n, "#EXT-X-STREAM-INF:");
			if (tag_ref(line, n, &ref) && (r = fn(ctx, &ref)))
				return r;
			continue;
		}
		ref.uri = line;
		ref.len = n;
		ref.playlist = variant;
		ref.segment = !variant;
		if (!gap && (r = fn(ctx, &ref)))
			return r;
		gap = variant = false;
	}
	return 0;
}

static bool
has_scheme(const char *uri, size_t n)
{
	size_t i;

	for (i = 0; i < n && (isalnum((unsigned char)uri[i]) || strchr("+.-", uri[i])); i++)
		;
	return i && i < n && uri[i] == ':';
}

static int
nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The last segment of path (it ends in a slash) taken away; false above the root. */
static bool
climb(const char *path, size_t *n)
{
	if (!*n)
		return false;
	for ((*n)--; *n && path[*n - 1] != '/'; (*n)--)
		;
	return true;
}

int
m3u8_resolve(char *path, size_t cap, const char *base, const char *uri, size_t len)
{
	const char *slash = strrchr(base, '/');
	size_t n = slash ? (size_t)(slash + 1 - base) : 0, begin, i;

	for (i = 0; i < len && uri[i] != '?' && uri[i] != '#'; i++)
		;
	len = i;
	if (!len || uri[0] == '/' || has_scheme(uri, len))
		return 0;
	if (n >= cap)
		return -ENAMETOOLONG;
	memcpy(path, base, n);
	begin = n;
	for (i = 0; i <= len; i++) {
		int c = i < len ? (unsigned char)uri[i] : '/'; /* one more slash ends the last segment */

		if (c == '%') {
			int high = i + 2 < len ? nibble(uri[i + 1]) : -1;
			int low = high < 0 ? -1 : nibble(uri[i + 2]);

			if (low < 0)
				return -EINVAL;
			c = high << 4 | low;
			i += 2;
			if (c == '/')
				return -EINVAL;
		} else if (c == '/') {
			if (n - begin == 1 && path[begin] == '.')
				n = begin;
			else if (n - begin == 2 && path[begin] == '.' && path[begin + 1] == '.') {
				n = begin;
				if (!climb(path, &n))
					return 0;
			} else if (i < len) {
				if (n + 1 >= cap)
					return -ENAMETOOLONG;
				path[n++] = '/';
			}
			begin = n;
			continue;
		}
		if (c < ' ' || c == 127)
			return -EINVAL;
		if (n + 1 >= cap)
			return -ENAMETOOLONG;
		path[n++] = (char)c;
	}
	path[n] = '\0';
	return (int)n;
}
