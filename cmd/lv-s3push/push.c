#include "push_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "event.h"

#define MEASURE_MS 10000
#define JOURNAL_SLACK 10000

int
push_new(struct push **out, const struct push_config *config)
{
	struct push *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->config = *config;
	TAILQ_INIT(&p->live);
	TAILQ_INIT(&p->kept);
	TAILQ_INIT(&p->later);
	TAILQ_INIT(&p->asks);
	TAILQ_INIT(&p->gone);
	TAILQ_INIT(&p->lists[0]);
	TAILQ_INIT(&p->lists[1]);
	p->scan = 1;
	p->journal_broken = true; /* until it has been read */
	p->measured_ms = clock_mono_ms();
	push_puts_new(&p->puts);
	*out = p;
	return 0;
}

/* A playlist that is ready, moved behind the others; or what one waits for. */
static bool
go_lists(struct push *p, struct lists_queue *q, bool wants)
{
	struct snapshot *s;
	struct object *ob;
	struct list *l;

	TAILQ_FOREACH(l, q, in) {
		if (l->object->state == OBJECT_FLYING)
			continue;
		if ((s = list_ready(l))) {
			if (s->dead) {
				list_release(s);
				push_fail(p, l->object, "it names an init section or key that is nowhere");
				if (!l->n) {
					TAILQ_REMOVE(q, l, in);
					l->queued = false;
				}
				return true;
			}
			push_put_list(p, l, s);
			return true;
		}
	}
	TAILQ_FOREACH(l, q, in)
		if (wants && (ob = list_wants(l))) {
			push_put_file(p, ob);
			return true;
		}
	return false;
}

static bool
go_kept(struct push *p)
{
	if (p->flying_kept >= (p->config.jobs > 1 ? p->config.jobs - 1 : 1))
		return false;
	if (go_lists(p, &p->lists[1], false))
		return true;
	if (TAILQ_EMPTY(&p->kept))
		return false;
	push_put_file(p, TAILQ_FIRST(&p->kept));
	return true;
}

static bool
go_one(struct push *p)
{
	if (!TAILQ_EMPTY(&p->asks))
		push_ask(p, TAILQ_FIRST(&p->asks));
	else if (go_lists(p, &p->lists[0], true))
		;
	else if (!TAILQ_EMPTY(&p->live))
		push_put_file(p, TAILQ_FIRST(&p->live));
	else
		return go_kept(p);
	return true;
}

void
push_go(struct push *p)
{
	while (p->flying < p->config.jobs && clock_mono_ms() >= p->hold_until_ms &&
		!(p->fails && p->flying) && go_one(p))
		;
}

static void
count(void *ctx, struct object *ob)
{
	struct push_figures *f = ctx;

	if (ob->asked || !(ob->state == OBJECT_WAITING || ob->state == OBJECT_FLYING ||
				 (ob->list && ob->list->n)))
		return;
	f->backlog_files++;
	f->backlog_bytes += ob->size > 0 ? ob->size : 0;
	if (!f->backlog_age_ms || ob->seen_ms < f->backlog_age_ms)
		f->backlog_age_ms = ob->seen_ms; /* the oldest's time, until all are counted */
}

void
push_measure(struct push *p, struct push_figures *f)
{
	*f = p->figures;
	objects_each(&p->objects, count, f);
	if (f->backlog_age_ms)
		f->backlog_age_ms = clock_wall_ms() - f->backlog_age_ms;
	f->known_files = (int64_t)p->objects.n;
	f->away = p->fails > 0;
}

void
push_event(const struct push *p, struct event *e, const char *name)
{
	event_begin(e, name);
	event_str(e, "dest", p->config.dest);
}

void
push_say(struct push *p, const char *name)
{
	struct push_figures f;
	struct event e;

	push_measure(p, &f);
	push_event(p, &e, name);
	event_int(&e, "backlog_files", f.backlog_files);
	event_int(&e, "backlog_bytes", f.backlog_bytes);
	event_int(&e, "backlog_age_ms", f.backlog_age_ms);
	event_int(&e, "files_pushed", f.pushed_files);
	event_int(&e, "files_failed", f.failed_files);
	event_int(&e, "files_known", f.known_files);
	event_send(&e);
}

void
push_tick(struct push *p)
{
	int64_t now = clock_mono_ms();
	struct object *ob, *next;

	for (ob = TAILQ_FIRST(&p->later); ob; ob = next) {
		next = TAILQ_NEXT(ob, in);
		if (ob->due_ms <= now || (p->config.once && !ob->asked))
			push_queue(p, ob);
	}
	if (p->config.expire_ms >= 0)
		push_expire(p);
	if (p->spool && (p->journal_broken || p->journal_lines > 2 * p->objects.n + JOURNAL_SLACK))
		push_rewrite(p);
	if (now - p->measured_ms >= MEASURE_MS) {
		p->measured_ms = now;
		push_say(p, "push.measured");
	}
	push_go(p);
}

bool
push_idle(const struct push *p)
{
	return !p->flying && !p->flying_deletes && TAILQ_EMPTY(&p->live) && TAILQ_EMPTY(&p->kept) &&
		TAILQ_EMPTY(&p->later) && TAILQ_EMPTY(&p->asks) && TAILQ_EMPTY(&p->lists[0]) &&
		TAILQ_EMPTY(&p->lists[1]);
}

const struct s3_fault *
push_fault(const struct push *p)
{
	return p->fails ? &p->fault : NULL;
}

int64_t
push_failing_ms(const struct push *p)
{
	return p->fails ? clock_mono_ms() - p->failing_since_ms : 0;
}

size_t
push_failed(const struct push *p)
{
	return (size_t)p->figures.failed_files;
}

const struct push_puts *
push_puts(const struct push *p)
{
	return &p->puts;
}

void
push_use_spool(struct push *p, struct spool *spool)
{
	p->spool = spool;
}

static void
free_list(void *ctx, struct object *ob)
{
	(void)ctx;
	list_free(&ob->list);
}

void
push_free(struct push **pp)
{
	if (!*pp)
		return;
	objects_each(&(*pp)->objects, free_list, NULL);
	objects_free(&(*pp)->objects);
	push_puts_free(&(*pp)->puts);
	free(*pp);
	*pp = NULL;
}
