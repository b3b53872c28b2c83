/* lv-transcode: decode the media on standard input once, and encode a ladder of rungs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/log.h>

#include "avmux.h"
#include "clock.h"
#include "die.h"
#include "event.h"
#include "fdio.h"
#include "file.h"
#include "foreign.h"
#include "opt.h"
#include "sandbox.h"
#include "sig.h"
#include "still.h"
#include "transcode.h"

#define ROOM 65536
#define LADDER_FILE_MAX 65536
#define OUT_MAX 65536 /* bytes that gather before they are written, while input is at hand */

static char **rungs, *ladder_file, *state, *poster, *slate, *sandbox;
static int target_ms = 2000, stall_ms = 5000;

static const struct poptOption options[] = {
	{ "rung", 'r', POPT_ARG_ARGV, &rungs, 0,
		"\"source\", or NAME=WxH@FPS:VIDEO:AUDIO[:key=value,...]; may be repeated", "RUNG" },
	{ "ladder", 'l', POPT_ARG_STRING, &ladder_file, 0, "read the rungs from FILE, one a line", "FILE" },
	{ "state", '\0', POPT_ARG_STRING, &state, 0,
		"keep the ladder of a broadcast in FILE, for the next process", "FILE" },
	{ "poster", '\0', POPT_ARG_STRING, &poster, 0, "write a JPEG of the picture every 10 s", "FILE" },
	{ "slate", '\0', POPT_ARG_STRING, &slate, 0,
		"what the rungs show while nobody publishes: freeze, a picture FILE, or none (freeze)", "WHAT" },
	{ "target-ms", 't', POPT_ARG_INT, &target_ms, 0, "a key frame at least every MS (2000)", "MS" },
	{ "stall-ms", '\0', POPT_ARG_INT, &stall_ms, 0,
		"in a live pipeline, give up when nothing is taken for MS (5000)", "MS" },
	{ "sandbox", '\0', POPT_ARG_STRING, &sandbox, 0, "on or off (on)", "HOW" },
	OPT_COMMON
};

static struct output out;
static struct transcode *stream;

/* The folder of a path, open; *name is what is left of the path. */
static int
folder_of(const char *path, const char **name)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *folder = NULL;
	int fd;

	if (!path)
		return -1;
	*name = slash ? slash + 1 : path;
	if (!**name)
		die(EX_USAGE, 0, "%s names a folder: a file is expected", path);
	if (slash && !(folder = strndup(path, slash == path ? 1 : (size_t)(slash - path))))
		die(EX_OSERR, -ENOMEM, "cannot start");
	fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		die(EX_CANTCREAT, -errno, "cannot open the folder of %s", path);
	return fd;
}

static void
ladder(struct ladder *l)
{
	char why[LADDER_WHY];
	struct buf text = { 0 };
	int i, r;

	if (rungs && ladder_file)
		die(EX_USAGE, 0, "either --rung or --ladder");
	for (i = 0; rungs && rungs[i]; i++)
		if (ladder_add(l, rungs[i], why) < 0)
			die(EX_USAGE, 0, "--rung %s: %s", rungs[i], why);
	if (ladder_file) {
		if ((r = file_get(AT_FDCWD, ladder_file, LADDER_FILE_MAX, &text)) < 0)
			die(EX_NOINPUT, r, "cannot read %s", ladder_file);
		buf_u8(&text, '\0');
		if (ladder_lines(l, (char *)buf_data(&text), why) < 0)
			die(EX_CONFIG, 0, "%s: rung %d: %s", ladder_file, l->count + 1, why);
		if (!l->count)
			die(EX_CONFIG, 0, "%s names no rung", ladder_file);
		buf_free(&text);
	}
	if (!l->count)
		ladder_default(l);
}

static void
flush(size_t beyond)
{
	struct buf *b = transcode_out(stream);
	int r;

	if (b->error)
		die(EX_OSERR, b->error, "cannot hold what leaves");
	if (buf_len(b) <= beyond)
		return;
	if ((r = output_write(&out, buf_data(b), buf_len(b))) < 0) {
		if (r == -EPIPE)
			exit(EX_IOERR); /* the reader has gone: no word about it */
		die(output_status(r), r == -ETIMEDOUT ? 0 : r, r == -ETIMEDOUT
				? "the reader of standard output takes nothing"
				: "cannot write to standard output");
	}
	buf_clear(b);
}

/* On a terminal, how far and how fast; a live stream says it by events. */
static void
progress(bool last)
{
	static int64_t begun, shown;
	int64_t now = clock_mono_ms(), at = transcode_time(stream);

	if (out.live || !isatty(STDERR_FILENO) || die_quiet)
		return;
	if (!begun)
		begun = now;
	if (!last && now - shown < 500)
		return;
	shown = now;
	fprintf(stderr, "\r%02d:%02d:%02d done, %.2f times as fast as it plays%s", (int)(at / 3600000),
		(int)(at / 60000 % 60), (int)(at / 1000 % 60),
		(double)at / (double)(now - begun ? now - begun : 1), last ? "\n" : "");
}

