/* The coprocess of a door: requests and notices in, verdicts out, broadcasts kept in a file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "airing.h"
#include "ask.h"
#include "auth.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "json.h"
#include "sig.h"

#define WAKE_MS 1000       /* how often the files are looked at while nobody asks */
#define TOUCH_MS 5000      /* how often the state file tells that we are still there */
#define LOCK_WAIT_MS 5000  /* for the lv-auth before us to go */
#define TOLD_MAX 4096      /* bytes of one verdict */

struct filter {
	struct keyring ring;
	struct airings *airings;
	const char *state_path;
	int state_lock;
	struct buf in, out;
	bool skipping;     /* the rest of a line that was too long */
	bool save_failed;  /* said once, until it works again */
	int64_t touched_at;
};

static void
on_hup(int signo)
{
	(void)signo; /* the wait ends, and the keys are looked at */
}

static int
state_open(struct filter *f, const char *path, int hold_s)
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
state_save(struct filter *f)
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

static void
put_line(struct filter *f, struct json *j)
{
	int n = json_end(j);

	if (n < 0) /* cannot be: every field is bounded */
		return;
	buf_append(&f->out, j->text, (size_t)n);
	buf_append(&f->out, "\n", 1);
}

static void
refuse(struct filter *f, const char *id, const char *reason, const char *busy)
{
	char text[TOLD_MAX];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "id", id);
	json_bool(&j, "allow", false);
	json_str(&j, "reason", reason);
	if (busy) { /* the stream, so that the door can ask its publisher to give way */
		json_bool(&j, "busy", true);
		json_str(&j, "stream", busy);
	}
	put_line(f, &j);
}

static void
allow(struct filter *f, const char *id, const struct key *k, const struct airing *x, bool resumed)
{
	char text[TOLD_MAX];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "id", id);
	json_bool(&j, "allow", true);
	json_str(&j, "stream", x->stream);
	json_str(&j, "user", *k->user ? k->user : NULL);
	json_str(&j, "broadcast", x->broadcast);
	json_int(&j, "origin_ms", x->origin_ms);
	json_int(&j, "epoch", x->epoch);
	json_bool(&j, "resumed", resumed);
	if (k->max_kbps)
		json_int(&j, "max_kbps", k->max_kbps);
	put_line(f, &j);
}

static void
judge(struct filter *f, const struct ask *a)
{
	int64_t now_ms = clock_wall_ms();
	const struct key *k = a->key_bad ? NULL : keyring_find(&f->ring, a->key);
	const struct airing *x;
	bool resumed;
	int r;

	if (keys_refusal(k, a->app, now_ms)) {
		refuse(f, a->id, "unknown key", NULL);
		return;
	}
	r = airings_ask(f->airings, k->stream, *a->session ? a->session : a->id, now_ms, &x, &resumed);
	if (r < 0) {
		complain(r, "cannot take another stream");
		refuse(f, a->id, "try again later", NULL);
	} else if (!r) {
		refuse(f, a->id, "already publishing", k->stream);
	} else {
		allow(f, a->id, k, x, resumed);
	}
}

/* What a line says is not repeated: it may hold a key. */
static void
take_line(struct filter *f, const char *line, size_t n)
{
	struct ask a;
	int r;

	if (!n)
		return;
	if ((r = ask_parse(&a, line, n)) < 0) {
		if (*a.id)
			refuse(f, a.id, "malformed request", NULL);
		else
			complain(0, "a line on standard input is no request and no notice");
	} else if (a.kind == ASK_PUBLISH) {
		judge(f, &a);
	} else if (a.kind != ASK_OTHER) {
		if ((r = airings_tell(f->airings, &a, clock_wall_ms())) < 0)
			complain(r, "cannot take another stream");
		else if (!r)
			inform("a notice about a broadcast that is not known");
	} else if (*a.id) {
		refuse(f, a.id, "unknown request", NULL);
	} else {
		inform("a notice that is not known");
	}
	explicit_bzero(&a, sizeof(a));
}

/* Lines as they are whole; one that is too long is said once and passed over. */
static void
take_input(struct filter *f)
{
	for (;;) {
		char *data = (char *)buf_data(&f->in);
		size_t n = buf_len(&f->in);
		char *end = n ? memchr(data, '\n', n) : NULL;

		if (!end && n <= ASK_LINE_MAX)
			return;
		if (!f->skipping && (!end || end - data > ASK_LINE_MAX))
			complain(0, "a line on standard input is over %d KB", ASK_LINE_MAX >> 10);
		else if (!f->skipping)
			take_line(f, data, (size_t)(end - data));
		f->skipping = !end;
		n = end ? (size_t)(end - data) + 1 : n;
		explicit_bzero(data, n);
		buf_consume(&f->in, n);
	}
}

/* Whoever airs a stream that has lost its last key is shown the door. */
static void
look_at_keys(struct filter *f)
{
	char text[TOLD_MAX], who[128];
	struct json j, inner;
	size_t i;

	if (!keyring_refresh(&f->ring))
		return;
	for (i = 0; i < f->airings->count; i++) {
		const struct airing *x = &f->airings->all[i];

		if (x->state != AIRING_LIVE || keys_stream_on(f->ring.keys, x->stream))
			continue;
		json_begin(&inner, who, sizeof(who));
		json_str(&inner, "stream", x->stream);
		json_end(&inner);
		json_begin(&j, text, sizeof(text));
		json_raw(&j, "kick", who);
		json_str(&j, "reason", "the key was revoked");
		put_line(f, &j);
	}
}

/* After a crash the time of the file tells when its live broadcasts were last known to be. */
static void
state_touch(struct filter *f)
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

static int
serve(struct filter *f)
{
	uint8_t *room;
	ssize_t n;
	int r;

	while ((room = buf_reserve(&f->in, ASK_LINE_MAX)) &&
		(n = input_read(0, room, ASK_LINE_MAX, WAKE_MS)) != 0) {
		if (n < 0 && n != -EAGAIN) {
			complain((int)n, "cannot read standard input");
			return EX_IOERR;
		}
		look_at_keys(f);
		if (n > 0) {
			buf_grew(&f->in, (size_t)n);
			take_input(f);
		}
		airings_expire(f->airings, clock_wall_ms());
		state_save(f);
		state_touch(f);
		if (f->out.error) {
			complain(f->out.error, "cannot answer");
			return EX_OSERR;
		}
		if ((r = fdio_write_all(1, buf_data(&f->out), buf_len(&f->out))) < 0) {
			if (r != -EPIPE)
				complain(r, "cannot write to standard output");
			return EX_IOERR;
		}
		buf_clear(&f->out);
		events_flush();
	}
	if (!room) {
		complain(f->in.error, "cannot take a request");
		return EX_OSERR;
	}
	if (buf_len(&f->in) && !f->skipping)
		complain(0, "standard input ended in the middle of a line");
	return EX_OK;
}

int
filter_run(const char *keys_path, const char *state_path, int hold_s)
{
	struct sigaction hup = { .sa_handler = on_hup };
	struct filter f = { .state_lock = -1 };
	int status;

	sigaction(SIGHUP, &hup, NULL);
	if (!(status = keyring_open(&f.ring, keys_path)) &&
		!(status = state_open(&f, state_path, hold_s))) {
		status = serve(&f);
		airings_close(f.airings, clock_wall_ms());
		state_save(&f);
	}
	keyring_close(&f.ring);
	airings_free(&f.airings);
	buf_free(&f.in);
	buf_free(&f.out);
	if (f.state_lock >= 0)
		close(f.state_lock);
	return status;
}
