/* lv-segment: cut the media on standard input into segments and keep the playlists true. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "cue.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "flv.h"
#include "mark.h"
#include "opt.h"
#include "segmenter.h"
#include "sig.h"
#include "tracks.h"

#define ROOM 65536

static char *dir, *archive, *format, *captions;
static int target_ms = 2000, window = 10, finish;

static const struct poptOption options[] = {
	{ "dir", 'd', POPT_ARG_STRING, &dir, 0, "write segments and playlists under DIR", "DIR" },
	{ "archive", 'a', POPT_ARG_STRING, &archive, 0,
		"keep all segments under DIR, in a folder a broadcast", "DIR" },
	{ "format", 'f', POPT_ARG_STRING, &format, 0, "fmp4, or ts: MPEG-TS, sound beside the picture (fmp4)",
		"NAME" },
	{ "target-ms", 't', POPT_ARG_INT, &target_ms, 0, "aim for MS milliseconds a segment (2000)",
		"MS" },
	{ "window", 'w', POPT_ARG_INT, &window, 0, "list N segments in the playlists (10)", "N" },
	{ "captions", 'c', POPT_ARG_STRING, &captions, 0,
		"list captions: none, or CHANNEL=LANGUAGE,... as CC1=en; others when they speak", "LIST" },
	{ "finish", '\0', POPT_ARG_NONE, &finish, 0,
		"read nothing: end the playlists of a broadcast that lost its writer", NULL },
	OPT_COMMON
};

static int
take_cue(struct segmenter *seg, const struct flv_tag *tag)
{
	struct buf id3 = { 0 };
	int r = cue_id3(tag, &id3);

	if (r == -EBADMSG || r == -EMSGSIZE)
		warning(0, "a cue at %lld ms is %s: left out", (long long)tag->dts, r == -EBADMSG ? "malformed" : "too long");
	r = r > 0 ? segmenter_cue(seg, tag->dts, buf_data(&id3), buf_len(&id3)) : 0;
	buf_free(&id3);
	return r;
}

static int
take_tag(struct segmenter *seg, const struct flv_tag *tag)
{
	struct flv_packet pkt;
	struct flv_walk walk;
	struct tracks tracks;
	struct mark mark;
	int r;

	if (tag->type == FLV_SCRIPT) {
		if ((r = mark_parse(tag, &mark)) > 0)
			return segmenter_mark(seg, tag->dts, &mark);
		if (r < 0)
			warning(0, "a mark is malformed: ignored");
		if ((r = tracks_parse(tag, &tracks)) > 0)
			return segmenter_tracks(seg, &tracks);
		if (r < 0)
			warning(0, "onMetaData is malformed: ignored");
		return take_cue(seg, tag);
	}
	flv_walk_begin(&walk, tag);
	while ((r = flv_walk_next(&walk, &pkt)) > 0)
		if ((r = segmenter_packet(seg, tag->dts, &pkt)) < 0)
			return r;
	if (r < 0)
		warning(0, "a tag at %lld ms ends too early: dropped", (long long)tag->dts);
	return 0;
}

/* "CC1=en,SERVICE1=es"; NULL: as they come. */
static void
list_captions(struct segmenter_options *how, const char *list)
{
	const char *at = list;
	size_t n;
	int i;

	if (!list)
		return;
	if ((how->deaf = !strcmp(list, "none")))
		return;
	for (;; at += n + 1) {
		n = strcspn(at, "=");
		i = captions_named(at, n);
		at += at[n] ? n + 1 : n;
		n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
		if (i < 0 || !n || n >= SEGMENTER_LANGUAGE || (at[n] && at[n] != ','))
			die(EX_USAGE, 0, "--captions %s: none, or CHANNEL=LANGUAGE,... with CC1 to CC4 and SERVICE1 to SERVICE6",
				list);
		memcpy(how->language[i], at, n);
		if (!at[n])
			return;
	}
}

