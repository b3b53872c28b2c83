/* metricsd on a libev loop, apart so that only who has one links it. */
#include <ev.h>

#include "metricsd.h"

static ev_io readable;
static ev_timer tick; /* those who are too slow are looked for */

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	metricsd_turn();
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	metricsd_turn();
}

void
metricsd_start(struct ev_loop *loop)
{
	if (metricsd_fd() < 0)
		return;
	ev_io_init(&readable, on_readable, metricsd_fd(), EV_READ);
	ev_set_priority(&readable, EV_MINPRI);
	ev_io_start(loop, &readable);
	ev_timer_init(&tick, on_tick, 1, 1);
	ev_timer_start(loop, &tick);
	metricsd_ready();
}
