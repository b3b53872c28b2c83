#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "die.h"

#define FILE_MAX (32 << 20)
#define MAC_HEX (HASH_HEX - 1)
#define OLD_LINES 1000 /* beside those that count, before the file is written anew */

struct cache {
	const char *path;
	struct cached *all;
	size_t count, lines; /* lines: in the file */
	uint8_t secret[HASH_BYTES];
	int fd;
	bool failed; /* writing: said once */
};

static struct cached *
find(const struct cache *c, const uint8_t *digest)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (!memcmp(c->all[i].key.digest, digest, HASH_BYTES))
			return &c->all[i];
	return NULL;
}

static void
put(struct cache *c, const struct key *key, int64_t epoch, int64_t at_ms)
{
	struct cached *x = find(c, key->digest);
	size_t i;

	if (!x && c->count < CACHE_MAX)
		x = &c->all[c->count++];
	if (!x)
		for (x = c->all, i = 1; i < c->count; i++)
			if (c->all[i].at_ms < x->at_ms)
				x = &c->all[i];
	*x = (struct cached){ *key, epoch, at_ms };
}

/* The line without its newline, signed. */
static int
line_of(const struct cache *c, const struct cached *x, struct buf *to)
{
	struct buf text = { 0 };
	uint8_t mac[HASH_BYTES];
	char hex[HASH_HEX];
	int r;

	buf_printf(&text, "%" PRId64 " %" PRId64 " ", x->at_ms, x->epoch);
	r = keys_edit_add(&text, "", 0, &x->key);
	if (r >= 0)
		r = hash_hmac(mac, c->secret, sizeof(c->secret), buf_data(&text), buf_len(&text) - 1);
	if (r >= 0) {
		hash_hex(hex, mac);
		buf_printf(to, "%s %.*s", hex, (int)buf_len(&text), (const char *)buf_data(&text));
	}
	buf_free(&text);
	return r < 0 ? r : to->error;
}

static bool
signed_by_us(const struct cache *c, const char *mac, const char *text, size_t n)
{
	uint8_t want[HASH_BYTES];
	char hex[HASH_HEX];

	if (hash_hmac(want, c->secret, sizeof(c->secret), text, n) < 0)
		return false;
	hash_hex(hex, want);
	return hash_same(hex, mac, MAC_HEX);
}

static bool
take_line(struct cache *c, const char *line, size_t n)
{
	struct keys *keys;
	int64_t at_ms, epoch;
	char *end;
	bool good;

	if (n <= MAC_HEX + 1 || line[MAC_HEX] != ' ' ||
		!signed_by_us(c, line, line + MAC_HEX + 1, n - MAC_HEX - 1))
		return false;
	at_ms = strtoll(line + MAC_HEX + 1, &end, 10);
	epoch = strtoll(end, &end, 10);
	end++;
	if (keys_parse(&keys, end, n - (size_t)(end - line)) < 0)
		return false;
	if ((good = keys->count == 1)) {
		if (keys->all[0].off)
			cache_forget(c, keys->all[0].digest);
		else
			put(c, &keys->all[0], epoch, at_ms);
	}
	keys_free(&keys);
	return good;
}

/* All that counts, and nothing else. */
static int
write_anew(struct cache *c)
{
	struct buf text = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < c->count && r >= 0; i++)
		r = line_of(c, &c->all[i], &text);
	if (r >= 0)
		r = whole_write(c->path, buf_data(&text), buf_len(&text));
	buf_free(&text);
	if (r >= 0) {
		if (c->fd >= 0)
			close(c->fd);
		c->lines = c->count;
		c->fd = open(c->path, O_WRONLY | O_APPEND | O_CLOEXEC);
		r = c->fd < 0 ? -errno : 0;
	}
	return r;
}

/* What cannot be written is left out whole; a key that is off takes all of the file with it, lest it count again. */
static void
append(struct cache *c, const struct cached *x)
{
	struct buf line = { 0 };
	off_t end = c->fd < 0 ? 0 : lseek(c->fd, 0, SEEK_END);
	int r = c->fd < 0 ? -EBADF : line_of(c, x, &line);

	if (r >= 0 && write(c->fd, buf_data(&line), buf_len(&line)) != (ssize_t)buf_len(&line))
		r = errno ? -errno : -ENOSPC;
	buf_free(&line);
	c->lines++;
	if (r < 0 || c->failed || c->lines > 2 * c->count + OLD_LINES)
		r = write_anew(c);
	if (r < 0 && c->fd >= 0 && ftruncate(c->fd, x->key.off ? 0 : end) < 0)
		complain(-errno, "cannot cut %s", c->path);
	if (r < 0 && !c->failed)
		complain(r, "cannot write %s; after a restart it will not know all keys", c->path);
	c->failed = r < 0;
}

