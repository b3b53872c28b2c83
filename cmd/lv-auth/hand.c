/* The operator's hand: the keys file is read, changed and replaced under its lock. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "clock.h"
#include "die.h"
#include "hash.h"

#define LOCK_WAIT_MS 10000

int
hand_finish(const char *lost)
{
	if (!fflush(stdout) && !ferror(stdout) && !fclose(stdout))
		return EX_OK;
	complain(0, "cannot write to standard output%s", lost);
	return EX_IOERR;
}

int
hand_new_key(char text[KEYS_KEY_TEXT], uint8_t digest[HASH_BYTES])
{
	uint8_t random[20];
	int r;

	if ((r = hash_random(random, sizeof(random))) < 0)
		return r;
	keys_text(text, random);
	explicit_bzero(random, sizeof(random));
	return hash_sha256(digest, text, KEYS_KEY_TEXT - 1);
}

/* Under the lock: the text of the file, empty when it may be new. */
static int
begin(const struct hand *h, bool may_be_new, int *lock, struct buf *text)
{
	int r;

	if (!may_be_new && access(h->path, F_OK) < 0) /* no lock file beside what is not there */
		r = -errno;
	else if ((*lock = whole_lock(h->path, LOCK_WAIT_MS)) < 0)
		r = *lock;
	else
		r = whole_read(h->path, KEYS_FILE_MAX, true, text, NULL);
	if (r == -ENOENT && may_be_new && *lock >= 0)
		return 0;
	if (r < 0) {
		keyring_complain(r, *lock < 0 && r != -ENOENT ? "lock" : "open", h->path);
		if (*lock >= 0)
			close(*lock);
	}
	return r < 0 ? keyring_status(r) : 0;
}

static int
replace(const struct hand *h, const struct buf *text)
{
	int r = whole_write(h->path, buf_data(text), buf_len(text));

	if (r >= 0)
		return EX_OK;
	keyring_complain(r, "write", h->path);
	return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_CANTCREAT;
}

int
hand_show_key(const char *stream, char key[KEYS_KEY_TEXT])
{
	char lost[160];

	snprintf(lost, sizeof(lost), "; nobody has seen the new key of %s: rotate it", stream);
	printf("%s\n", key);
	explicit_bzero(key, KEYS_KEY_TEXT);
	return hand_finish(lost);
}

static void
fill(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from ? from : "");
}

int
hand_add(const struct hand *h, const char *stream)
{
	struct buf old = { 0 }, new = { 0 };
	char text[KEYS_KEY_TEXT];
	struct key k = { 0 };
	int status, lock = -1, r;

	fill(k.stream, sizeof(k.stream), stream);
	fill(k.user, sizeof(k.user), h->user);
	fill(k.app, sizeof(k.app), h->app);
	k.max_kbps = h->max_kbps;
	k.until_ms = h->until ? keys_date(h->until) : 0;
	if ((status = begin(h, true, &lock, &old)))
		goto out;
	if ((r = hand_new_key(text, k.digest)) >= 0 && h->adobe)
		r = keyring_password(k.adobe, stream, ADOBE_SALT, text);
	if (r < 0) {
		complain(r, "cannot make a key");
		status = EX_OSERR;
	} else if ((r = keys_edit_add(&new, (char *)buf_data(&old), buf_len(&old), &k)) < 0) {
		complain(r, "cannot add to %s", h->path);
		status = EX_OSERR;
	} else if (!(status = replace(h, &new))) {
		status = hand_show_key(stream, text);
	}
	explicit_bzero(text, sizeof(text));
	close(lock);
out:
	buf_free(&old);
	buf_free(&new);
	return status;
}

