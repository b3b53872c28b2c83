/*
 * jobs: many recordings side by side, behind everything else that this machine does.
 *
 * A place is a lock on one of N files in $XDG_RUNTIME_DIR, $TMPDIR or /tmp, of the same user; it is
 * kept until the process ends.
 *
 * Errors: -errno of the files; -ECANCELED after a signal.
 */
#ifndef LV_VOD_JOBS_H
#define LV_VOD_JOBS_H

#define JOBS_MAX 64

int jobs_enter(int n); /* waits for one of n places; nice 19, the disk when nobody else wants it */

#endif
