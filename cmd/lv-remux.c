/* lv-remux: hand the media on standard input to the world outside, in any container. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "avmux.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "mark.h"
#include "opt.h"
#include "pick.h"
#include "sandbox.h"
#include "sig.h"

#define HELD_MAX (32 << 20) /* of media, while the tracks are not all known */

static char *rung, *format, *sandbox;
static int probe_ms = 2000, stall_ms = 5000;

static const struct poptOption options[] = {
	{ "rung", 'r', POPT_ARG_STRING, &rung, 0, "only this rung, or A+B (all that fit)", "NAME" },
	{ "format", 'f', POPT_ARG_STRING, &format, 0, "mpegts, matroska, nut, mp4, flv, ...", "NAME" },
	{ "probe-ms", '\0', POPT_ARG_INT, &probe_ms, 0,
		"begin after MS of media though a track is missing (2000)", "MS" },
	{ "stall-ms", '\0', POPT_ARG_INT, &stall_ms, 0,
		"in a live pipeline, give up when nothing is taken for MS (5000)", "MS" },
	{ "sandbox", '\0', POPT_ARG_STRING, &sandbox, 0, "on or off (on)", "HOW" },
	OPT_COMMON
};

/* A track of the input, and what is known of it before the container is begun. */
struct source {
	uint8_t type, id;
	bool headed, framed, refused;
	struct flv_packet head, first;
	struct buf head_data, first_data;
	int number; /* the container's, -1: none */
};

static struct output out;
static struct avmux *mux;
static struct pick *pick;
static struct tracks tracks; /* of the last onMetaData */
static struct source sources[2 * TRACKS_MAX];
static int nsources;
static struct buf held; /* tags that came before the start, behind an FLV header */
static int64_t first_dts;
static bool started, begun;
static struct mark_seen seen;

static int
on_write(void *arg, const void *data, size_t n)
{
	return output_write(arg, data, n);
}

static struct source *
source_of(uint8_t type, uint8_t id)
{
	struct source *s;
	int i;

	for (i = 0; i < nsources; i++)
		if (sources[i].type == type && sources[i].id == id)
			return &sources[i];
	if (nsources == 2 * TRACKS_MAX)
		return NULL;
	s = &sources[nsources++];
	s->type = type;
	s->id = id;
	s->number = -1;
	return s;
}

static bool
has_head(uint32_t codec)
{
	return codec == FLV_AVC || codec == FLV_HEVC || codec == FLV_AV1 || codec == FLV_AAC ||
		codec == FLV_OPUS || codec == FLV_FLAC;
}

static void
keep(struct flv_packet *to, struct buf *data, const struct flv_packet *p)
{
	buf_clear(data);
	if (buf_append(data, p->data, p->size) < 0)
		die(EX_OSERR, -ENOMEM, "cannot hold a packet");
	*to = *p;
	to->data = buf_data(data);
}

/* Is everything there that onMetaData promised, or else sound and picture? */
static bool
complete(int64_t dts)
{
	int i, want = tracks.count ? tracks.count : 2, have = 0;

	for (i = 0; i < nsources; i++)
		if (sources[i].framed)
			have++;
	return have >= want || (have && dts - first_dts >= probe_ms) || buf_len(&held) > HELD_MAX;
}

static void
check(int r, const char *what)
{
	if (r >= 0)
		return;
	if (r == -EPIPE)
		exit(EX_IOERR); /* the reader has gone: no word about it */
	die(output_status(r), 0, "%s: %s", what, avmux_error(r));
}

static void
write_packet(int64_t dts, const struct flv_packet *p)
{
	struct source *s = source_of(p->type, p->track);

	if (!s || s->number < 0) {
		if (s && !s->refused)
			warning(0, "a track that came late is left out: the container has begun");
		if (s)
			s->refused = true;
		return;
	}
	if (p->kind == FLV_HEADER)
		check(avmux_params(mux, s->number, p), "cannot take new parameters");
	else if (p->kind == FLV_FRAME && p->size)
		check(avmux_packet(mux, s->number, dts, p), "cannot write to standard output");
}

