/*
 * gate: whether a request about a stream is answered: by the signed link that it came with (viewlink.h), by
 * the page that it came from, and by a back end (judge.h), in this order.
 *
 * Rule:   what concerns a stream is below live/, archive/ or check/; all else is open to everybody.
 *         A page is told by Origin, or where there is none by Referer; the server's own pages may always.
 *         --referer names them as nginx's valid_referers does: a host, *.HOST (any below it),
 *         .HOST (both), "none" (a request that does not tell).
 * Owner:  what the configuration points to is borrowed.
 */
#ifndef LV_SERVE_GATE_H
#define LV_SERVE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd.h"
#include "judge.h"
#include "viewlink.h"

struct gate {
	const struct viewlink_key *key; /* NULL: no links are asked for */
	char **referers;                /* ended by NULL; NULL: from everywhere */
	struct judge *judge;            /* NULL: nobody is asked */
};

enum gate_verdict { GATE_OPEN, GATE_SHUT, GATE_HELD, GATE_BUSY };

bool gate_referer_good(const char *name); /* an operand of --referer */

/* path: decoded; then without its prefix.  why: in words, where it is shut. */
enum gate_verdict gate_pass(const struct gate *, struct httpd_request *, const char **path, const char *remote,
	const char **why);

#endif
