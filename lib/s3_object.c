#include "s3_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web.h"
#include "xml.h"

int
s3_put(struct s3 *s, const struct s3_object *o, s3_done *done, void *ctx)
{
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	c->answered = s3_answered_put;
	return s3_call_object(c, &(struct s3_request){ .type = o->type, .cache = o->cache }, o);
}

/* Of a part, the whole's size is said at the end of Content-Range. */
static void
answered_entry(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	const char *size = http_header(hr, "Content-Length"), *etag = http_header(hr, "ETag");
	const char *date = http_header(hr, "Last-Modified"), *range = http_header(hr, "Content-Range");
	const char *slash = range ? strrchr(range, '/') : NULL;
	const char *type, *cache;
	struct s3_entry e = { 0 };
	int64_t when;

	size = slash ? slash + 1 : size;
	e.size = size ? strtoull(size, NULL, 10) : 0;
	s3_etag_set(e.etag, etag ? etag : "");
	if (date && !web_date(date, &when))
		e.changed_ms = when * 1000;
	r->entries = &e;
	r->nentries = 1;
	r->type = (type = http_header(hr, "Content-Type")) ? type : "";
	r->cache = (cache = http_header(hr, "Cache-Control")) ? cache : "";
	c->done(c->ctx, r);
}

int
s3_get(struct s3 *s, const struct s3_read *rd, s3_done *done, void *ctx)
{
	struct s3_call *c = s3_call_new(s, done, ctx);
	char range[64] = "", match[S3_ETAG + 2] = "";

	if (!c)
		return -ENOMEM;
	c->answered = answered_entry;
	c->take = rd->take;
	c->part = rd->first || rd->size;
	if (rd->size)
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, rd->first, rd->first + rd->size - 1);
	else if (rd->first)
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", rd->first);
	if (rd->etag)
		snprintf(match, sizeof(match), "\"%s\"", rd->etag);
	return s3_call_send(c, &(struct s3_request){ .method = "GET", .key = rd->key, .range = range,
				       .match = match });
}

int
s3_head(struct s3 *s, const char *key, s3_done *done, void *ctx)
{
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	c->answered = answered_entry;
	return s3_call_send(c, &(struct s3_request){ .method = "HEAD", .key = key });
}

int
s3_list(struct s3 *s, const char *prefix, const char *from, s3_done *done, void *ctx)
{
	const struct sigv4_pair query[] = { { "list-type", "2" }, { "encoding-type", "url" },
		{ "prefix", prefix }, { "continuation-token", from } };
	struct s3_call *c = s3_call_new(s, done, ctx);

	if (!c)
		return -ENOMEM;
	c->answered = s3_answered_page;
	c->keys = true;
	return s3_call_send(c, &(struct s3_request){ .method = "GET", .query = query, .nquery = from ? 4 : 3 });
}

struct deletion {
	struct s3_result *result;
	char code[64];
};

/* A deletion is answered with 200, and each key that stays has an <Error> in it. */
static void
on_deleted(void *ctx, const char *name, const char *text)
{
	struct deletion *d = ctx;

	if (!strcmp(name, "Code"))
		snprintf(d->code, sizeof(d->code), "%s", text);
	if (strcmp(name, "Error"))
		return;
	if (!d->result->undeleted++) {
		d->result->fault.verdict = strcmp(d->code, "AccessDenied") ? S3_AWAY : S3_CONFIG;
		snprintf(d->result->fault.code, sizeof(d->result->fault.code), "%s", d->code);
		snprintf(d->result->fault.why, sizeof(d->result->fault.why), "an object is not deleted: %s",
			d->code);
	}
}

static void
answered_delete(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	struct deletion d = { .result = r };

	if (hr->size && xml_each(hr->body, hr->size, on_deleted, &d) < 0) { /* not the store's: a proxy's page, say */
		r->fault.verdict = S3_AWAY;
		snprintf(r->fault.why, sizeof(r->fault.why), "%s answers a deletion with what cannot be read",
			s3_endpoint(c->s3));
	}
	c->done(c->ctx, r);
}

int
s3_delete(struct s3 *s, const char *const *keys, size_t n, s3_done *done, void *ctx)
{
	static const struct sigv4_pair query[] = { { "delete", "" } };
	struct s3_call *c = s3_call_new(s, done, ctx);
	size_t i;

	if (!c)
		return -ENOMEM;
	c->answered = answered_delete;
	buf_printf(&c->body, "<Delete><Quiet>true</Quiet>");
	for (i = 0; i < n && i < S3_KEYS; i++) {
		buf_printf(&c->body, "<Object><Key>");
		s3_xml_escape(&c->body, keys[i]);
		buf_printf(&c->body, "</Key></Object>");
	}
	buf_printf(&c->body, "</Delete>");
	return s3_call_post(c, &(struct s3_request){ .query = query, .nquery = 1 });
}