static void
each_packet(const struct flv_tag *tag, void (*take)(int64_t, const struct flv_packet *))
{
	struct flv_walk walk;
	struct flv_packet p;

	if (tag->type == FLV_SCRIPT)
		return;
	flv_walk_begin(&walk, tag);
	while (flv_walk_next(&walk, &p) > 0)
		if (p.kind == FLV_HEADER || p.kind == FLV_FRAME)
			take(tag->dts, &p);
}

static void
learn(int64_t dts, const struct flv_packet *p)
{
	struct source *s = source_of(p->type, p->track);

	(void)dts;
	if (!s || s->framed)
		return;
	if (p->kind == FLV_HEADER) {
		keep(&s->head, &s->head_data, p);
		s->headed = true;
	} else if ((s->headed || !has_head(p->codec)) && (p->key || p->type == FLV_AUDIO)) {
		keep(&s->first, &s->first_data, p);
		s->framed = true;
	}
}

static void
start(void)
{
	struct flv_reader *again;
	struct flv_tag tag;
	int i, r;

	for (i = 0; i < nsources; i++) {
		struct source *s = &sources[i];

		if (!s->framed)
			continue;
		r = avmux_track(mux, s->headed ? &s->head : NULL, &s->first,
			tracks_find(&tracks, s->type, s->id));
		if (r == -ENOTSUP)
			die(EX_DATAERR, 0, "%s cannot hold the %s track %d", format,
				s->type == FLV_VIDEO ? "video" : "audio", s->id);
		check(r, "cannot add a track");
		s->number = r;
	}
	if ((r = avmux_start(mux)) < 0) {
		if (r == -EPIPE || r == -ETIMEDOUT || r == -ENOSPC)
			check(r, "cannot write to standard output");
		die(EX_DATAERR, 0, "%s cannot hold these tracks (%s)%s", format, avmux_error(r),
			rung ? "" : ": choose one with --rung");
	}
	started = true;
	if (flv_reader_new(&again, 0) < 0 || flv_reader_feed(again, buf_data(&held), buf_len(&held)) < 0)
		die(EX_OSERR, -ENOMEM, "cannot start");
	while ((r = flv_reader_next(again, &tag)) > 0)
		each_packet(&tag, write_packet);
	flv_reader_free(&again);
	buf_free(&held);
}

static void
note_mark(const struct flv_tag *tag)
{
	struct mark m;

	if (mark_note(&seen, tag, &m) > 0 && m.kind == MARK_SESSION)
		events_about(m.stream, m.broadcast);
}

static void
take_tag(const struct flv_tag *tag)
{
	if (tag->type == FLV_SCRIPT) {
		note_mark(tag);
		if (!started)
			tracks_parse(tag, &tracks);
		return;
	}
	if (started) {
		each_packet(tag, write_packet);
		return;
	}
	if (!begun)
		first_dts = tag->dts;
	begun = true;
	flv_put_tag(&held, tag->type, tag->dts, tag->data, tag->size);
	if (held.error)
		die(EX_OSERR, held.error, "cannot hold the beginning");
	each_packet(tag, learn);
	if (complete(tag->dts))
		start();
}

/* Through the choice of rungs, when there is one; a tag that makes no sense is left out. */
static void
take_picked(const struct flv_tag *tag)
{
	static struct flv_reader *reader;
	static struct buf picked;
	static bool told;
	struct flv_tag one;

	if (!pick) {
		take_tag(tag);
		return;
	}
	if (!reader) {
		if (flv_reader_new(&reader, 0) < 0)
			die(EX_OSERR, -ENOMEM, "cannot start");
		flv_put_header(&picked);
	}
	if (pick_tag(pick, tag, &picked) < 0)
		buf_clear(&picked);
	if (pick_empty(pick) && !told)
		warning(0, "the stream has no rung \"%s\"", rung);
	told = pick_empty(pick);
	if (flv_reader_feed(reader, buf_data(&picked), buf_len(&picked)) < 0)
		die(EX_OSERR, -ENOMEM, "cannot hold a tag");
	buf_clear(&picked);
	while (flv_reader_next(reader, &one) > 0)
		take_tag(&one);
}

