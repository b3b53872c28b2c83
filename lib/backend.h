/*
 * backend: somebody's back end, that is asked and told over HTTP in the words of hook.h.
 *
 * Shape:  backend_options in the table of the command, backend_check on what they hold, backend_new on a
 *         loop, backend_call as often as wanted; each ends in one call of its done, from the loop.
 * Limits: BACKEND_CALLS at a time, else -EAGAIN; answer_ms for each, its waiting for a connection included.
 * Errors: backend_new gives an exit status, after a message.  In an answer, why tells what failed when there is
 *         no answer; allowed is false then, too.
 */
#ifndef LV_BACKEND_H
#define LV_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>
#include <popt.h>

#include "hook.h"

#define BACKEND_CALLS 4096

/* --hook-format, --hook-secret-file, --hook-ca, --hook-private */
extern const struct poptOption backend_options[];

/* NULL when url (of this option; NULL: none is given) and the options are good; else what is wrong. */
const char *backend_check(const char *option, const char *url);

struct backend_answer {
	bool allowed;
	const char *reason; /* why not, for whoever asked; good during done */
	const char *why;    /* NULL: it has answered */
};
typedef void backend_done(void *ctx, const struct backend_answer *);

struct backend;
int backend_new(struct backend **, struct ev_loop *, const char *url, int answer_ms);
void backend_free(struct backend **); /* what is under way ends with why */
size_t backend_waiting(const struct backend *);

/* facts are copied; the server's name is filled in.  0, -EAGAIN, -ENOMEM, -EMSGSIZE. */
int backend_call(struct backend *, enum hook_call, const struct hook_facts *, backend_done *, void *ctx);

#endif
