#include "s3_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

struct told {
	char *upload;
	char etag[S3_ETAG];
	bool error;
};

static void
on_told(void *ctx, const char *name, const char *text)
{
	struct told *t = ctx;

	if (!strcmp(name, "UploadId") && !t->upload)
		t->upload = strdup(text);
	else if (!strcmp(name, "ETag"))
		s3_etag_set(t->etag, text);
	else if (!strcmp(name, "Error"))
		t->error = true;
}

static void
answered_begin(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	struct told t = { 0 };

	xml_each(hr->body, hr->size, on_told, &t);
	if (!(r->upload = t.upload)) {
		r->fault.verdict = S3_AWAY;
		snprintf(r->fault.why, sizeof(r->fault.why), "%s begins an upload and does not name it",
			s3_endpoint(c->s3));
	}
	c->done(c->ctx, r);
	free(t.upload);
}

int
s3_upload_begin(struct s3 *s, const struct s3_object *o, s3_done *done, void *ctx)
{
	static const struct sigv4_pair query[] = { { "uploads", "" } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	c->answered = answered_begin;
	return s3_call_send(c, &(struct s3_request){ .method = "POST", .key = o->key, .query = query,
				       .nquery = 1, .type = o->type, .cache = o->cache });
}

int
s3_upload_part(struct s3 *s, const struct s3_object *o, const char *upload, int number, s3_done *done, void *ctx)
{
	char text[16];
	const struct sigv4_pair query[] = { { "partNumber", text }, { "uploadId", upload } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%d", number);
	c->answered = s3_answered_put;
	return s3_call_object(c, &(struct s3_request){ .query = query, .nquery = 2 }, o);
}

/* A long end is answered with 200 before its outcome is known: that is in the body. */
static void
answered_end(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	struct told t = { 0 };

	if (xml_each(hr->body, hr->size, on_told, &t) < 0 || t.error)
		s3_call_judge(c, r, hr, 500);
	r->etag = t.etag;
	c->done(c->ctx, r);
	free(t.upload);
}

int
s3_upload_end(struct s3 *s, const char *key, const char *upload, const struct s3_entry *parts, size_t n,
	s3_done *done, void *ctx)
{
	const struct sigv4_pair query[] = { { "uploadId", upload } };
	struct s3_call *c = s3_call_new(s, done, ctx);
	size_t i;

	if (!c)
		return -ENOMEM;
	c->answered = answered_end;
	buf_printf(&c->body, "<CompleteMultipartUpload>");
	for (i = 0; i < n; i++) {
		buf_printf(&c->body, "<Part><PartNumber>%d</PartNumber><ETag>&#34;", parts[i].part);
		s3_xml_escape(&c->body, parts[i].etag);
		buf_printf(&c->body, "&#34;</ETag></Part>");
	}
	buf_printf(&c->body, "</CompleteMultipartUpload>");
	return s3_call_post(c, &(struct s3_request){ .key = key, .query = query, .nquery = 1 });
}

int
s3_upload_abort(struct s3 *s, const char *key, const char *upload, s3_done *done, void *ctx)
{
	const struct sigv4_pair query[] = { { "uploadId", upload } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	return c ? s3_call_send(c, &(struct s3_request){ .method = "DELETE", .key = key, .query = query,
					   .nquery = 1 }) : -ENOMEM;
}

int
s3_upload_parts(struct s3 *s, const char *key, const char *upload, const char *from, s3_done *done, void *ctx)
{
	const struct sigv4_pair query[] = { { "uploadId", upload }, { "part-number-marker", from } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	c->answered = s3_answered_page;
	return s3_call_send(c, &(struct s3_request){ .method = "GET", .key = key, .query = query,
				       .nquery = from ? 2 : 1 });
}

int
s3_uploads(struct s3 *s, const char *prefix, const char *from, s3_done *done, void *ctx)
{
	const char *blank = from ? strchr(from, ' ') : NULL;
	char upload[1024];
	const struct sigv4_pair query[] = { { "uploads", "" }, { "prefix", prefix },
		{ "key-marker", blank ? blank + 1 : "" }, { "upload-id-marker", upload } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	/* Not encoding-type=url: radosgw then encodes, and does not say so. */
	if (!c)
		return -ENOMEM;
	snprintf(upload, sizeof(upload), "%.*s", blank ? (int)(blank - from) : 0, from ? from : "");
	c->answered = s3_answered_page;
	c->keys = true;
	return s3_call_send(c, &(struct s3_request){ .method = "GET", .query = query, .nquery = blank ? 4 : 2 });
}
