/* The coprocess of a door: requests and notices in, verdicts out. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <jansson.h>

#include "auth.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "metricsd.h"
#include "sig.h"

#define WAKE_MS 1000  /* how often the store looks around while nobody asks */
#define LAST_MS 4000  /* for what is still to be answered when the input has ended */

struct filter {
	struct store *store;
	struct buf in;
	bool skipping; /* the rest of a line that was too long */
	uint64_t allowed, refused;
	struct metrics_counts reasons;
};

static void
on_hup(int signo)
{
	(void)signo; /* the wait ends, and the keys are looked at */
}

/* What a line says is not repeated: it may hold a key. */
static void
take_line(struct filter *f, const char *line, size_t n)
{
	struct store *s = f->store;
	struct ask a;
	int r;

	if (!n)
		return;
	if ((r = ask_parse(&a, line, n)) < 0) {
		if (*a.id)
			verdict_refuse(&s->out, a.id, "malformed request");
		else
			complain(0, "a line on standard input is no request and no notice");
	} else if (a.kind == ASK_PUBLISH) {
		s->publish(s, &a);
	} else if (a.kind != ASK_OTHER) {
		if ((r = s->notice(s, &a)) < 0)
			complain(r, "cannot take another stream");
		else if (!r)
			inform("a notice about a broadcast that is not known");
	} else if (*a.id) {
		verdict_refuse(&s->out, a.id, "unknown request");
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

/* The verdicts among what the store has said, for --metrics: here they are the last word. */
static void
count_verdicts(struct filter *f, const char *lines, size_t n)
{
	const char *end, *reason;
	const json_t *allow;
	json_t *o;

	for (; n && (end = memchr(lines, '\n', n)); n -= (size_t)(end + 1 - lines), lines = end + 1) {
		o = json_loadb(lines, (size_t)(end - lines), 0, NULL);
		reason = json_string_value(json_object_get(o, "reason"));
		if ((allow = json_object_get(o, "allow"))) {
			f->allowed += json_is_true(allow);
			f->refused += !json_is_true(allow);
			if (!json_is_true(allow))
				metrics_count(&f->reasons, reason ? reason : "", 1);
		}
		json_decref(o);
	}
}

/* What the store has said by now.  An exit status. */
static int
answer(struct filter *f)
{
	struct buf *out = &f->store->out;
	int r;

	if (out->error) {
		complain(out->error, "cannot answer");
		return EX_OSERR;
	}
	if (metricsd_where && buf_len(out))
		count_verdicts(f, (const char *)buf_data(out), buf_len(out));
	if ((r = fdio_write_all(1, buf_data(out), buf_len(out))) < 0) {
		if (r != -EPIPE)
			complain(r, "cannot write to standard output");
		return EX_IOERR;
	}
	buf_clear(out);
	events_flush();
	return EX_OK;
}

/* Until there is input, the store has something to do, or a second is over. */
static void
wait_for(struct filter *f, bool input, int most_ms)
{
	struct pollfd p[2] = { { input ? 0 : -1, POLLIN, 0 }, { -1, 0, 0 } };
	int ms = f->store->watch(f->store, &p[1], most_ms), left = sig_drain_left_ms();

	metricsd_poll(p, 2, left >= 0 && left < ms ? left : ms);
}

static void
fill_metrics(void *ctx, struct metrics *m)
{
	const struct filter *f = ctx;

	metrics_family(m, "lv_auth_verdicts_total", METRICS_COUNTER, "Requests, by what was answered.");
	metrics_sample(m, (double)f->allowed, "outcome", "allowed", NULL);
	metrics_sample(m, (double)f->refused, "outcome", "refused", NULL);
	metrics_family(m, "lv_auth_refusals_total", METRICS_COUNTER, "Those that were refused, by reason.");
	metrics_counted(m, &f->reasons, "reason", NULL);
	if (f->store->fill)
		f->store->fill(f->store, m);
}

static int
serve(struct filter *f)
{
	uint8_t *room;
	ssize_t n;
	int status;

	while ((room = buf_reserve(&f->in, ASK_LINE_MAX))) {
		wait_for(f, true, WAKE_MS);
		if ((n = input_read(0, room, ASK_LINE_MAX, 0)) == 0)
			break;
		if (n < 0 && n != -EAGAIN) {
			complain((int)n, "cannot read standard input");
			return EX_IOERR;
		}
		if (n > 0) {
			buf_grew(&f->in, (size_t)n);
			take_input(f);
		}
		f->store->turn(f->store);
		if ((status = answer(f)))
			return status;
	}
	if (!room) {
		complain(f->in.error, "cannot take a request");
		return EX_OSERR;
	}
	if (buf_len(&f->in) && !f->skipping)
		complain(0, "standard input ended in the middle of a line");
	return EX_OK;
}

/* The input has ended; what was asked is answered all the same. */
static int
finish(struct filter *f)
{
	int64_t until = clock_mono_ms() + LAST_MS;
	int status = answer(f);

	while (!status && f->store->busy(f->store) && clock_mono_ms() < until) {
		wait_for(f, false, 100);
		f->store->turn(f->store);
		status = answer(f);
	}
	return status;
}

int
filter_run(struct store *store)
{
	struct sigaction hup = { .sa_handler = on_hup };
	struct filter f = { .store = store };
	int status;

	sigaction(SIGHUP, &hup, NULL);
	metricsd_open(fill_metrics, &f);
	metricsd_ready();
	if (!(status = serve(&f)))
		status = finish(&f);
	metricsd_close();
	buf_free(&f.in);
	return status;
}
