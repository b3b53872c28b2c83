#include <errno.h>
#include <string.h>

#include "auth.h"
#include "die.h"
#include "event.h"
#include "hash.h"

int
keyring_status(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return EX_NOPERM;
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
		return EX_NOINPUT;
	case -EBUSY:
		return EX_TEMPFAIL;
	case -EMSGSIZE:
	case -EINVAL:
		return EX_CONFIG;
	case -ENOMEM:
		return EX_OSERR;
	default:
		return EX_IOERR;
	}
}

void
keyring_complain(int err, const char *doing, const char *path)
{
	switch (err) {
	case -EPERM:
		complain(0, "%s is open to others or belongs to somebody else; own it and "
			"\"chmod 600 %s\"", path, path);
		break;
	case -EMSGSIZE:
		complain(0, "cannot %s %s: over %d MB", doing, path, KEYS_FILE_MAX >> 20);
		break;
	case -EINVAL:
		complain(0, "cannot %s %s: not a regular file", doing, path);
		break;
	case -EBUSY:
		complain(0, "cannot %s %s: another lv-auth is at it", doing, path);
		break;
	default:
		complain(err, "cannot %s %s", doing, path);
	}
}

static int
load(struct keyring *ring, struct keys **keys)
{
	struct buf text = { 0 };
	int r;

	if ((r = whole_read(ring->path, KEYS_FILE_MAX, true, &text, &ring->id)) == 0)
		r = keys_parse(keys, (const char *)buf_data(&text), buf_len(&text));
	buf_free(&text);
	return r;
}

static void
say_loaded(const struct keyring *ring)
{
	struct event ev;

	event_begin(&ev, "keys.loaded");
	event_str(&ev, "path", ring->path);
	event_int(&ev, "keys", (int64_t)ring->keys->count);
	event_int(&ev, "faulty_lines", ring->keys->bad_count);
	event_send(&ev);
}

int
keyring_open(struct keyring *ring, const char *path)
{
	int r;

	*ring = (struct keyring){ .path = path };
	if ((r = load(ring, &ring->keys)) < 0) {
		keyring_complain(r, "open", path);
		return keyring_status(r);
	}
	if (ring->keys->bad_count) {
		complain(0, "%s:%d: %s", path, ring->keys->bad_line, ring->keys->bad_why);
		keyring_close(ring);
		return EX_CONFIG;
	}
	say_loaded(ring);
	return EX_OK;
}

/*
 * A file that cannot be read leaves the keys we have: nobody who was known is locked out by a
 * slip of the editor.  A faulty line admits nobody, while the others count, revoked ones too.
 */
bool
keyring_refresh(struct keyring *ring)
{
	struct keys *keys;
	struct event ev;
	int r;

	if (!whole_changed(ring->path, &ring->id))
		return false;
	memset(&ring->id, 0, sizeof(ring->id));
	if ((r = load(ring, &keys)) < 0) {
		keyring_complain(r, "open", ring->path);
		warning(0, "the keys as they were stay in force");
		event_begin(&ev, "keys.rejected");
		event_str(&ev, "path", ring->path);
		event_str(&ev, "reason", strerror(-r));
		event_send(&ev);
		return false;
	}
	if (keys->bad_count)
		complain(0, "%s:%d: %s; the line admits nobody", ring->path, keys->bad_line,
			keys->bad_why);
	keys_free(&ring->keys);
	ring->keys = keys;
	say_loaded(ring);
	return true;
}

const struct key *
keyring_find(const struct keyring *ring, const char *key)
{
	uint8_t digest[HASH_BYTES];

	if (hash_sha256(digest, key, strlen(key)) < 0)
		return NULL;
	return keys_find(ring->keys, digest);
}

int
keyring_password(char out[HASH_MD5_TEXT], const char *a, const char *b, const char *c)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s%s%s", a, b, c);
	int r = n < (int)sizeof(text) ? hash_md5_text(out, text, (size_t)n) : -EMSGSIZE;

	explicit_bzero(text, sizeof(text));
	return r;
}

bool
keyring_password_good(const struct key *k, const struct adobe_answer *a)
{
	char want[HASH_MD5_TEXT];

	return !k->off && strlen(a->response) == HASH_MD5_TEXT - 1 &&
		keyring_password(want, k->adobe, a->challenge, a->own) >= 0 &&
		hash_same(want, a->response, HASH_MD5_TEXT - 1);
}

const struct key *
keyring_user(const struct keyring *ring, const struct adobe_answer *a)
{
	const struct key *k = NULL;

	while ((k = keys_of_user(ring->keys, k, a->user)))
		if (keyring_password_good(k, a))
			return k;
	return NULL;
}

void
keyring_close(struct keyring *ring)
{
	keys_free(&ring->keys);
}
