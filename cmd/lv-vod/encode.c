#include "encode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "output.h"

/* Frames that an edit list hides are not encoded. */
static const char *const before[] = { "ffmpeg", "-nostdin", "-v", "error", "-i", "pipe:0", "-map", "0:v?", "-map", "0:a?",
	"-fps_mode", "vfr" };
static const char *const to_file[] = { "-movflags", "+faststart", "-f", "mp4", "-y" };
#define FRAGMENTS "+frag_keyframe+empty_moov+default_base_moof"
static const char *const to_pipe[] = { "-movflags", FRAGMENTS, "-f", "mp4", "pipe:1" };
/* Its options come on a line before the recording; without one nothing is to be encoded.  Nothing follows the last frame. */
static const char *const waiting[] = { "sh", "-c", "set -f; read -r with || exit 0; "
	"exec \"$@\" $with -movflags " FRAGMENTS "+skip_trailer -f mp4 pipe:1", "sh" };

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* ffmpeg's words; text: the options are cut up in it, NULL: they come later. */
static int
build(const char *argv[], char *text, const struct encode *e)
{
	size_t n = 0, i;
	char *word, *rest = text;

	for (i = 0; !text && i < COUNT(waiting); i++)
		argv[n++] = waiting[i];
	for (i = 0; i < COUNT(before); i++)
		argv[n++] = before[i];
	while (text && (word = strtok_r(rest, " \t\n", &rest))) {
		if (n == ENCODE_WORDS_MAX)
			return -E2BIG;
		argv[n++] = word;
	}
	for (i = 0; text && !*e->temp && i < COUNT(to_pipe); i++)
		argv[n++] = to_pipe[i];
	for (i = 0; *e->temp && i < COUNT(to_file); i++)
		argv[n++] = to_file[i];
	if (*e->temp)
		argv[n++] = e->temp;
	argv[n] = NULL;
	return 0;
}

/* out: its standard output, -1 where it writes to a name. */
static int
start(struct encode *e, const char *with, int out)
{
	const char *argv[ENCODE_WORDS_MAX + COUNT(to_file) + 2];
	struct child_spec spec = { .argv = (char *const *)argv, .nfds = 3 };
	char *text = with ? strdup(with) : NULL;
	int fd[2] = { -1, -1 }, r = with && !text ? -ENOMEM : build(argv, text, e);

	if (!r && pipe2(fd, O_CLOEXEC) < 0)
		r = -errno;
	if (!r) {
		spec.fds = (int[]){ fd[0], out, STDERR_FILENO };
		r = child_start(&e->pid, &spec);
	}
	if (fd[0] >= 0)
		close(fd[0]);
	e->fd = fd[1];
	free(text);
	return r;
}

int
encode_start(struct encode *e, const char *path, const char *with)
{
	int made[2] = { -1, -1 }, out = -1, r;

	*e = (struct encode){ .path = path, .fd = -1, .file = -1, .made = -1 };
	if (!path) {
		if (pipe2(made, O_CLOEXEC) < 0)
			return -errno;
		e->made = made[0];
		out = made[1];
	} else if (!strcmp(path, "-")) {
		out = STDOUT_FILENO;
	} else if ((e->file = output_temp(path, e->temp)) < 0) {
		return e->file;
	}
	r = start(e, with ? with : ENCODE_WITH " -enc_time_base:v -1", out); /* times as they are */
	if (made[1] >= 0)
		close(made[1]);
	if (r < 0)
		encode_end(e, r, NULL);
	return r;
}

int
encode_into(struct encode *e, int file)
{
	*e = (struct encode){ .fd = -1, .file = file, .made = -1 };
	return start(e, NULL, file);
}

int
encode_options(struct encode *e, const char *with)
{
	size_t n = strlen(with);

	return write(e->fd, with, n) == (ssize_t)n && write(e->fd, "\n", 1) == 1 ? 0 : -errno;
}

int
encode_end(struct encode *e, int error, uint64_t *size)
{
	struct stat st;
	int status = 0;

	if (e->fd >= 0)
		close(e->fd);
	if (e->made >= 0) /* it does not wait for a reader any more */
		close(e->made);
	e->fd = e->made = -1;
	while (e->pid > 0 && waitpid(e->pid, &status, 0) < 0 && errno == EINTR)
		;
	e->pid = 0;
	if (status && (!error || error == -EPIPE))
		error = -EPROTO;
	if (e->file >= 0 && !error && fstat(e->file, &st) == 0)
		*size = (uint64_t)st.st_size;
	return *e->temp ? output_settle(e->file, e->temp, e->path, error) : error;
}
