/* lv-vod: rebuild a recording from the segments of a broadcast. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "die.h"
#include "edges.h"
#include "encode.h"
#include "event.h"
#include "jobs.h"
#include "opt.h"
#include "output.h"
#include "playlist.h"
#include "progress.h"
#include "recording.h"
#include "report.h"
#include "rungs.h"
#include "s3.h"
#include "sandbox.h"
#include "sig.h"
#include "store.h"

#define FOLDERS_MAX 256

static char *out_path, *rung_name, *audio_name, *gaps, *from_text, *to_text, *report_path, *sandbox, *chapters_path;
static struct store_config bucket;
static int report_fd = -1, want_playlist, jobs, reencode, exact;
static char *encode_with;
static struct encode encoder;
static struct edges edges;

static const struct poptOption options[] = {
	{ "output", 'o', POPT_ARG_STRING, &out_path, 0, "write the recording to FILE, or to s3://BUCKET/KEY; - is standard output", "FILE" },
	{ "playlist", '\0', POPT_ARG_NONE, &want_playlist, 0,
		"write SOURCE/vod.m3u8: HLS over the segments where they are", NULL },
	{ "rung", 'r', POPT_ARG_STRING, &rung_name, 0,
		"this rung, or all: a file for each, OUT-RUNG.mp4 (the best)", "NAME" },
	{ "audio", '\0', POPT_ARG_STRING, &audio_name, 0, "this sound beside it, or none (what belongs to it)",
		"NAME" },
	{ "gaps", '\0', POPT_ARG_STRING, &gaps, 0,
		"close holes, or keep them: a still picture and silence (close)", "HOW" },
	{ "from", '\0', POPT_ARG_STRING, &from_text, 0, "begin there: seconds, or H:MM:SS", "TIME" },
	{ "to", '\0', POPT_ARG_STRING, &to_text, 0, "end there", "TIME" },
	{ "chapters", '\0', POPT_ARG_STRING, &chapters_path, 0,
		"name moments: lines of {\"t\" or \"ts\", \"title\"}, or auto: a chapter for each part", "FILE" },
	{ "exact", '\0', POPT_ARG_NONE, &exact, 0, "encode a clip's edges anew: nothing is in it but what is shown", NULL },
	{ "report", '\0', POPT_ARG_STRING, &report_path, 0,
		"write what was found and done, a JSON object for each recording", "FD|PATH" },
	{ "reencode", '\0', POPT_ARG_NONE, &reencode, 0, "encode it again, by ffmpeg: exact, and smaller", NULL },
	{ "encode-with", '\0', POPT_ARG_STRING, &encode_with, 0, "ffmpeg's options for that (" ENCODE_WITH ")", "OPTIONS" },
	{ "jobs", 'j', POPT_ARG_INT, &jobs, 0, "wait until fewer than N such are at work, and stay behind all else", "N" },
	{ "endpoint", 'E', POPT_ARG_STRING, &bucket.endpoint, 0, "the server of the bucket (Amazon's of the region)", "URL" },
	{ "region", 'R', POPT_ARG_STRING, &bucket.region, 0, "the bucket's region (us-east-1)", "NAME" },
	{ "addressing", 'a', POPT_ARG_STRING, &bucket.addressing, 0, "where the bucket's name goes: path or virtual",
		"STYLE" },
	{ "credentials", 'c', POPT_ARG_STRING, &bucket.credentials, 0, "take the access key from FILE", "FILE" },
	{ "sandbox", '\0', POPT_ARG_STRING, &sandbox, 0, "on or off (on)", "HOW" },
	OPT_COMMON
};

/* SECONDS, MM:SS or H:MM:SS, with a fraction. */
static double
time_of(const char *option, const char *text)
{
	double t = 0, part;
	const char *p = text;
	char *end;
	int parts = 0;

	for (;;) {
		part = isdigit((unsigned char)*p) ? strtod(p, &end) : -1;
		if (part < 0 || part > 1e7 || (parts && part >= 60) || ++parts > 3)
			die(EX_USAGE, 0, "%s %s: expected seconds, or H:MM:SS", option, text);
		t = t * 60 + part;
		if (!*end)
			return t;
		if (*end != ':')
			die(EX_USAGE, 0, "%s %s: expected seconds, or H:MM:SS", option, text);
		p = end + 1;
	}
}

