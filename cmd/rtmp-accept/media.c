/* The media of a broadcast: records in, tags on one timeline out, queued for the program. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "clock.h"
#include "die.h"
#include "fdio.h"
#include "flv.h"
#include "fourcc.h"
#include "media_parts.h"
#include "spool.h"
#include "taglog.h"
#include "timeline.h"

#define READ_BYTES (8 << 10)
#define READS_MAX 128      /* before others have their turn */
#define IN_KEPT (16 << 10)     /* a key frame's room is not kept for ever */
#define TICK_MS 500
#define LOOK_MS 250          /* at its health */
#define TELL_MS 2000         /* the door, for its metrics */
#define HEADER_MS 2000     /* parameters again before a key frame, at least so often */
#define HELD_MS 10000

static struct timeline timeline;
static struct taglog *tags;
static struct spool spool;
static struct cursor cursor;
static struct buf in, mark;
static int64_t ticked_ms, looked_ms, told_ms, headers_dts;
static bool in_gap;
/*
 * Why time was put right, until the mark that says so.  The media itself goes on, in its place: the mark
 * waits for a key frame, where those after us can begin anew without losing a picture.
 */
static const char *held;
static int64_t held_ms;
static bool unwanted; /* what the publisher sends */
static struct {
	int64_t began_ms, bytes, frames; /* of the session */
} count;

int
media_open(int run_dir)
{
	int r;

	in.max = RECORD_MAX + RECORD_HEADER + READ_BYTES;
	if ((r = taglog_new(&tags, keeper.hello.queue_bytes)) < 0)
		return r;
	/* The last group of pictures, which the next program begins with, is most of what is kept. */
	if ((r = spool_open(&spool, run_dir)) < 0)
		return r;
	taglog_small(tags, (struct taglog_store){ spool_write, spool_read, spool_forget, &spool });
	return cursor_attach(&cursor, tags); /* the first program misses nothing */
}

static void
kept(int r)
{
	if (r < 0)
		die(EX_OSERR, r, "cannot keep the media of %s", keeper.hello.stream);
}


void
media_mark(enum mark_kind kind, const char *reason)
{
	struct mark m = { .kind = kind };
	const struct keep_hello *h = &keeper.hello;

	if (reason)
		strncpy(m.reason, reason, sizeof(m.reason) - 1);
	if (kind == MARK_SESSION) {
		memcpy(m.stream, h->stream, sizeof(m.stream));
		memcpy(m.broadcast, h->broadcast, sizeof(m.broadcast));
		memcpy(m.user, h->user, sizeof(m.user));
		memcpy(m.session, keeper.session.session, sizeof(m.session));
		m.epoch = keeper.session.epoch ? keeper.session.epoch : h->epoch;
		m.origin_ms = h->origin_ms;
	}
	if (kind == MARK_TICK)
		m.wall_ms = clock_wall_ms();
	/* A tick tells the time, and moves it for nobody. */
	mark_put(&mark, kind != MARK_TICK ? timeline_now(&timeline, keeper_now()) :
		keeper_now() > timeline.newest ? keeper_now() : timeline.newest, &m);
	kept(mark.error ? mark.error : taglog_put(tags, buf_data(&mark), buf_len(&mark), clock_mono_ms()));
	buf_clear(&mark);
}

void
media_begin(void)
{
	timeline_session(&timeline, keeper_now());
	memset(&count, 0, sizeof(count));
	count.began_ms = clock_mono_ms();
	health_begin(&media_health, count.began_ms, keeper.hello.health_ms, keeper.session.max_kbps,
		keeper.session.until_ms ? count.began_ms + keeper.session.until_ms - clock_wall_ms() : 0);
	headers_dts = 0;
	in_gap = false;
	buf_clear(&in);
	unwanted = false;
	media_mark(MARK_SESSION, NULL);
}

static void
let_go(void)
{
	const char *why = held;

	held = NULL;
	if (why)
		media_mark(MARK_DISCONTINUITY, why);
}

void
media_gap(void)
{
	let_go();

	if (!in_gap)
		media_mark(MARK_GAP, NULL);
	in_gap = true;
}

void
media_attach(void)
{
	cursor_detach(&cursor);
	if (cursor_attach(&cursor, tags) < 0)
		die(EX_OSERR, -ENOMEM, "cannot keep the media of %s", keeper.hello.stream);
}

bool
media_waiting(void)
{
	return cursor.log && cursor_bytes(&cursor) > 0;
}

