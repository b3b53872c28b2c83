#include "die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *die_prog = "lv";
bool die_quiet;
bool die_verbose;

/* Standard error is the journal of systemd, as JOURNAL_STREAM says: a line begins with its level. */
static bool
journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
		st.st_dev == dev && st.st_ino == ino;
}

/* One write a line, so that several processes may share standard error. */
static void
say(const char *level, const char *kind, int err, const char *fmt, va_list ap)
{
	char line[2048];
	size_t n, room = sizeof(line) - 1;
	int r;

	n = (size_t)snprintf(line, room, "%s%s: %s", journal() ? level : "", die_prog, kind);
	if (n < room && (r = vsnprintf(line + n, room - n, fmt, ap)) > 0)
		n += (size_t)r;
	if (n < room && err < 0 && (r = snprintf(line + n, room - n, ": %s", strerror(-err))) > 0)
		n += (size_t)r;
	if (n >= room)
		n = room - 1;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is listening */
}

void
die(int status, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("<3>", "", err, fmt, ap);
	va_end(ap);
	exit(status);
}

void
complain(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("<3>", "", err, fmt, ap);
	va_end(ap);
}

void
warning(int err, const char *fmt, ...)
{
	va_list ap;

	if (die_quiet)
		return;
	va_start(ap, fmt);
	say("<4>", "warning: ", err, fmt, ap);
	va_end(ap);
}

void
inform(const char *fmt, ...)
{
	va_list ap;

	if (die_quiet || !die_verbose)
		return;
	va_start(ap, fmt);
	say("<6>", "", 0, fmt, ap);
	va_end(ap);
}
