/* wsloop: libwebsockets on a loop of libev, for lib/ws and lib/wsclient; nobody else includes this. */
#ifndef LV_WSLOOP_H
#define LV_WSLOOP_H

#include <ev.h>
#include <libwebsockets.h>

struct wsloop {
	struct lws_context *lws;
	struct lws_vhost *vhost;
	lws_sorted_usec_list_t beat;
};

/* -ENOTSUP: there is no plugin for libev. */
int wsloop_open(struct wsloop *, struct ev_loop *, const struct lws_protocols *, uint64_t options, void *user);
void wsloop_close(struct wsloop *);

#endif