static void
say_dropped(void)
{
	struct cursor_drop d;
	struct event *e = &keeper.event;

	if (!cursor_dropped(&cursor, false, &d))
		return;
	keeper.figures.dropped += d.frames;
	event_begin(e, "media.dropped");
	event_str(e, "reader", "program");
	event_int(e, "frames", d.frames);
	event_int(e, "size_bytes", d.bytes);
	event_int(e, "dur_ms", d.dur_ms);
	event_send(e);
}

void
media_pump(void)
{
	int64_t now = clock_mono_ms();
	const uint8_t *data;
	ssize_t r = 0;
	size_t n;
	int fd;

	while ((fd = program_fd()) >= 0 && cursor.log && (n = cursor_peek(&cursor, &data)) > 0) {
		if ((r = fdio_write_now(fd, false, data, n)) == -EPIPE)
			program_deaf();
		if (r < 0)
			break;
		cursor_took(&cursor, (size_t)r);
	}
	if (cursor.log && (cursor_bytes(&cursor) > keeper.hello.queue_bytes ||
			cursor_lag(&cursor, now) > keeper.hello.lag_ms))
		cursor_shed(&cursor);
	if (cursor.log)
		say_dropped();
	taglog_trim(tags);
}

/* ---- records ---- */

static void
repeat_headers(int64_t dts)
{
	struct flv_tag tag;
	int i;

	for (i = 0; headers_get(i, &tag); i++) {
		tag.dts = dts;
		kept(taglog_put_tag(tags, &tag, clock_mono_ms()));
	}
	headers_dts = dts;
}

/* Why the publisher is about to be gone. */
static void
because(const char *reason)
{
	snprintf(keeper.reason, sizeof(keeper.reason), "%s", reason);
}

static void
jumped(const char *why)
{
	if (!held)
		held_ms = clock_mono_ms();
	held = why;
	health_jump(&media_health);
	keeper.figures.jumps++;
	warning(0, "%s: %s; the broadcast goes on with a discontinuity", keeper.hello.stream, why);
}

/* Where a packet has a composition time, that is in the three bytes before its data. */
static void
mend_cts(const struct flv_packet *p, int32_t *cts)
{
	const char *why;

	*cts = p->cts;
	if (p->type != FLV_VIDEO || p->kind != FLV_FRAME || (!p->cts && !timeline.cts_shift))
		return;
	if ((why = timeline_cts(&timeline, cts)))
		jumped(why);
	if (*cts != p->cts)
		put_be24((uint8_t *)p->data - 3, (uint32_t)*cts);
}

/* One that --codecs does not have: its publisher is told, and is gone. */
static void
refuse_codec(uint32_t code)
{
	struct event *e = &keeper.event;
	char name[5] = "", allowed[128], why[256];

	put_be32((uint8_t *)name, code);
	fourccs_text(keeper.hello.codecs, allowed, sizeof(allowed));
	snprintf(why, sizeof(why), "%s is not taken here, but %s", code ? name : "this codec", allowed);
	because(why);
	event_begin(e, "codec.refused");
	event_str(e, "session", keeper.session.session);
	event_str(e, "codec", code ? name : NULL);
	event_str(e, "allowed", allowed);
	event_send(e);
}

/* False: the publisher is to be sent away. */
static bool
put_tag(struct flv_tag *tag)
{
	struct flv_walk walk;
	struct flv_packet p;
	bool key = false, frame = false;
	int32_t cts = 0;

	if (tag->type != FLV_SCRIPT) {
		flv_walk_begin(&walk, tag);
		while (flv_walk_next(&walk, &p) > 0) {
			if (p.kind != FLV_OTHER && !fourccs_have(keeper.hello.codecs, p.codec)) {
				refuse_codec(p.codec);
				return false;
			}
			if (p.kind == FLV_OTHER && keeper.hello.codecs != FOURCCS_ALL && !p.codec && p.size) {
				refuse_codec(0);
				return false;
			}
			if (p.kind == FLV_HEADER && !p.size)
				continue; /* some say so before they know: nothing to remember */
			if (p.kind == FLV_HEADER && headers_known(tag, p.track))
				return true;
			if (p.kind == FLV_HEADER)
				headers_dts = tag->dts;
			if (p.kind != FLV_FRAME)
				continue;
			frame = true;
			mend_cts(&p, &cts);
			key |= p.type == FLV_VIDEO && p.key;
		}
		if (frame)
			health_frame(&media_health, tag->type == FLV_VIDEO, key, tag->dts, cts, keeper_now());
		if (key || !count.frames || clock_mono_ms() - held_ms > HELD_MS)
			let_go();
		count.frames += frame && tag->type == FLV_VIDEO;
		keeper.figures.pictures += frame && tag->type == FLV_VIDEO;
		keeper.figures.sounds += frame && tag->type == FLV_AUDIO;
		if (key && tag->dts - headers_dts >= HEADER_MS)
			repeat_headers(tag->dts);
	}
	kept(taglog_put_tag(tags, tag, clock_mono_ms()));
	return true;
}