static void
check_options(char **sources, struct recording_options *how)
{
	struct stat st;
	int r;

	if (!*sources)
		die(EX_USAGE, 0, "which archive?  Give a folder, a playlist, s3://BUCKET/PREFIX, or - for a list on standard input");
	if (bucket.addressing && strcmp(bucket.addressing, "path") && strcmp(bucket.addressing, "virtual"))
		die(EX_USAGE, 0, "--addressing %s: neither path nor virtual", bucket.addressing);
	if (bucket.endpoint && !s3_is_endpoint(bucket.endpoint))
		die(EX_USAGE, 0, "--endpoint %s: not http://HOST[:PORT] or https://HOST[:PORT]", bucket.endpoint);
	if (jobs < 0 || jobs > JOBS_MAX)
		die(EX_USAGE, 0, "--jobs %d: not between 1 and %d", jobs, JOBS_MAX);
	if (want_playlist && (sources[1] || !strcmp(*sources, "-")))
		die(EX_USAGE, 0, "--playlist takes one archive, a folder");
	while (want_playlist && strlen(*sources) > 1 && (*sources)[strlen(*sources) - 1] == '/')
		(*sources)[strlen(*sources) - 1] = '\0';
	if (want_playlist && !out_path)
		return;
	if (!out_path || !*out_path)
		die(EX_USAGE, 0, "--output is missing: say where the recording goes");
	if (store_is(out_path) && (!(r = (int)strcspn(out_path + 5, "/")) || strlen(out_path + 5) < (size_t)r + 2 ||
					  out_path[strlen(out_path) - 1] == '/'))
		die(EX_USAGE, 0, "--output %s: not s3://BUCKET/KEY", out_path);
	/* A recording replaces what has its name, and nobody means that of a device or of a pipe. */
	if (strcmp(out_path, "-") && !store_is(out_path) && lstat(out_path, &st) == 0 && !S_ISREG(st.st_mode) &&
		!S_ISDIR(st.st_mode))
		die(EX_CANTCREAT, 0, "cannot write %s: not a regular file; give -o - and send standard output there", out_path);
	if (gaps && strcmp(gaps, "close") && strcmp(gaps, "keep"))
		die(EX_USAGE, 0, "--gaps %s: close or keep", gaps);
	if (sandbox && strcmp(sandbox, "on") && strcmp(sandbox, "off"))
		die(EX_USAGE, 0, "--sandbox is on or off");
	how->keep = gaps && !strcmp(gaps, "keep");
	how->from_s = from_text ? time_of("--from", from_text) : 0;
	how->to_s = to_text ? time_of("--to", to_text) : 0;
	if (to_text && how->to_s <= how->from_s)
		die(EX_USAGE, 0, "--to has to be later than --from");
	if (!strcmp(out_path, "-") && rung_name && !strcmp(rung_name, "all"))
		die(EX_USAGE, 0, "--rung all makes several files: give --output a name");
	if (!strcmp(out_path, "-") && isatty(STDOUT_FILENO))
		die(EX_USAGE, 0, "standard output is a terminal: media is never written to one");
	if (exact && (reencode || (rung_name && !strcmp(rung_name, "all"))))
		die(EX_USAGE, 0, "--exact makes one file, and copies what is between its edges");
	exact &= from_text || to_text;
	reencode |= encode_with && !exact;
	if (reencode && rung_name && !strcmp(rung_name, "all"))
		die(EX_USAGE, 0, "--reencode makes one recording: name its --rung");
	if (!report_path)
		return;
	if (*report_path && strspn(report_path, "0123456789") == strlen(report_path) && strlen(report_path) < 10) {
		report_fd = (int)strtol(report_path, NULL, 10);
		r = fcntl(report_fd, F_SETFD, FD_CLOEXEC);
	} else {
		r = report_fd = open(report_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	}
	if (r < 0)
		die(EX_USAGE, -errno, "cannot write the report to %s", report_path);
}

/* What is no fault of the archive: a bucket that does not do what is asked, or a signal. */
static void
check_service(int e)
{
	if (e == -EHOSTUNREACH)
		die(EX_UNAVAILABLE, 0, "%s", store_why());
	if (e == -EKEYREJECTED)
		die(EX_CONFIG, 0, "%s", store_why());
	if (e == -ECANCELED)
		die(EX_TEMPFAIL, 0, "interrupted; run it again");
}

static void
read_chapters(struct chapters *c)
{
	int line, r;

	if (!strcmp(chapters_path, "auto")) {
		c->automatic = true;
		return;
	}
	if ((r = chapters_read(c, chapters_path, &line)) == -EBADMSG)
		die(EX_DATAERR, 0, "%s, line %d: not {\"t\": SECONDS, \"title\": TEXT}, nor with \"ts\" as of RFC 3339",
			chapters_path, line);
	if (r == -EMSGSIZE)
		die(EX_DATAERR, 0, "%s: more than %d chapters", chapters_path, CHAPTERS_MAX);
	if (r < 0)
		die(EX_NOINPUT, r, "cannot read %s", chapters_path);
}

static void
add_sources(struct archive *a, char **sources)
{
	int r;

	for (; *sources; sources++) {
		const char *name = strcmp(*sources, "-") ? *sources : "standard input";

		check_service(r = archive_add(a, *sources));
		if (r == -EREMOTE)
			die(EX_USAGE, 0, "%s: neither of this machine nor in a bucket; mirror it first", name);
		if (r == -ENODATA)
			die(EX_NOINPUT, 0, "%s: no segments there, and no list of any", name);
		if (r == -EBADMSG)
			die(EX_DATAERR, 0, "%s: neither an archive nor a playlist of one", name);
		if (r == -ENOTSUP)
			die(EX_DATAERR, 0, "%s: encrypted segments, or byte ranges of files, are not read", name);
		if (r == -EMSGSIZE)
			die(EX_DATAERR, 0, "%s: too large", name);
		if (r < 0)
			die(r == -ENOMEM ? EX_OSERR : EX_NOINPUT, r, "cannot read %s", name);
	}
	events_about(*a->stream ? a->stream : NULL, *a->broadcast ? a->broadcast : NULL);
}

static void
start_encoder(void)
{
	int e = exact ? edges_start(&edges, encode_with) :
			encode_start(&encoder, store_is(out_path) ? NULL : out_path, encode_with);

	if (e == -EBUSY)
		die(EX_TEMPFAIL, 0, "%s is being written by another lv-vod", out_path);
	if (e == -E2BIG)
		die(EX_USAGE, 0, "--encode-with: too many words");
	if (e < 0)
		die(EX_CANTCREAT, e, "cannot start ffmpeg to write %s", out_path);
}

static bool
uses_bucket(const struct archive *a)
{
	int i;

	for (i = 0; i < a->listings; i++)
		if (a->listing[i].count && store_is(a->listing[i].segment[0].folder))
			return true;
	return out_path && store_is(out_path);
}

/* From here on files are opened below the archive, and made beside the recording, and nothing else. */
static void
lock_in(const struct archive *a, const char *folder, const char *other)
{
	int fds[FOLDERS_MAX], n = 0, i, r;
	const char *last = NULL;
	size_t j;

	fds[n++] = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (other)
		fds[n++] = open(other, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < a->listings; i++)
		for (j = 0; j < a->listing[i].count; j++) {
			if (a->listing[i].segment[j].folder == last)
				continue;
			last = a->listing[i].segment[j].folder;
			if (store_is(last))
				continue;
			if (n == FOLDERS_MAX) {
				inform("no sandbox: the segments lie in too many folders");
				goto out;
			}
			fds[n++] = open(last, O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
	if ((r = sandbox_enter(fds, n)) < 0)
		inform("no full sandbox on this system: %s", strerror(-r));
out:
	while (n > 0)
		if (fds[--n] >= 0)
			close(fds[n]);
}

/* However it ends: who waits for a recording hears that there is none, and the status says whether to try again. */
static void
tell_failure(int status, void *arg)
{
	struct event ev;

	(void)arg;
	if (!status || !out_path)
		return;
	event_begin(&ev, "vod.failed");
	event_str(&ev, "path", out_path);
	event_int(&ev, "status", status);
	event_send(&ev);
	events_close(500);
}

/* Into ffmpeg; what it made is as long as size says then. */
static int
write_encoded(struct recording *r)
{
	bool stored = store_is(out_path);
	uint64_t none;
	int e = stored ? output_encoded(r, out_path, &encoder, progress_tell) : output_pipe(r, encoder.fd, progress_tell);

	e = encode_end(&encoder, e, &r->size);
	return stored ? output_bucket_end(e, &none) : e;
}

/* How much of it was there already. */
static uint64_t
write_recording(struct recording *r, const char *path)
{
	uint64_t kept = 0;
	int e = reencode ? write_encoded(r) : store_is(path) ? output_bucket(r, path, progress_tell, &kept)
		: strcmp(path, "-") ? output_file(r, path, progress_tell) : output_pipe(r, STDOUT_FILENO, progress_tell);

	progress_end();
	if (!e)
		return kept;
	if (e == -EPROTO)
		die(EX_IOERR, 0, "ffmpeg could not encode it: %s is not written", path);
	if (e == -EPIPE && !strcmp(path, "-"))
		exit(EX_IOERR); /* the reader has gone: no word about it */
	if (e == -ECANCELED)
		die(EX_TEMPFAIL, 0, "interrupted: %s is not written; run it again", path);
	check_service(e);
	if (store_is(path) && *store_why())
		die(EX_IOERR, 0, "cannot write %s: %s", path, store_why());
	if (e == -EBUSY)
		die(EX_TEMPFAIL, 0, "%s is being written by another lv-vod", path);
	if (e == -ESTALE)
		die(EX_TEMPFAIL, 0, "segments changed while they were read; run it again when the broadcast has ended");
	die(e == -ENOENT || e == -EACCES || e == -EROFS || e == -ENOTDIR || e == -EISDIR ? EX_CANTCREAT : EX_IOERR, e,
		"cannot write %s", strcmp(path, "-") ? path : "standard output");
}

static void
cut_edges(const struct rung *rung, struct recording_options *how)
{
	int e = edges_make(&edges, rung, how);

	check_service(e);
	if (e == -ENOTSUP)
		die(EX_USAGE, 0, "--exact: the picture is neither H.264 nor HEVC; --reencode is exact too");
	if (e == -EPROTO)
		die(EX_IOERR, 0, "ffmpeg could not encode the edges: %s is not written", out_path);
	if (e < 0 && e != -ENODATA) /* of which the recording itself will tell */
		die(EX_IOERR, e, "cannot encode the edges");
}

static void
make(const struct archive *a, const struct rung *rung, const struct recording_options *how, const char *path)
{
	struct recording_options own = *how;
	struct chapters chapters;
	struct recording *r;
	struct event ev;
	uint64_t kept;
	int e;

	if (how->chapters) { /* each recording places them for itself */
		chapters = *how->chapters;
		own.chapters = &chapters;
	}
	if (exact)
		cut_edges(rung, &own);
	if ((e = recording_new(&r, rung->picture ? rung->picture : rung->sound, rung->picture ? rung->sound : NULL,
		     rung->picture, &own)) < 0)
		die(EX_CANTCREAT, e, "cannot keep tables in %s", how->tables);
	check_service(e = recording_scan(r));
	if (e == -ENODATA)
		die(EX_DATAERR, 0, "nothing of %s can be used%s", r->lane[0].from->name,
			how->from_s > 0 ? ": is --from after its end?" : "");
	if (e == -EMEDIUMTYPE)
		die(EX_USAGE, 0, "--exact: --encode-with makes another codec's pictures than the archive has");
	if (e == -EMSGSIZE)
		die(EX_DATAERR, 0, "%s: too large, or its parameters change too often", r->lane[0].from->name);
	if (e < 0)
		die(EX_IOERR, e, "cannot read the archive");
	kept = write_recording(r, path);
	report_warn(r, a);
	if (report_fd >= 0 && (e = report_write(report_fd, r, a, path)) < 0)
		die(EX_IOERR, e, "cannot write the report to %s", report_path);
	event_begin(&ev, "vod.ready");
	event_str(&ev, "path", path);
	event_str(&ev, "rung", r->lane[0].from->name);
	event_int(&ev, "dur_ms", llround(recording_seconds(r) * 1000));
	event_int(&ev, "size_bytes", (int64_t)r->size);
	if (kept)
		event_int(&ev, "kept_bytes", (int64_t)kept);
	event_int(&ev, "segments", (int64_t)r->segments);
	event_int(&ev, "segments_used", (int64_t)r->used);
	event_send(&ev);
	recording_free(&r);
	edges_free(&edges);
}

/* OUT.mp4 of a rung: OUT-RUNG.mp4. */
static void
make_all(const struct archive *a, const struct rungs *rungs, const struct recording_options *how)
{
	const char *slash = strrchr(out_path, '/'), *dot = strrchr(slash ? slash : out_path, '.');
	int stem = dot && dot > (slash ? slash + 1 : out_path) ? (int)(dot - out_path) : (int)strlen(out_path);
	char path[PATH_MAX];
	struct rung rung;
	int at = 0, made = 0;

	while (rungs_next(rungs, &at, audio_name, &rung) > 0) {
		if (snprintf(path, sizeof(path), "%.*s-%s%s", stem, out_path, rung.picture->name, out_path + stem) >=
			(int)sizeof(path))
			die(EX_USAGE, 0, "--output is too long");
		make(a, &rung, how, path);
		made++;
	}
	if (!made)
		die(EX_DATAERR, 0, "the archive has no picture");
}

static void
make_playlist(const struct rungs *rungs, const char *folder)
{
	struct event ev;
	int64_t dur_ms;
	int e;

	check_service(e = playlist_write(rungs, folder, &dur_ms));
	if (e == -EXDEV)
		die(EX_USAGE, 0, "--playlist: the tracks are not in folders of their own below %s", folder);
	if (e == -ENODATA)
		die(EX_DATAERR, 0, "nothing of %s can be listed", folder);
	if (e < 0)
		die(EX_IOERR, e, "cannot write %s/vod.m3u8", folder);
	event_begin(&ev, "playlist.written");
	event_str(&ev, "path", "vod.m3u8");
	event_int(&ev, "dur_ms", dur_ms);
	event_bool(&ev, "ended", true);
	event_send(&ev);
}

int
main(int argc, char **argv)
{
	struct recording_options how = { 0 };
	struct archive archive = { 0 };
	static struct chapters chapters;
	struct rungs rungs;
	struct rung rung;
	char folder[PATH_MAX];
	char **sources;
	int r;

	opt_mixed = true;
	sources = opt_parse(argc, argv, options, "SOURCE...", 0, -1);
	check_options(sources, &how);
	on_exit(tell_failure, NULL);
	sig_setup();
	store_setup(&bucket);
	if (jobs && (r = jobs_enter(jobs)) < 0) {
		check_service(r);
		die(EX_CANTCREAT, r, "cannot wait for a place");
	}
	add_sources(&archive, sources);
	if (chapters_path) {
		read_chapters(&chapters);
		how.chapters = &chapters;
	}
	if (snprintf(folder, sizeof(folder), "%s", out_path ? out_path : *sources) >= (int)sizeof(folder))
		die(EX_USAGE, 0, "--output is too long");
	how.tables = strcmp(folder, "-") && !store_is(folder) ? out_path ? dirname(folder) : folder
		: getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	if (uses_bucket(&archive) && (r = store_start()) < 0) {
		check_service(r);
		die(EX_OSERR, r, "cannot start the process that speaks with the bucket");
	}
	if (reencode || exact)
		start_encoder();
	if (!sandbox || !strcmp(sandbox, "on"))
		lock_in(&archive, how.tables, want_playlist && !store_is(*sources) ? *sources : NULL);
	check_service(r = rungs_learn(&rungs, &archive));
	if (r < 0)
		die(r == -EACCES ? EX_NOPERM : EX_OSERR, r, "cannot read the archive");
	if (want_playlist)
		make_playlist(&rungs, *sources);
	if (!out_path) {
		archive_free(&archive);
		store_stop();
		events_close(500);
		return EX_OK;
	}
	if (rung_name && !strcmp(rung_name, "all")) {
		make_all(&archive, &rungs, &how);
	} else {
		if (rungs_choose(&rungs, rung_name, audio_name, &rung) < 0)
			die(EX_DATAERR, 0, "the archive has no %s%s%s that can be read", rung_name || audio_name ? "track " :
				"segment", rung_name ? rung_name : "", rung_name || !audio_name ? "" : audio_name);
		make(&archive, &rung, &how, out_path);
	}
	archive_free(&archive);
	store_stop();
	events_close(500);
	return EX_OK;
}
