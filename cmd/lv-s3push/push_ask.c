#include "push_parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"

static void
on_head(void *ctx, const struct s3_result *r)
{
	struct flight *f = ctx;
	struct push *p = f->push;
	struct object *ob = f->object;
	enum s3_verdict v = r->fault.verdict;

	push_say_skew(p, r);
	if (v == S3_CONFIG && p->figures.pushed_files) /* without the right to list, what is missing is forbidden */
		v = S3_MISSING;
	if (ob->again || !ob->asked) { /* it came meanwhile */
		;
	} else if (v == S3_OK) {
		ob->stored = true;
		ob->asked = false;
	} else if (v == S3_MISSING && ob->tries++) {
		ob->state = OBJECT_IDLE;
		push_lose(p, ob);
	} else {
		if (v == S3_MISSING)
			ob->due_ms = clock_mono_ms() + PUSH_MISSING_MS;
		else if (v != S3_AGAIN)
			push_hold(p, r, f->sent_ms);
		push_queue(p, ob);
	}
	if (v == S3_OK || v == S3_MISSING)
		push_well(p);
	push_land(p, f);
	push_go(p);
}

void
push_ask(struct push *p, struct object *ob)
{
	struct flight *f;
	char *key;
	struct stat st;
	int r;

	if (fstatat(p->config.root, ob->path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
		push_leave(ob);
		ob->state = OBJECT_IDLE;
		if (!p->config.once && clock_wall_ms() - push_mtime(&st) / 1000000 < PUSH_MISSING_MS) {
			ob->due_ms = clock_mono_ms() + PUSH_MISSING_MS; /* it is being written */
			push_queue(p, ob);
		} else {
			push_file(p, ob->path, &st);
		}
		return;
	}
	if (p->config.dry_run) {
		push_lose(p, ob);
		return;
	}
	if (!(key = push_key(p, ob->path)) || !(f = push_fly(p, ob))) {
		free(key);
		return;
	}
	f->sent_ms = clock_mono_ms();
	if ((r = s3_head(p->config.s3, key, on_head, f)) < 0)
		push_no_flight(p, f, r);
	free(key);
}