static bool
take_record(uint8_t type, uint32_t stamp, const uint8_t *body, size_t n)
{
	struct flv_tag tag = { .type = type, .data = body, .size = n };
	enum timeline_track track = type == RECORD_AUDIO ? TIMELINE_AUDIO
		: type == RECORD_VIDEO ? TIMELINE_VIDEO : TIMELINE_OTHER;
	const uint8_t *values;
	const char *why;
	size_t size;

	if (flv_script(&tag, "onLvMark", &values, &size))
		return true; /* marks are ours to write, whatever became of the session */
	/* What a script tag says of its time is often zero: it belongs where it comes. */
	if (track == TIMELINE_OTHER) {
		tag.dts = timeline.newest;
	} else if ((why = timeline_map(&timeline, track, stamp, keeper_now(), &tag.dts))) {
		jumped(why);
	}
	return put_tag(&tag);
}

/* Whole records of what came: false at one that makes no sense, or at the publisher's goodbye. */
static bool
take_records(void)
{
	while (buf_len(&in) >= RECORD_HEADER) {
		const uint8_t *p = buf_data(&in);
		uint32_t n = get_be32(p);

		if (n > RECORD_MAX || (p[4] != RECORD_AUDIO && p[4] != RECORD_VIDEO && p[4] != RECORD_DATA &&
				p[4] != RECORD_END)) {
			because("the session sent a malformed record");
			return false;
		}
		if (buf_len(&in) - RECORD_HEADER < n)
			return true;
		if (p[4] == RECORD_END) {
			because("unpublished");
			return false;
		}
		if (!take_record(p[4], get_be32(p + 8), p + RECORD_HEADER, n)) {
			unwanted = true;
			return false;
		}
		buf_consume(&in, RECORD_HEADER + n);
	}
	if (!buf_len(&in) && in.cap > IN_KEPT)
		buf_free(&in);
	return true;
}

int
media_read(bool wait)
{
	bool good = true;
	uint8_t *room;
	ssize_t n = 0, got = 0;
	int i;

	for (i = 0; good && i < READS_MAX; i++) {
		if (!(room = buf_reserve(&in, READ_BYTES))) {
			because("no memory");
			return -1;
		}
		n = recv(keeper.media, room, READ_BYTES, wait && !i ? 0 : MSG_DONTWAIT);
		if (n <= 0)
			break;
		buf_grew(&in, (size_t)n);
		got += n;
		good = take_records();
		if (n < READ_BYTES)
			break;
	}
	if (good && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
		because("the connection was lost");
		good = false;
	}
	if (got) {
		keeper.heard_ms = clock_mono_ms();
		count.bytes += got;
		keeper.figures.bytes += got;
		health_bytes(&media_health, keeper.heard_ms, got);
	}
	return good ? got > 0 : unwanted ? -2 : -1;
}

void
media_tick(int64_t now)
{
	if (now - ticked_ms >= TICK_MS) {
		ticked_ms = now;
		media_mark(MARK_TICK, NULL);
	}
	if (keeper.media >= 0 && now - looked_ms >= LOOK_MS) {
		looked_ms = now;
		media_look(now);
	}
	if (now - told_ms >= TELL_MS) {
		told_ms = now;
		keeper_tell_state();
	}
}

void
media_ended(void)
{
	struct event *e = &keeper.event;

	media_say_problems(0, media_health.problems);
	keeper.kbps = keeper.fps_tenths = keeper.problems = 0;
	event_begin(e, "publish.ended");
	event_str(e, "session", keeper.session.session);
	event_str(e, "remote", keeper.remote);
	event_str(e, "reason", keeper.reason);
	event_int(e, "dur_ms", clock_mono_ms() - count.began_ms);
	event_int(e, "size_bytes", count.bytes);
	event_int(e, "frames", count.frames);
	event_send(e);
}
