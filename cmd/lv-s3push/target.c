#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "mirror.h"
#include "sigv4.h"
#include "tree.h"
#include "verify.h"

#define SPOOL_NAME 200
#define GIVE_UP_MS 60000 /* mirroring, and nothing goes */

struct target {
	struct target_config config;
	struct dest dest;
	char who[sizeof(((struct dest *)0)->name) + 2];
	struct http *http;
	struct s3 *s3;
	struct spool *spool;
	struct push *push;
	struct mirror mirror;
	struct verify *verify;
	struct s3_fault fault; /* of listing or verifying */
	bool listed, verified;
};

/* The access key, found anew; at the start it has to be there. */
void
target_load_key(struct target *t, bool needed)
{
	struct s3cred cred;
	const char *where;
	int r = s3cred_load(&cred, t->dest.credentials, &where);

	if (r >= 0)
		s3_use(t->s3, &cred);
	else if (!needed)
		warning(r, "cannot read the access key in %s: the last one is used", where);
	else if (r == -EPERM)
		die(EX_NOPERM, 0, "%s can be read by others: chmod 600 %s", where, where);
	else if (r == -EACCES)
		die(EX_NOPERM, r, "cannot read %s, which the user that runs this has to own", where);
	else if (r == -EBADMSG)
		die(EX_CONFIG, 0, "%s holds no aws_access_key_id with its aws_secret_access_key", where);
	else
		die(EX_CONFIG, r, "no access key: none in the environment, and cannot read %s", where);
	explicit_bzero(&cred, sizeof(cred));
}

static void
on_refused(void *ctx)
{
	target_load_key(ctx, false);
}

void
target_open(struct target **out, const struct target_config *config, const struct dest *dest)
{
	struct http_config http = { .connections = config->jobs + 1, .max_bps = (int64_t)dest->max_kbps * 1000,
		.ca_file = getenv("AWS_CA_BUNDLE") };
	struct s3_config s3 = { .bucket = dest->bucket, .endpoint = dest->endpoint, .region = dest->region,
		.style = !dest->addressing ? S3_AUTO : *dest->addressing == 'p' ? S3_PATH : S3_VIRTUAL };
	struct target *t = calloc(1, sizeof(*t));
	struct push_config push = { .root = config->root, .jobs = config->jobs,
		.expire_ms = config->once ? -1 : config->expire_ms, .once = config->once,
		.dry_run = config->dry_run, .refused = on_refused, .ctx = t };
	int r;

	if (!t)
		die(EX_OSERR, -ENOMEM, "cannot start");
	t->config = *config;
	t->dest = *dest;
	push.prefix = t->dest.prefix;
	push.dest = t->dest.name;
	snprintf(t->who, sizeof(t->who), "%s%s", config->several ? t->dest.name : "", config->several ? ": " : "");
	push.who = t->who;
	if ((r = http_new(&t->http, config->loop, &http)) < 0)
		die(EX_OSERR, r, "cannot start");
	if ((r = s3_new(&t->s3, t->http, &s3)) == -EINVAL)
		die(EX_USAGE, 0, "--endpoint %s: not http://HOST[:PORT] or https://HOST[:PORT]", dest->endpoint);
	if (r < 0)
		die(EX_OSERR, r, "cannot start");
	push.s3 = t->s3;
	push.loop = config->loop;
	if ((r = push_new(&t->push, &push)) < 0)
		die(EX_OSERR, r, "cannot start");
	target_load_key(t, true);
	*out = t;
}

/* "BUCKET%2FPREFIX@HOST": a folder of its own for each destination. */
static const char *
spool_name(struct target *t, char name[SPOOL_NAME + 1])
{
	struct buf b = { 0 };

	sigv4_escape(&b, t->dest.name + strlen("s3://"), false);
	buf_printf(&b, "@%s", strstr(s3_endpoint(t->s3), "://") + 3);
	buf_u8(&b, 0);
	if (b.error)
		die(EX_OSERR, b.error, "cannot start");
	snprintf(name, SPOOL_NAME + 1, "%s", (const char *)buf_data(&b));
	buf_free(&b);
	return name;
}

static void
on_pushed(void *ctx, const char *path, int64_t size, int64_t mtime_ns)
{
	push_stored(ctx, path, size, mtime_ns);
}

