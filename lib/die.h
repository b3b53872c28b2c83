/*
 * die: messages for people on standard error, one line a fact, and the ways out of a process.
 *
 * A message reads "lv-segment: cannot open in.flv: No such file or directory"; err is 0 or a
 * negative errno whose text is appended.  Only main and opt_parse leave the process.
 * In the journal of systemd a line begins with its level, which the journal takes off: <3>, <4>, <6>.
 */
#ifndef LV_DIE_H
#define LV_DIE_H

#include <stdbool.h>
#include <sysexits.h>

extern const char *die_prog; /* set by opt_parse; the name in front of every message */
extern bool die_quiet;       /* --quiet: warnings and information are not printed */
extern bool die_verbose;     /* --verbose: inform prints */

_Noreturn void die(int status, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void complain(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* an error */
void warning(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void inform(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
