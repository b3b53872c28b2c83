/* dbhand: a command that is one statement. */
#ifndef LV_AUTH_DBHAND_H
#define LV_AUTH_DBHAND_H

#include "auth.h"

/* take gets the rows of the answer.  0, or an exit status after a message. */
int dbhand_run(const char *url, const char *sql, int n, const char *const params[],
	void (*take)(void *arg, const struct db_rows *), void *arg);

#endif
