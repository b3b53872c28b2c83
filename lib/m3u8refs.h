/*
 * m3u8refs finds what a playlist names, and where in the tree that is.  No I/O.
 *
 * Shape:  m3u8_refs calls for each URI that a player of this playlist would load; segments already
 *         marked EXT-X-GAP, parts and hints are left out.  m3u8_resolve turns a URI into a path.
 * Errors: m3u8_refs gives what the callback gave when that is not 0, -EBADMSG without #EXTM3U.
 * Spec:   RFC 8216bis 4.1, 4.4; RFC 3986 5.2.
 */
#ifndef LV_M3U8REFS_H
#define LV_M3U8REFS_H

#include <stdbool.h>
#include <stddef.h>

struct m3u8_ref {
	const char *uri; /* not ended by a NUL */
	size_t len;
	size_t line;      /* where its line begins: EXT-X-GAP would go there */
	bool segment;     /* else an init section, a key or a playlist */
	bool playlist;
};
typedef int m3u8_ref_fn(void *ctx, const struct m3u8_ref *);

int m3u8_refs(const char *text, size_t n, m3u8_ref_fn *, void *ctx);

/*
 * uri, found in the playlist at path base ("a/b/index.m3u8"), as a path from the same root:
 * the length, 0 for what is elsewhere (an absolute URI or path, or above the root), or -EINVAL
 * for a broken escape or an encoded NUL or control character, -ENAMETOOLONG past cap.
 */
int m3u8_resolve(char *path, size_t cap, const char *base, const char *uri, size_t len);

#endif