/* Rotate when there is a key to show, revoke when not. */
static int
change(const struct hand *h, const char *stream, bool rotate)
{
	struct buf old = { 0 }, new = { 0 };
	uint8_t digest[HASH_BYTES];
	char text[KEYS_KEY_TEXT], adobe[HASH_MD5_TEXT];
	int status, lock = -1, r;

	if ((status = begin(h, false, &lock, &old)))
		goto out;
	if ((r = hand_new_key(text, digest)) >= 0 &&
		(r = keyring_password(adobe, stream, ADOBE_SALT, text)) >= 0)
		r = rotate ? keys_edit_rotate(&new, (char *)buf_data(&old), buf_len(&old), stream,
				     digest, adobe) :
			     keys_edit_revoke(&new, (char *)buf_data(&old), buf_len(&old), stream);
	if (r < 0) {
		complain(r, "cannot change %s", h->path);
		status = EX_OSERR;
	} else if (!r) {
		complain(0, "no key of %s is in force in %s", stream, h->path);
		status = 1;
	} else if (!(status = replace(h, &new)) && rotate) {
		status = hand_show_key(stream, text);
	}
	explicit_bzero(text, sizeof(text));
	close(lock);
out:
	buf_free(&old);
	buf_free(&new);
	return status;
}

int
hand_revoke(const struct hand *h, const char *stream)
{
	return change(h, stream, false);
}

int
hand_rotate(const struct hand *h, const char *stream)
{
	return change(h, stream, true);
}

void
hand_list_key(const struct key *k, int64_t now_ms)
{
	char date[CLOCK_TEXT];

	printf("%s sha256:%02x%02x%02x%02x...", k->stream, k->digest[0], k->digest[1], k->digest[2],
		k->digest[3]);
	if (*k->user)
		printf(" user=%s", k->user);
	if (*k->app)
		printf(" app=%s", k->app);
	if (k->max_kbps)
		printf(" max_kbps=%" PRId64, k->max_kbps);
	if (k->until_ms)
		printf(" until=%s%s", clock_text(date, k->until_ms),
			now_ms >= k->until_ms ? " expired" : "");
	printf("%s%s\n", *k->adobe ? " adobe" : "", k->off ? " off" : "");
}

/* In the order of the file. */
int
hand_list(const struct hand *h, const char *stream)
{
	int64_t now_ms = clock_wall_ms();
	struct keyring ring = { .path = h->path };
	struct buf text = { 0 };
	size_t i;
	int r;

	if ((r = whole_read(h->path, KEYS_FILE_MAX, true, &text, NULL)) == 0)
		r = keys_parse(&ring.keys, (char *)buf_data(&text), buf_len(&text));
	buf_free(&text);
	if (r < 0) {
		keyring_complain(r, "open", h->path);
		return keyring_status(r);
	}
	if (ring.keys->bad_count)
		warning(0, "%s:%d: %s", h->path, ring.keys->bad_line, ring.keys->bad_why);
	keys_by_line(ring.keys);
	for (i = 0; i < ring.keys->count; i++)
		if (!stream || !strcmp(stream, ring.keys->all[i].stream))
			hand_list_key(&ring.keys->all[i], now_ms);
	keyring_close(&ring);
	return hand_finish("");
}

/* The newline is not part of it. */
int
hand_read_key(char key[KEYS_KEY_MAX + 2])
{
	size_t n = fread(key, 1, KEYS_KEY_MAX + 1, stdin);
	char *end = memchr(key, '\n', n);

	if (!end && n > KEYS_KEY_MAX)
		return -EMSGSIZE;
	if (end)
		n = (size_t)(end - key);
	if (n && key[n - 1] == '\r')
		n--;
	key[n] = '\0';
	return n && !memchr(key, '\0', n) ? 0 : -EINVAL;
}

int
hand_tell_check(const char *stream, const char *why)
{
	if (!why) {
		printf("%s\n", stream);
		return hand_finish("");
	}
	inform("%s", why);
	complain(0, "unknown key");
	return 1;
}

int
hand_check(const struct hand *h)
{
	char text[KEYS_KEY_MAX + 2];
	const char *why = HAND_NO_KEY;
	struct keyring ring;
	const struct key *k = NULL;
	int status;

	if ((status = keyring_open(&ring, h->path)))
		return status;
	if (hand_read_key(text) == 0) {
		k = keyring_find(&ring, text);
		why = keys_refusal(k, h->app, clock_wall_ms());
	}
	explicit_bzero(text, sizeof(text));
	status = hand_tell_check(k ? k->stream : "", why);
	keyring_close(&ring);
	return status;
}
