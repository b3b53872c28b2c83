#include "wsloop.h"

#include <errno.h>
#include <string.h>

#include "die.h"

/*
 * The plugin for libev never moves a timer of libev that it has armed for a later time: with this
 * one it is never armed for more than a second, and time-outs come when they are due.
 */
static void
on_beat(lws_sorted_usec_list_t *sul)
{
	struct wsloop *w = lws_container_of(sul, struct wsloop, beat);

	lws_sul_schedule(w->lws, 0, sul, on_beat, LWS_US_PER_SEC);
}

static void
on_log(int level, const char *line)
{
	(void)level;
	inform("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

int
wsloop_open(struct wsloop *w, struct ev_loop *loop, const struct lws_protocols *protocols,
	uint64_t options, void *user)
{
	/*
	 * Half-open connections are found by our own pings.  Its watch, if there is any, goes anew to the end of a
	 * sorted list of all connections with every frame that comes, which walks the list.
	 */
	static const lws_retry_bo_t never = { .secs_since_valid_hangup = 0 };
	void *loops[] = { loop };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.options = options | LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.foreign_loops = loops,
		.server_string = die_prog,
		.timeout_secs = 5,
		.keepalive_timeout = 5,
		.retry_and_idle_policy = &never,
		.gid = -1,
		.uid = -1,
		.user = user,
	};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
	if (!(w->lws = lws_create_context(&info)) || !(w->vhost = lws_create_vhost(w->lws, &info))) {
		wsloop_close(w);
		return -ENOTSUP;
	}
	on_beat(&w->beat);
	return 0;
}

void
wsloop_close(struct wsloop *w)
{
	if (w->lws)
		lws_context_destroy(w->lws);
	w->lws = NULL;
}
