/*
 * sandbox: what a reader of hostile media may still do once its files are open: no programs, no
 * sockets, no new files but in the folders given.  An adapter of libseccomp.
 *
 * Errors: 0, or -errno of the first mechanism that this system lacks; the others hold all the same.
 *         Under the address sanitizer nothing is done: -ENOTSUP.
 */
#ifndef LV_SANDBOX_H
#define LV_SANDBOX_H

int sandbox_enter(const int *folders, int n); /* each -1 or an open folder */

#endif