static void
take_tags(struct flv_reader *in, int *r)
{
	struct flv_tag tag;
	int e;

	while ((*r = flv_reader_next(in, &tag)) > 0) {
		if ((e = transcode_tag(stream, &tag)) < 0)
			die(e == -ENOTSUP ? EX_SOFTWARE : EX_OSERR, e == -ENOTSUP ? 0 : e, e == -ENOTSUP
					? "no encoder can be opened, not even libx264"
					: "cannot go on");
		flush(OUT_MAX);
		progress(false);
	}
	flush(0);
}

static ssize_t
read_input(void *arg, void *to, size_t n)
{
	(void)arg;
	return input_read(STDIN_FILENO, to, n, -1);
}

/* Another container on standard input; its first bytes are read already. */
static int
run_foreign(struct flv_reader *reader, const uint8_t *begin, size_t n)
{
	char why[FOREIGN_WHY];
	struct foreign *f;
	struct buf flv = { 0 };
	int r, e = 0;

	if ((r = foreign_new(&f, begin, n, read_input, NULL, why)) < 0)
		die(r == -ENOMEM ? EX_OSERR : EX_DATAERR, 0, "cannot take standard input: %s", why);
	while ((r = foreign_next(f, &flv)) > 0 && e >= 0) {
		if (flv_reader_feed(reader, buf_data(&flv), buf_len(&flv)) < 0)
			die(EX_OSERR, -ENOMEM, "cannot read standard input");
		buf_clear(&flv);
		take_tags(reader, &e);
	}
	foreign_free(&f);
	buf_free(&flv);
	return r < 0 ? -EBADMSG : e;
}

static int
run(void)
{
	struct flv_reader *in;
	uint8_t *p, first[8];
	size_t room, total = 0;
	ssize_t n;
	int r = 0;

	if ((r = flv_reader_new(&in, 0)) < 0)
		die(EX_OSERR, r, "cannot start");
	for (;;) {
		if (!(p = flv_reader_room(in, ROOM, &room)))
			die(EX_OSERR, -ENOMEM, "cannot read standard input");
		if (total < sizeof(first))
			room = sizeof(first) - total; /* enough to know what it is */
		if ((n = input_read(STDIN_FILENO, p, room, -1)) < 0)
			die(EX_IOERR, (int)n, "cannot read standard input");
		if (total < sizeof(first))
			memcpy(first + total, p, (size_t)n);
		total += (size_t)n;
		if (total == sizeof(first) && (size_t)n <= sizeof(first) && memcmp(first, "FLV\1", 4)) {
			r = run_foreign(in, first, sizeof(first));
			break;
		}
		flv_reader_filled(in, (size_t)n);
		take_tags(in, &r);
		if (n <= 0 || r < 0)
			break;
	}
	if (!total)
		die(EX_DATAERR, 0, "standard input is empty");
	if (transcode_finish(stream) < 0)
		die(EX_OSERR, 0, "cannot finish");
	flush(0); /* what came before the damage counts */
	progress(true);
	if (r < 0)
		die(EX_DATAERR, 0, "standard input is damaged, or no media");
	if (!sig_draining() && transcode_orphan(stream))
		die(EX_TEMPFAIL, 0, "the input ended, but not the broadcast");
	if (!sig_draining() && flv_reader_pending(in))
		die(EX_DATAERR, 0, "standard input ends inside a tag");
	flv_reader_free(&in);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	struct transcode_options how = { 0 };
	const char *live = getenv("LV_LIVE");
	int r, status;

	opt_parse(argc, argv, options, "", 0, 0);
	ladder(&how.asked);
	if (target_ms < 500 || target_ms > 30000)
		die(EX_USAGE, 0, "--target-ms %d: from 500 to 30000", target_ms);
	if (stall_ms < 1)
		die(EX_USAGE, 0, "--stall-ms takes milliseconds");
	if (sandbox && strcmp(sandbox, "on") && strcmp(sandbox, "off"))
		die(EX_USAGE, 0, "--sandbox is on or off");
	if (isatty(STDIN_FILENO))
		die(EX_USAGE, 0, "standard input is a terminal: media is expected there");
	if ((r = output_open(&out, STDOUT_FILENO, stall_ms)) < 0)
		die(output_status(r), r == -ENOTTY ? 0 : r, "%s", r == -ENOTTY
				? "standard output is a terminal: media is never written to one"
				: "cannot write to standard output");
	how.target_ms = target_ms;
	how.live = live && !strcmp(live, "1");
	how.freeze = !slate || !strcmp(slate, "freeze");
	if (slate && !how.freeze && strcmp(slate, "none") && (r = still_read(slate, &how.slate)) < 0)
		die(EX_NOINPUT, 0, "--slate %s: %s", slate, avmux_error(r));
	how.state = folder_of(state, &how.state_name);
	how.poster = folder_of(poster, &how.poster_name);
	sig_setup();
	av_log_set_level(die_verbose ? AV_LOG_WARNING : AV_LOG_QUIET);
	if ((r = transcode_new(&stream, &how)) < 0)
		die(EX_OSERR, r, "cannot start");
	if ((!sandbox || !strcmp(sandbox, "on")) && (r = sandbox_enter((int[]){ how.state, how.poster }, 2)) < 0)
		inform("no full sandbox on this system: %s", strerror(-r));
	status = run();
	transcode_free(&stream);
	av_frame_free(&how.slate);
	if ((r = output_close(&out)) < 0)
		die(EX_IOERR, r, "cannot write to standard output");
	events_close(500);
	return status;
}
