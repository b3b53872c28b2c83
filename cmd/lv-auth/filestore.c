/* Keys in a file, broadcasts in another one beside it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "airing.h"
#include "auth.h"
#include "clock.h"
#include "die.h"

#define TOUCH_MS 5000     /* how often the state file tells that we are still there */
#define LOCK_WAIT_MS 5000 /* for the lv-auth before us to go */

struct filestore {
	struct store store;
	struct keyring ring;
	struct airings *airings;
	const char *state_path;
	int state_lock;
	bool save_failed; /* said once, until it works again */
	int64_t touched_at;
};

static int
state_open(struct filestore *f, const char *path, int hold_s)
{
	struct buf text = { 0 };
	struct whole_id id = { 0 };
	int r, bad;

	f->state_path = path;
	if ((f->state_lock = whole_lock(path, LOCK_WAIT_MS)) < 0) {
		keyring_complain(f->state_lock, "use", path);
		return f->state_lock == -EBUSY ? EX_TEMPFAIL : EX_CANTCREAT;
	}
	if ((r = airings_new(&f->airings, (int64_t)hold_s * 1000)) == 0 &&
		(r = whole_read(path, AIRING_FILE_MAX, false, &text, &id)) == -ENOENT)
		r = 0;
	bad = r < 0 ? r : airings_load(f->airings, (char *)buf_data(&text), buf_len(&text),
		(int64_t)id.mtime.tv_sec * 1000 + id.mtime.tv_nsec / 1000000);
	buf_free(&text);
	if (bad < 0) {
		complain(bad, "cannot read %s", path);
		return keyring_status(bad);
	}
	if (bad)
		warning(0, "%s: %d lines are not understood; their broadcasts begin anew", path, bad);
	return EX_OK;
}

/* Before the verdicts leave, so that no epoch is given twice.  A full disk lets publishers in. */
static void
state_save(struct filestore *f)
{
	struct buf text = { 0 };
	int r;

	if (!f->airings->dirty)
		return;
	if ((r = airings_text(f->airings, &text)) >= 0)
		r = whole_write(f->state_path, buf_data(&text), buf_len(&text));
	buf_free(&text);
	if (r < 0 && !f->save_failed)
		complain(r, "cannot write %s; trying on, and a restart would forget broadcasts",
			f->state_path);
	f->save_failed = r < 0;
	f->airings->dirty = r < 0;
	f->touched_at = clock_mono_ms();
}

/* After a crash the time of the file tells when its live broadcasts were last known to be. */
static void
state_touch(struct filestore *f)
{
	size_t i;

	if (clock_mono_ms() - f->touched_at < TOUCH_MS)
		return;
	for (i = 0; i < f->airings->count; i++)
		if (f->airings->all[i].state == AIRING_LIVE) {
			utimensat(AT_FDCWD, f->state_path, NULL, 0);
			break;
		}
	f->touched_at = clock_mono_ms();
}

/* Whoever airs a stream that has lost its last key is shown the door. */
static void
look_at_keys(struct filestore *f)
{
	size_t i;

	if (!f->ring.path || !keyring_refresh(&f->ring))
		return;
	for (i = 0; i < f->airings->count; i++) {
		const struct airing *x = &f->airings->all[i];

		if (x->state == AIRING_LIVE && !keys_stream_on(f->ring.keys, x->stream))
			verdict_kick(&f->store.out, x->stream, "the key was revoked");
	}
}

/* Without keys the name that is published is the stream, and whoever it is may. */
static const struct key *
find(const struct filestore *f, const struct ask *a, struct key *open)
{
	if (f->ring.path && *a->password.user)
		return keyring_user(&f->ring, &a->password);
	if (a->key_bad)
		return NULL;
	if (f->ring.path)
		return keyring_find(&f->ring, a->key);
	if (!keys_stream_good(a->key))
		return NULL;
	memset(open, 0, sizeof(*open));
	memcpy(open->stream, a->key, strlen(a->key) + 1);
	return open;
}

static void
file_publish(struct store *s, const struct ask *a)
{
	struct filestore *f = (struct filestore *)s;
	int64_t now_ms = clock_wall_ms();
	struct key open;
	const struct key *k;
	const struct airing *x;
	bool resumed;
	int r;

	look_at_keys(f);
	k = find(f, a, &open);
	if (keys_refusal(k, a->app, now_ms)) {
		verdict_refuse(&s->out, a->id, "unknown key");
		return;
	}
	r = airings_ask(f->airings, k->stream, *a->session ? a->session : a->id, now_ms, &x, &resumed);
	if (r < 0) {
		complain(r, "cannot take another stream");
		verdict_refuse(&s->out, a->id, "try again later");
	} else if (!r) {
		verdict_busy(&s->out, a->id, k->stream);
	} else {
		verdict_allow(&s->out, a->id, &(struct verdict){ .stream = x->stream, .user = k->user,
			.broadcast = x->broadcast, .origin_ms = x->origin_ms, .epoch = x->epoch,
			.max_kbps = k->max_kbps, .until_ms = k->until_ms, .resumed = resumed });
	}
}

static int
file_notice(struct store *s, const struct ask *a)
{
	return airings_tell(((struct filestore *)s)->airings, a, clock_wall_ms());
}

static void
file_turn(struct store *s)
{
	struct filestore *f = (struct filestore *)s;

	look_at_keys(f);
	airings_expire(f->airings, clock_wall_ms());
	state_save(f);
	state_touch(f);
}

static int
file_watch(struct store *s, struct pollfd *p, int most_ms)
{
	(void)s;
	p->fd = -1;
	return most_ms;
}

static bool
file_busy(struct store *s)
{
	(void)s;
	return false;
}

static void
file_close(struct store **s)
{
	struct filestore *f = (struct filestore *)*s;

	if (f->airings && f->state_lock >= 0) {
		airings_close(f->airings, clock_wall_ms());
		state_save(f);
	}
	keyring_close(&f->ring);
	airings_free(&f->airings);
	buf_free(&f->store.out);
	if (f->state_lock >= 0)
		close(f->state_lock);
	free(f);
	*s = NULL;
}

int
filestore_open(struct store **out, const char *keys_path, const char *state_path, int hold_s)
{
	struct filestore *f = calloc(1, sizeof(*f));
	int status = EX_OK;

	if (!f) {
		complain(-ENOMEM, "cannot begin");
		return EX_OSERR;
	}
	f->store = (struct store){ file_publish, file_notice, file_turn, file_watch, file_busy, NULL, file_close,
		.out = { 0 } };
	f->state_lock = -1;
	*out = &f->store;
	if ((keys_path && (status = keyring_open(&f->ring, keys_path))) || (status = state_open(f, state_path, hold_s)))
		file_close(out);
	return status;
}
