#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "event.h"

static bool drawn; /* a bar stands on the terminal's last line */

void
progress_end(void)
{
	if (drawn)
		fputc('\n', stderr);
	drawn = false;
}

void
progress_tell(uint64_t done, uint64_t size)
{
	static int64_t shown, told;
	int64_t now = clock_mono_ms();
	int percent = size ? (int)(100 * (double)done / (double)size) : 100;
	struct event ev;

	if (isatty(STDERR_FILENO) && !die_quiet && (done == size || now - shown >= 100)) {
		fprintf(stderr, "\r%3d %% [%-40.*s]", percent, percent * 40 / 100,
			"########################################");
		shown = now;
		drawn = true;
	}
	if (done < size && now - told < 1000)
		return;
	told = now;
	event_begin(&ev, "vod.progressed");
	event_int(&ev, "done_bytes", (int64_t)done);
	event_int(&ev, "size_bytes", (int64_t)size);
	event_send(&ev);
}
