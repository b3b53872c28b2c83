#include "die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *die_prog = "lv";
bool die_quiet;
bool die_verbose;

/* One write a line, so that several processes may share standard error. */
static void
say(const char *kind, int err, const char *fmt, va_list ap)
{
	char line[2048];
	size_t n, room = sizeof(line) - 1;
	int r;

	n = (size_t)snprintf(line, room, "%s: %s", die_prog, kind);
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
	say("", err, fmt, ap);
	va_end(ap);
	exit(status);
}

void
complain(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", err, fmt, ap);
	va_end(ap);
}

void
warning(int err, const char *fmt, ...)
{
	va_list ap;

	if (die_quiet)
		return;
	va_start(ap, fmt);
	say("warning: ", err, fmt, ap);
	va_end(ap);
}

void
inform(const char *fmt, ...)
{
	va_list ap;

	if (die_quiet || !die_verbose)
		return;
	va_start(ap, fmt);
	say("", 0, fmt, ap);
	va_end(ap);
}