static int
load(struct cache *c)
{
	struct buf text = { 0 };
	int r = whole_read(c->path, FILE_MAX, true, &text, NULL), bad = 0;
	const char *line = (const char *)buf_data(&text), *end;
	size_t left = buf_len(&text);

	for (; r == 0 && left && (end = memchr(line, '\n', left)); left -= (size_t)(end - line) + 1, line = end + 1)
		bad += !take_line(c, line, (size_t)(end - line));
	bad += r == 0 && left; /* it was killed in the middle of a line */
	buf_free(&text);
	if (bad)
		warning(0, "%s: %d lines were not signed by this box and are left out", c->path, bad);
	return r == -ENOENT ? 0 : r;
}

static int
take_secret(struct cache *c)
{
	char path[PATH_MAX], hex[7 + HASH_HEX] = "sha256:";
	struct buf text = { 0 };
	int r;

	if (snprintf(path, sizeof(path), "%s.secret", c->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if ((r = whole_secret(path, MAC_HEX + 2, &text)) == -ENOENT && (r = hash_random(c->secret, HASH_BYTES)) == 0) {
		hash_hex(hex + 7, c->secret);
		r = whole_write(path, hex + 7, MAC_HEX);
	} else if (r == 0) {
		snprintf(hex + 7, HASH_HEX, "%.*s", (int)buf_len(&text), (const char *)buf_data(&text));
		r = buf_len(&text) == MAC_HEX && keys_digest(hex, c->secret) ? 0 : -EBADMSG;
	}
	if (r < 0)
		keyring_complain(r, "use", path);
	buf_free(&text);
	return r;
}

int
cache_open(struct cache **out, const char *path)
{
	struct cache *c = calloc(1, sizeof(*c));
	int r;

	if (!c || !(c->all = calloc(CACHE_MAX, sizeof(*c->all)))) {
		free(c);
		complain(-ENOMEM, "cannot begin");
		return EX_OSERR;
	}
	c->path = path;
	c->fd = -1;
	*out = c;
	if ((r = take_secret(c)) < 0) {
		cache_close(out);
		return keyring_status(r);
	}
	if ((r = load(c)) == 0)
		r = write_anew(c);
	if (r < 0) {
		keyring_complain(r, "use", path);
		cache_close(out);
		return keyring_status(r);
	}
	return EX_OK;
}

void
cache_keep(struct cache *c, const struct key *key, int64_t epoch, int64_t now_ms)
{
	put(c, key, epoch, now_ms);
	append(c, find(c, key->digest));
}

const struct cached *
cache_find(const struct cache *c, const uint8_t digest[HASH_BYTES])
{
	return find(c, digest);
}

const struct cached *
cache_user(const struct cache *c, const struct adobe_answer *a)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (*c->all[i].key.adobe && !strcmp(c->all[i].key.stream, a->user) &&
			keyring_password_good(&c->all[i].key, a))
			return &c->all[i];
	return NULL;
}

void
cache_forget(struct cache *c, const uint8_t digest[HASH_BYTES])
{
	struct cached *x = find(c, digest), gone;

	if (!x)
		return;
	gone = *x;
	gone.key.off = true;
	*x = c->all[--c->count];
	if (c->fd >= 0) /* it is not while the file is read */
		append(c, &gone);
}

int
cache_list(const struct cache *c, struct buf *to)
{
	char text[DBKEY_TEXT];
	size_t i;

	for (i = 0; i < c->count; i++) {
		dbkey_digest(text, c->all[i].key.digest);
		buf_printf(to, "%s%s", i ? "," : "{", text);
	}
	buf_append(to, c->count ? "}" : "{}", c->count ? 2 : 3);
	return to->error;
}

void
cache_check(struct cache *c, const struct db_rows *rows)
{
	uint8_t digest[HASH_BYTES];
	bool *on = calloc(c->count + 1, sizeof(*on));
	struct cached *x;
	size_t i;
	int row;

	if (!on)
		return;
	for (row = 0; row < db_count(rows); row++)
		if (keys_digest(db_text(rows, row, 0), digest) && (x = find(c, digest)))
			on[x - c->all] = true;
	for (i = c->count; i-- > 0;)
		if (!on[i])
			cache_forget(c, c->all[i].key.digest); /* the last comes in its place, and was looked at */
	free(on);
}

void
cache_close(struct cache **c)
{
	if (!*c)
		return;
	if ((*c)->fd >= 0)
		close((*c)->fd);
	explicit_bzero((*c)->secret, sizeof((*c)->secret));
	free((*c)->all);
	free(*c);
	*c = NULL;
}
