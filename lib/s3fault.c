#include "s3fault.h"

#include <stdio.h>
#include <string.h>

#include "xml.h"

struct fields {
	char code[64], message[256], region[64];
};

static void
on_element(void *ctx, const char *name, const char *text)
{
	struct fields *f = ctx;

	if (!strcmp(name, "Code"))
		snprintf(f->code, sizeof(f->code), "%s", text);
	else if (!strcmp(name, "Message"))
		snprintf(f->message, sizeof(f->message), "%s", text);
	else if (!strcmp(name, "Region"))
		snprintf(f->region, sizeof(f->region), "%s", text);
}

static bool
among(const char *code, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(code, *list))
			return true;
	return false;
}

static void
judge_region(struct s3_fault *f, const struct s3_about *a, const char *region)
{
	f->verdict = S3_CONFIG;
	if (*region)
		snprintf(f->why, sizeof(f->why), "bucket %s is in region %s, not %s: use --region %s",
			a->bucket, region, a->region, region);
	else
		snprintf(f->why, sizeof(f->why), "bucket %s is not in region %s, or not at %s",
			a->bucket, a->region, a->endpoint);
}

/* The key, its rights, the clock. */
static void
judge_refusal(struct s3_fault *f, const struct s3_about *a, const struct fields *x)
{
	f->verdict = S3_CONFIG;
	if (!strcmp(x->code, "InvalidAccessKeyId"))
		snprintf(f->why, sizeof(f->why), "the access key %s is not known there", a->key_id);
	else if (!strcmp(x->code, "SignatureDoesNotMatch"))
		snprintf(f->why, sizeof(f->why), "the secret of access key %s is wrong", a->key_id);
	else if (!strcmp(x->code, "ExpiredToken") || !strcmp(x->code, "TokenRefreshRequired"))
		snprintf(f->why, sizeof(f->why), "the session token has expired");
	else if (!strcmp(x->code, "InvalidToken"))
		snprintf(f->why, sizeof(f->why), "the session token does not belong to access key %s", a->key_id);
	else if (!strcmp(x->code, "QuotaExceeded"))
		snprintf(f->why, sizeof(f->why), "the quota of bucket %s is used up", a->bucket);
	else if (!strcmp(x->code, "RequestTimeTooSkewed")) {
		f->skewed = true;
		f->verdict = S3_AGAIN;
		snprintf(f->why, sizeof(f->why), "the clock of this machine is wrong");
	} else
		snprintf(f->why, sizeof(f->why),
			"access key %s has no right to do this in bucket %s (%s)", a->key_id, a->bucket,
			x->code[0] ? x->code : "access denied");
}

void
s3_judge(struct s3_fault *f, const struct s3_about *a, int status, const void *body, size_t n)
{
	static const char *const changed[] = { "XAmzContentSHA256Mismatch", "BadDigest",
		"IncompleteBody", "RequestTimeout", NULL };
	static const char *const elsewhere[] = { "AuthorizationHeaderMalformed", "PermanentRedirect",
		"TemporaryRedirect", "IllegalLocationConstraintException", NULL };
	static const char *const token[] = { "ExpiredToken", "InvalidToken", "TokenRefreshRequired", NULL }; /* 400 */
	struct fields x = { 0 };

	memset(f, 0, sizeof(*f));
	f->status = status;
	if (status >= 200 && status < 300)
		return;
	xml_each(body, n, on_element, &x); /* a proxy's page of HTML is no XML: the status has to do */
	snprintf(f->code, sizeof(f->code), "%s", x.code);
	if (among(x.code, elsewhere) || (status >= 300 && status < 400) ||
		(status == 400 && a->bucket_region)) {
		judge_region(f, a, x.region[0] ? x.region : a->bucket_region ? a->bucket_region : "");
	} else if (!strcmp(x.code, "NoSuchBucket")) {
		f->verdict = S3_CONFIG;
		snprintf(f->why, sizeof(f->why), "there is no bucket %s at %s", a->bucket, a->endpoint);
	} else if (status == 404) {
		f->verdict = S3_MISSING;
		snprintf(f->why, sizeof(f->why), "there is no such %s",
			strcmp(x.code, "NoSuchUpload") ? "object" : "upload");
	} else if (status == 401 || status == 403 || among(x.code, token)) {
		judge_refusal(f, a, &x);
	} else if (among(x.code, changed) || status == 409) {
		f->verdict = S3_AGAIN;
		snprintf(f->why, sizeof(f->why), "it changed while it was sent (%s)",
			x.code[0] ? x.code : "conflict");
	} else if (status == 408 || status == 429 || status >= 500 || status < 200) {
		f->verdict = S3_AWAY;
		snprintf(f->why, sizeof(f->why), "%s answers %d%s%s", a->endpoint, status,
			x.code[0] ? " " : "", x.code);
	} else if (status == 412) {
		f->verdict = S3_NEVER;
		snprintf(f->why, sizeof(f->why), "it is not the object that it was");
	} else {
		f->verdict = S3_NEVER;
		snprintf(f->why, sizeof(f->why), "%s answers %d%s%s%s%s", a->endpoint, status,
			x.code[0] ? " " : "", x.code, x.message[0] ? ": " : "", x.message);
	}
}