void
target_remember(struct target *t)
{
	const char *folder = t->config.spool;
	char name[SPOOL_NAME + 1], *destination;
	int r;

	if (asprintf(&destination, "%s %s\n", t->dest.name, s3_endpoint(t->s3)) < 0)
		die(EX_OSERR, -ENOMEM, "cannot start");
	r = spool_open(&t->spool, t->config.spool_at, t->config.root, folder, spool_name(t, name), destination);
	free(destination);
	if (r == -EBUSY)
		die(EX_TEMPFAIL, 0, "another lv-s3push pushes to %s from %s: one process a destination", t->dest.name,
			folder);
	if (r == -EXDEV)
		die(EX_CONFIG, 0, "--spool %s has to be on the file system of %s", folder, t->config.root_path);
	if (r == -EREMOTE)
		die(EX_CONFIG, 0, "%s/%s is the backlog of another destination: give this one another --spool", folder,
			name);
	if (r < 0)
		die(EX_CANTCREAT, r, "cannot keep a backlog in %s/%s", folder, name);
	push_use_spool(t->push, t->spool);
	if ((r = spool_pushed(t->spool, on_pushed, t->push)) < 0)
		die(EX_IOERR, r, "cannot read the journal in %s/%s", folder, name);
}

static void
on_file(void *ctx, const char *path, const struct stat *st)
{
	push_file(ctx, path, st);
}

static void
on_scanned(void *ctx, bool again)
{
	push_scanned(ctx, again);
}

static void
on_listed(void *ctx, const char *path, const struct s3_entry *e)
{
	struct target *t = ctx;

	push_stored(t->push, path, (int64_t)e->size, e->changed_ms * 1000000 + 999999999);
}

/* The bucket is known: what is not there, or not the same, is put. */
static void
put_rest(void *ctx, const struct s3_fault *fault)
{
	struct target *t = ctx;
	struct tree_told told = { .file = on_file, .scanned = on_scanned, .ctx = t->push };
	struct tree *tree;
	int r;

	if (fault) {
		t->fault = *fault;
		return;
	}
	if ((r = tree_new(&tree, t->config.root, false, &told)) < 0 || (r = tree_scan(tree)) < 0)
		die(EX_IOERR, r, "cannot read %s", t->config.root_path);
	tree_free(&tree);
	t->listed = true;
	push_go(t->push);
}

void
target_mirror(struct target *t)
{
	int r;

	t->mirror = (struct mirror){ .s3 = t->s3, .loop = t->config.loop, .prefix = t->dest.prefix,
		.found = on_listed, .done = put_rest, .ctx = t };
	if ((r = mirror_start(&t->mirror)) < 0)
		die(EX_OSERR, r, "cannot start");
}

static void
on_same(void *ctx, const char *path, int64_t size)
{
	struct target *t = ctx;

	push_stored(t->push, path, size, INT64_MAX);
}

static void
on_verified(void *ctx, const struct s3_fault *fault)
{
	struct target *t = ctx;

	t->verified = true;
	if (fault || t->config.once)
		put_rest(t, fault);
}

void
target_verify(struct target *t)
{
	struct verify_config config = { .s3 = t->s3, .loop = t->config.loop, .root = t->config.root,
		.jobs = t->config.jobs, .dest = t->dest.name, .prefix = t->dest.prefix, .same = on_same,
		.done = on_verified, .ctx = t };
	int r = verify_start(&t->verify, &config);

	if (r < 0)
		die(EX_IOERR, r, "cannot read %s", t->config.root_path);
}

struct push *
target_push(struct target *t)
{
	return t->push;
}

const char *
target_name(const struct target *t)
{
	return t->dest.name;
}

/* It ends when all is there, when nobody but a person can help, or when it takes too long. */
bool
target_over(const struct target *t)
{
	const struct s3_fault *fault = push_fault(t->push);

	if (t->verified && !t->config.once)
		return true;
	if (!t->listed)
		return t->fault.verdict != S3_OK;
	return push_idle(t->push) || (fault && (fault->verdict == S3_CONFIG ||
						   push_failing_ms(t->push) > GIVE_UP_MS));
}

int
target_status(const struct target *t)
{
	const struct s3_fault *f = push_fault(t->push);
	bool unlisted = t->fault.verdict != S3_OK;

	if (unlisted)
		complain(0, "%s%s", t->who, (f = &t->fault)->why);
	if (!f && t->verified && !t->config.once)
		return verify_figures(t->verify)->differing > 0;
	if (!f)
		return push_failed(t->push) ? EX_IOERR : EX_OK;
	if (f->verdict == S3_CONFIG)
		return f->status == 401 || f->status == 403 ? EX_NOPERM : EX_CONFIG;
	return EX_TEMPFAIL;
}

void
target_free(struct target **tp)
{
	struct target *t = *tp;

	http_free(&t->http);
	s3_free(&t->s3);
	push_free(&t->push);
	verify_free(&t->verify);
	spool_close(&t->spool);
	free(t);
	*tp = NULL;
}