static int
run(void)
{
	struct flv_reader *in;
	struct flv_tag tag;
	uint8_t *p;
	size_t room;
	ssize_t n;
	int r;

	if ((r = flv_reader_new(&in, 0)) < 0)
		die(EX_OSERR, r, "cannot start");
	do {
		if (!(p = flv_reader_room(in, 64 << 10, &room)))
			die(EX_OSERR, -ENOMEM, "cannot read standard input");
		if ((n = input_read(STDIN_FILENO, p, room, -1)) < 0)
			die(EX_IOERR, (int)n, "cannot read standard input");
		flv_reader_filled(in, (size_t)n);
		while ((r = flv_reader_next(in, &tag)) > 0)
			take_picked(&tag);
	} while (n > 0 && r == 0);
	if (!started && nsources && complete(first_dts + probe_ms))
		start();
	if (started) /* what came before the damage counts */
		check(avmux_finish(mux), "cannot write to standard output");
	if (r < 0)
		die(EX_DATAERR, 0, "standard input is not FLV, or is damaged");
	if (!sig_draining() && mark_orphan(&seen))
		die(EX_TEMPFAIL, 0, "the input ended, but not the broadcast");
	if (!sig_draining() && flv_reader_pending(in))
		die(EX_DATAERR, 0, "standard input ends inside a tag");
	if (!started)
		die(EX_DATAERR, 0, "standard input has nothing to write%s%s", rung ? " of rung " : "",
			rung ? rung : "");
	flv_reader_free(&in);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	int r, i, status;

	opt_parse(argc, argv, options, "", 0, 0);
	if (!format)
		die(EX_USAGE, 0, "which container?  Give --format mpegts, matroska, nut, mp4 or flv");
	if (probe_ms < 0 || stall_ms < 1)
		die(EX_USAGE, 0, "--probe-ms and --stall-ms take milliseconds");
	if (rung && pick_new(&pick, rung) < 0)
		die(EX_USAGE, 0, "--rung %s: expected the names of one to %d rungs, joined by +", rung,
			PICK_NAMES);
	if (sandbox && strcmp(sandbox, "on") && strcmp(sandbox, "off"))
		die(EX_USAGE, 0, "--sandbox is on or off");
	if (isatty(STDIN_FILENO))
		die(EX_USAGE, 0, "standard input is a terminal: FLV is expected there");
	if ((r = output_open(&out, STDOUT_FILENO, stall_ms)) < 0)
		die(output_status(r), r == -ENOTTY ? 0 : r, "%s", r == -ENOTTY
				? "standard output is a terminal: media is never written to one"
				: "cannot write to standard output");
	if ((r = avmux_new(&mux, format, on_write, &out)) < 0)
		die(EX_USAGE, r == -EINVAL ? 0 : r, "cannot write the format %s%s", format,
			r == -EINVAL ? ": libavformat has none of this name for pipes" : "");
	sig_setup();
	if ((!sandbox || !strcmp(sandbox, "on")) && (r = sandbox_enter(NULL, 0)) < 0)
		inform("no full sandbox on this system: %s", strerror(-r));
	flv_put_header(&held);
	status = run();
	avmux_free(&mux);
	if ((r = output_close(&out)) < 0)
		die(EX_IOERR, r, "cannot write to standard output");
	for (i = 0; i < nsources; i++) {
		buf_free(&sources[i].head_data);
		buf_free(&sources[i].first_data);
	}
	pick_free(&pick);
	events_close(500);
	return status;
}