/* Reads to the end; the status to leave with. */
static int
run(struct segmenter *seg, const char *name)
{
	struct flv_reader *reader;
	struct flv_tag tag;
	uint8_t *room;
	size_t size, total = 0;
	ssize_t n = 0;
	int r, status = EX_OK;

	if ((r = flv_reader_new(&reader, FLV_TAG_MAX)) < 0)
		die(EX_OSERR, r, "cannot start");
	while (!segmenter_ended(seg)) {
		if (!(room = flv_reader_room(reader, ROOM, &size)))
			die(EX_OSERR, -ENOMEM, "cannot read %s", name);
		if ((n = input_read(STDIN_FILENO, room, size, -1)) <= 0)
			break;
		total += (size_t)n;
		flv_reader_filled(reader, (size_t)n);
		while (!segmenter_ended(seg) && (r = flv_reader_next(reader, &tag)) > 0)
			if ((r = take_tag(seg, &tag)) == -ENOTSUP)
				break; /* and has said so */
			else if (r < 0)
				die(EX_IOERR, r, "cannot write to %s", dir);
		if (r < 0)
			break;
	}
	if (r == -ENOTSUP) {
		status = EX_DATAERR;
	} else if (r < 0) {
		complain(0, segmenter_wrote(seg) ? "%s is damaged: not FLV from here on" :
						   "%s is not FLV; lv-transcode reads other containers", name);
		status = EX_DATAERR;
	} else if (n < 0) {
		complain((int)n, "cannot read %s", name);
		status = EX_IOERR;
	} else if (!segmenter_ended(seg) && !sig_draining()) {
		if (!total || flv_reader_pending(reader)) {
			complain(0, total ? "%s ends in the middle of a tag: truncated" : "%s is empty", name);
			status = EX_DATAERR;
		} else if (segmenter_marked(seg)) {
			warning(0, "%s ended but the broadcast did not: the playlists stay open", name);
			status = EX_TEMPFAIL;
		}
	}
	if ((r = segmenter_finish(seg, segmenter_ended(seg) || (status != EX_TEMPFAIL &&
						  !segmenter_marked(seg)))) < 0)
		die(EX_IOERR, r, "cannot finish %s", dir);
	if (status == EX_OK && !segmenter_wrote(seg) && !segmenter_ended(seg)) {
		complain(0, "%s holds no media that can be packaged", name);
		status = EX_DATAERR;
	}
	flv_reader_free(&reader);
	return status;
}

int
main(int argc, char **argv)
{
	char **args = opt_parse(argc, argv, options, "[INPUT]", 0, 1);
	const char *path = args[0] && strcmp(args[0], "-") ? args[0] : NULL;
	struct segmenter_options how = { 0 };
	struct segmenter *seg;
	int r, status = EX_OK;

	if (!dir || !*dir)
		die(EX_USAGE, 0, "--dir is missing: say where the segments go");
	if (format && strcmp(format, "fmp4") && strcmp(format, "ts"))
		die(EX_USAGE, 0, "--format %s: fmp4 or ts", format);
	if (target_ms < 500 || target_ms > 30000)
		die(EX_USAGE, 0, "--target-ms %d: from 500 to 30000", target_ms);
	if (window < 3 || window > 10000)
		die(EX_USAGE, 0, "--window %d: from 3 to 10000", window);
	if (!path && !finish && isatty(STDIN_FILENO))
		die(EX_USAGE, 0, "standard input is a terminal: FLV is expected there");
	sig_setup();
	if (path && !finish) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			die(EX_NOINPUT, -errno, "cannot open %s", path);
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
	how = (struct segmenter_options){ .dir = dir,
		.archive = archive,
		.ts = format && !strcmp(format, "ts"),
		.target_ms = target_ms,
		.window = window,
		.lock_ms = 5000 };
	list_captions(&how, captions);
	if ((r = segmenter_open(&seg, &how)) == -EBUSY)
		die(EX_TEMPFAIL, 0, "%s belongs to another lv-segment, which runs on", dir);
	if (r < 0)
		die(EX_CANTCREAT, r, "cannot write to %s", dir);
	if (!finish)
		status = run(seg, path ? path : "standard input");
	else if ((r = segmenter_finish(seg, true)) < 0)
		die(EX_IOERR, r, "cannot finish %s", dir);
	segmenter_close(&seg);
	events_close(1000);
	return status;
}
