#include "mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"

static void
end(struct mirror *m, const struct s3_fault *fault)
{
	free(m->below);
	free(m->from);
	m->below = m->from = NULL;
	m->done(m->ctx, fault);
}

static void on_page(void *, const struct s3_result *);

static void
ask(struct mirror *m)
{
	struct s3_fault fault = { .verdict = S3_AWAY, .why = "cannot list the bucket" };

	if (s3_list(m->s3, m->below, m->from, on_page, m) < 0)
		end(m, &fault);
}

static void
on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	ask(w->data);
}

static void
on_page(void *ctx, const struct s3_result *r)
{
	struct mirror *m = ctx;
	size_t skip = strlen(m->below), i;
	char *from = r->next ? strdup(r->next) : NULL;

	if (r->fault.skewed)
		warning(0, "%s; its clock is used meanwhile", r->fault.why);
	if ((r->fault.verdict == S3_AWAY || r->fault.verdict == S3_AGAIN) && m->tries++ < MIRROR_TRIES) {
		ev_timer_init(&m->again, on_again, r->fault.skewed ? 0 : m->tries, 0);
		m->again.data = m;
		ev_timer_start(m->loop, &m->again);
		return;
	}
	if (r->fault.verdict != S3_OK) {
		end(m, &r->fault);
		return;
	}
	for (i = 0; i < r->nentries; i++)
		if (!strncmp(r->entries[i].key, m->below, skip))
			m->found(m->ctx, r->entries[i].key + skip, &r->entries[i]);
	free(m->from);
	if ((m->from = from))
		ask(m);
	else
		end(m, NULL);
}

int
mirror_start(struct mirror *m)
{
	if (asprintf(&m->below, "%s%s", m->prefix, *m->prefix ? "/" : "") < 0)
		return -ENOMEM;
	ask(m);
	return 0;
}
