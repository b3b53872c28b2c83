/*
 * jail: the sandbox of a small static program that has all it needs open already: a list of the
 * system calls it may make, no file system, and limits.  For what may still open files see the
 * sandboxes of the commands.
 *
 * how:    0 nothing, 1 a call that is not on the list kills the process, 2 it is logged (auditd).
 * Errors: 0, or -errno of the first mechanism that this kernel lacks; the others hold all the same.
 */
#ifndef LV_JAIL_H
#define LV_JAIL_H

#include <stddef.h>

/* A socket option that may still be set. */
struct jail_option {
	int level, name;
};
int jail_enter(int how, const int *calls, size_t ncalls, const struct jail_option *, size_t noptions,
	size_t memory_max);

#endif
