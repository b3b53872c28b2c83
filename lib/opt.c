#include "opt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "die.h"
#include "event.h"

bool opt_mixed;
char **opt_events;

static int verbose, quiet;
static poptContext pc; /* the operands are its own: it lives as long as we do */

struct poptOption opt_common[] = {
	{ "events", 'e', POPT_ARG_ARGV, &opt_events, 0, "write events to descriptor or path", "FD|PATH" },
	{ "verbose", 'v', POPT_ARG_NONE, &verbose, 0, "say more on standard error", NULL },
	{ "quiet", 'q', POPT_ARG_NONE, &quiet, 0, "no warnings on standard error", NULL },
	{ "version", 'V', POPT_ARG_NONE, NULL, 'V', "print the version and exit", NULL },
	{ "help", 'h', POPT_ARG_NONE, NULL, 'h', "print this help and exit", NULL },
	POPT_TABLEEND
};

/* What was asked for goes to standard output, checked; a full disk is an error here too. */
static _Noreturn void
leave(void)
{
	if (fflush(stdout) || fclose(stdout))
		die(EX_IOERR, -errno, "cannot write to standard output");
	exit(EX_OK);
}

/*
 * Who started us with a standard descriptor closed would have the next file that we open take its
 * number, and be read or written as it.  The place is held by what can be neither read nor written.
 */
static void
hold_standard(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			exit(EX_OSERR);
}

char **
opt_parse(int argc, char **argv, const struct poptOption *options, const char *operands, int min,
	int max)
{
	static char *none[1];
	const char **rest;
	char *slash = strrchr(argv[0] ? argv[0] : "lv", '/');
	int r, n = 0, i;

	hold_standard();
	die_prog = slash ? slash + 1 : argv[0] ? argv[0] : "lv";
	pc = poptGetContext(die_prog, argc, (const char **)argv, options,
		opt_mixed ? 0 : POPT_CONTEXT_POSIXMEHARDER);
	if (operands && *operands) {
		char *line;

		if (asprintf(&line, "[OPTION...] %s", operands) >= 0) {
			poptSetOtherOptionHelp(pc, line); /* takes a copy */
			free(line);
		}
	}
	while ((r = poptGetNextOpt(pc)) > 0) {
		if (r == 'h') {
			poptPrintHelp(pc, stdout, 0);
			leave();
		}
		if (r == 'V') {
			printf("%s (lv) " LV_VERSION "\n", die_prog);
			leave();
		}
	}
	if (r < -1)
		die(EX_USAGE, 0, "%s: %s; try \"%s --help\"", poptBadOption(pc, POPT_BADOPTION_NOALIAS),
			poptStrerror(r), die_prog);
	die_verbose = verbose;
	die_quiet = quiet;
	rest = poptGetArgs(pc);
	while (rest && rest[n])
		n++;
	if (n < min)
		die(EX_USAGE, 0, "missing operand; try \"%s --help\"", die_prog);
	if (max >= 0 && n > max)
		die(EX_USAGE, 0, "unexpected operand \"%s\"; try \"%s --help\"", rest[max], die_prog);
	for (i = 0; opt_events && opt_events[i]; i++)
		if ((r = events_open(opt_events[i])) < 0)
			die(EX_USAGE, r, "cannot write events to %s", opt_events[i]);
	events_open_env();
	return n ? (char **)rest : none;
}
