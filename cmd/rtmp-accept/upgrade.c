/*
 * Another binary in our place: the same command line from the same path, with our listeners, so that
 * nobody who connects meanwhile is turned away.  Broadcasts go on without a door and are adopted;
 * whoever still waits for a verdict is let finish, for a moment.
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "door.h"
#include "event.h"
#include "notify.h"

#define SETTLE_MS 3000

static char path[PATH_MAX], **line;
static int64_t until; /* 0: not asked for */

void
upgrade_prepare(char **argv)
{
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	line = argv;
}

const char *
upgrade_ask(void)
{
	if (door.draining)
		return "we are draining";
	if (access(path, X_OK) < 0)
		return "there is no program where ours was";
	if (!until)
		listeners_pause(true);
	until = clock_mono_ms() + SETTLE_MS;
	return NULL;
}

static void
set_files(int64_t n)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	lim.rlim_cur = n ? (rlim_t)n : lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

void
upgrade_tick(int64_t now)
{
	struct clients_stats c;
	struct event e;

	clients_stats(&c);
	if (!until || (c.pending && now < until))
		return;
	until = 0;
	event_begin(&e, "server.upgrading");
	event_str(&e, "path", path);
	event_send(&e);
	events_flush();
	notify_reloading(); /* the next one is ready when it is */
	set_files(door.nofile);
	listeners_hand_on(true);
	execv(path, line);
	complain(-errno, "cannot run %s; going on as we are", path);
	listeners_hand_on(false);
	set_files(0);
	listeners_pause(false);
	notify_ready();
}
