/*
 * opt: one way to read a command line, on popt.
 *
 * A command ends its table with OPT_COMMON, which gives every command --events, --verbose,
 * --quiet, --version and --help.  opt_parse dies with 64 on anything it does not know, opens the
 * event sinks before the command opens anything else, and returns the operands, ended by NULL.
 */
#ifndef LV_OPT_H
#define LV_OPT_H

#include <stdbool.h>

#include <popt.h>

extern struct poptOption opt_common[];
extern char **opt_events; /* as --events gave them, for those we start; NULL: none */
extern bool opt_mixed; /* set before opt_parse: options may follow operands, up to "--" */

#define OPT_COMMON                                                                                 \
	{ NULL, '\0', POPT_ARG_INCLUDE_TABLE, opt_common, 0, "Common options:", NULL }, POPT_TABLEEND

/* operands: what --help shows after [OPTION...]; max < 0 takes any number. */
char **opt_parse(int argc, char **argv, const struct poptOption *, const char *operands, int min,
	int max);

#endif
