#include "push_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "die.h"
#include "event.h"
#include "hash.h"

#define HOLD_FIRST_MS 200
#define HOLD_MAX_MS 5000 /* viewers wait for the end of an outage */
#define CONFIG_FIRST_MS 2000
#define CONFIG_MAX_MS 30000

void
push_well(struct push *p)
{
	struct event e;

	if (!p->fails)
		return;
	p->fails = 0;
	p->hold_until_ms = 0;
	push_event(p, &e, "store.back");
	event_int(&e, "away_ms", clock_mono_ms() - p->failing_since_ms);
	event_send(&e);
	inform("%sthe bucket can be written again", p->config.who);
	p->failing_since_ms = 0;
	p->fault.why[0] = '\0';
}

/* Everything waits; and it is said, once for each reason. */
void
push_hold(struct push *p, const struct s3_result *r, int64_t sent_ms)
{
	bool config = r->fault.verdict == S3_CONFIG;
	int64_t now = clock_mono_ms(), most = config ? CONFIG_FIRST_MS : HOLD_FIRST_MS;
	int64_t bound = config ? CONFIG_MAX_MS : HOLD_MAX_MS;
	struct event e;
	uint32_t random = 0;

	if (p->fails && sent_ms < p->failed_at_ms)
		return; /* one of several that failed together */
	p->failed_at_ms = now;
	if (!p->fails++)
		p->failing_since_ms = now;
	most <<= p->fails < 10 ? p->fails : 10;
	if (most > bound)
		most = bound;
	hash_random(&random, sizeof(random));
	p->hold_until_ms = now + (r->retry_after_ms ? r->retry_after_ms : most / 4 + random % (most * 3 / 4));
	if (r->error != -ECANCELED && strcmp(p->fault.why, r->fault.why)) { /* that: it is we who leave */
		warning(0, "%s%s; trying again, nothing is lost", p->config.who, r->fault.why);
		push_event(p, &e, config ? "store.refused" : "store.away");
		event_str(&e, "reason", r->fault.why);
		event_str(&e, "code", r->fault.code[0] ? r->fault.code : NULL);
		event_send(&e);
	}
	p->fault = r->fault;
	if (config && p->config.refused)
		p->config.refused(p->config.ctx);
}

void
push_say_skew(struct push *p, const struct s3_result *r)
{
	if (r->fault.skewed && llabs(r->skew_s - p->skew_s) > 60) {
		warning(0, "%s%s; its clock is used meanwhile", p->config.who, r->fault.why);
		p->skew_s = r->skew_s;
	}
}

void
push_fail(struct push *p, struct object *ob, const char *why)
{
	struct event e;

	complain(0, "%s%s is not pushed: %s", p->config.who, ob->path, why);
	p->figures.failed_files++;
	push_event(p, &e, "object.failed");
	event_str(&e, "path", ob->path);
	event_str(&e, "reason", why);
	event_send(&e);
	push_unlink(p, ob);
	ob->lost = !ob->stored;
}

void
push_lose(struct push *p, struct object *ob)
{
	struct event e;

	if (ob->stored) { /* a newer version of it went as it came */
		push_rest(p, ob);
		return;
	}
	warning(0, "%s%s is lost: it is neither in the tree nor in the bucket", p->config.who, ob->path);
	p->figures.lost_files++;
	push_event(p, &e, "object.lost");
	event_str(&e, "path", ob->path);
	event_send(&e);
	push_unlink(p, ob);
	ob->lost = true;
	ob->asked = false;
	push_rest(p, ob);
}
