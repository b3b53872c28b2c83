#include "s3_parts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hash.h"
#include "web.h"

#define HEADERS 12

struct s3 {
	struct http *http;
	struct s3cred cred;
	char *bucket, *region, *scheme, *host, *endpoint;
	bool virtual;
	int64_t skew_s;
};

int
s3_url(const char *url, char *bucket, size_t cap, char *prefix, size_t pcap)
{
	size_t n;

	if (strncmp(url, "s3://", 5))
		return -EINVAL;
	url += 5;
	n = strcspn(url, "/");
	if (!n || n >= cap)
		return -EINVAL;
	memcpy(bucket, url, n);
	bucket[n] = '\0';
	url += n;
	while (*url == '/')
		url++;
	for (n = strlen(url); n && url[n - 1] == '/'; n--)
		;
	if (n >= pcap)
		return -EINVAL;
	memcpy(prefix, url, n);
	prefix[n] = '\0';
	return 0;
}

void
s3_free(struct s3 **sp)
{
	struct s3 *s = *sp;

	if (!s)
		return;
	explicit_bzero(&s->cred, sizeof(s->cred));
	free(s->bucket);
	free(s->region);
	free(s->scheme);
	free(s->host);
	free(s->endpoint);
	free(s);
	*sp = NULL;
}

bool
s3_is_endpoint(const char *url)
{
	const char *host = strncmp(url, "http://", 7) ? strncmp(url, "https://", 8) ? NULL : url + 8 : url + 7;
	size_t n = host ? strcspn(host, "/?#@") : 0;

	return n && (!host[n] || !strcmp(host + n, "/"));
}

int
s3_new(struct s3 **out, struct http *http, const struct s3_config *c)
{
	struct s3 *s = calloc(1, sizeof(*s));
	const char *at = c->endpoint ? strstr(c->endpoint, "://") : NULL;
	size_t n;

	if (c->endpoint && !s3_is_endpoint(c->endpoint)) {
		free(s);
		return -EINVAL;
	}
	if (!s)
		return -ENOMEM;
	s->http = http;
	/* A dot in a bucket's name is no part of a host that Amazon's certificate covers. */
	s->virtual = c->style == S3_VIRTUAL || (c->style == S3_AUTO && !c->endpoint && !strchr(c->bucket, '.'));
	s->bucket = strdup(c->bucket);
	s->region = strdup(c->region);
	s->scheme = at ? strndup(c->endpoint, (size_t)(at - c->endpoint)) : strdup("https");
	if (at) {
		n = strcspn(at + 3, "/");
		if (asprintf(&s->host, "%s%s%.*s", s->virtual ? c->bucket : "", s->virtual ? "." : "", (int)n,
			    at + 3) < 0)
			s->host = NULL;
	} else if (asprintf(&s->host, "%s%ss3.%s.amazonaws.com", s->virtual ? c->bucket : "",
			   s->virtual ? "." : "", c->region) < 0) {
		s->host = NULL;
	}
	if (!s->host || asprintf(&s->endpoint, "%s://%s", s->scheme ? s->scheme : "", s->host) < 0)
		s->endpoint = NULL;
	if (!s->bucket || !s->region || !s->scheme || !s->host || !s->endpoint) {
		s3_free(&s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void
s3_use(struct s3 *s, const struct s3cred *cred)
{
	s->cred = *cred;
}

const char *
s3_endpoint(const struct s3 *s)
{
	return s->endpoint;
}

/* A server that says by how far our clock is wrong is believed. */
static void
take_time(struct s3 *s, struct s3_result *r, const struct http_response *hr)
{
	const char *date = http_header(hr, "Date");
	int64_t when;

	if (!r->fault.skewed)
		return;
	if (!date || web_date(date, &when) < 0) {
		r->fault.verdict = S3_CONFIG;
		return;
	}
	s->skew_s = r->skew_s = when - clock_wall_ms() / 1000;
	snprintf(r->fault.why, sizeof(r->fault.why),
		"the clock of this machine differs from that of %s by %lld s: set it", s->endpoint,
		(long long)-s->skew_s);
}

void
s3_call_judge(struct s3_call *c, struct s3_result *r, const struct http_response *hr, int status)
{
	struct s3 *s = c->s3;
	struct s3_about about = { s->bucket, s->cred.id, s->region, s->endpoint,
		http_header(hr, "x-amz-bucket-region") };

	if (about.bucket_region && !strcmp(about.bucket_region, s->region))
		about.bucket_region = NULL;
	s3_judge(&r->fault, &about, status, hr->body, hr->size);
	take_time(s, r, hr);
}

/* No answer came, or not all of it. */
static void
judge_silence(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	r->error = hr->error;
	r->fault.verdict = c->refused || hr->error == -EMSGSIZE ? S3_NEVER :
		hr->error == -ESTALE ? S3_AGAIN : hr->error == -EPROTO ? S3_CONFIG : S3_AWAY;
	snprintf(r->fault.why, sizeof(r->fault.why), "%s: %s", c->s3->endpoint, hr->why);
}

static void
on_response(void *ctx, const struct http_response *hr)
{
	struct s3_call *c = ctx;
	struct s3_result r = { .body = hr->body, .size = hr->size };
	const char *after;

	if (hr->error) {
		judge_silence(c, &r, hr);
	} else {
		s3_call_judge(c, &r, hr, hr->status);
		if ((after = http_header(hr, "Retry-After")))
			r.retry_after_ms = *after == '-' ? 0 : (int)(strtol(after, NULL, 10) % 3600) * 1000;
	}
	if (c->answered && r.fault.verdict == S3_OK)
		c->answered(c, &r, hr);
	else
		c->done(c->ctx, &r);
	buf_free(&c->body);
	free(c);
}

/* A server that does not know ranges sends the whole object, with another status. */
static int
on_bytes(void *ctx, int status, const void *data, size_t n)
{
	struct s3_call *c = ctx;
	int r = c->part && status != 206 ? -EPROTO : c->take(c->ctx, data, n);

	c->refused = r < 0;
	return r;
}

static void
add(struct sigv4_pair *pairs, size_t *n, const char *name, const char *value)
{
	if (value && *value)
		pairs[(*n)++] = (struct sigv4_pair){ name, value };
}

/* The header lines, text as one run of strings that end in NUL; the signature last. */
static int
build_headers(struct s3 *s, const struct s3_request *rq, const char *path, struct buf *text,
	size_t at[HEADERS], size_t *n)
{
	struct sigv4_pair pairs[HEADERS];
	struct sigv4_key key = { s->cred.id, s->cred.secret, s->region, "s3" };
	char date[SIGV4_TIME];
	struct sigv4_request signing = { .method = rq->method, .path = path, .query = rq->query,
		.headers = pairs, .nquery = rq->nquery, .payload = rq->hash ? rq->hash : S3_NO_BYTES };
	size_t i;
	int r;

	sigv4_time(date, clock_wall_ms() / 1000 + s->skew_s);
	add(pairs, &signing.nheaders, "host", s->host);
	add(pairs, &signing.nheaders, "x-amz-date", date);
	add(pairs, &signing.nheaders, "x-amz-content-sha256", signing.payload);
	add(pairs, &signing.nheaders, "x-amz-security-token", s->cred.token);
	add(pairs, &signing.nheaders, "content-type", rq->type);
	add(pairs, &signing.nheaders, "cache-control", rq->cache);
	add(pairs, &signing.nheaders, "content-md5", rq->md5);
	add(pairs, &signing.nheaders, "range", rq->range);
	add(pairs, &signing.nheaders, "if-match", rq->match);
	for (i = 0; i < signing.nheaders; i++) {
		at[(*n)++] = buf_len(text);
		buf_printf(text, "%s: %s", pairs[i].name, pairs[i].value);
		buf_u8(text, 0);
	}
	at[(*n)++] = buf_len(text);
	buf_printf(text, "authorization: ");
	if ((r = sigv4_sign(text, &key, &signing)) < 0)
		return r;
	buf_u8(text, 0);
	return text->error;
}

int
s3_call_send(struct s3_call *c, const struct s3_request *rq)
{
	struct s3 *s = c->s3;
	struct buf path = { 0 }, url = { 0 }, text = { 0 };
	const char *lines[HEADERS + 1] = { NULL };
	size_t at[HEADERS], n = 0, i;
	struct sigv4_request target = { .query = rq->query, .nquery = rq->nquery };
	int r;

	if (!s->virtual)
		buf_printf(&path, "/%s", s->bucket);
	if (s->virtual || rq->key)
		buf_printf(&path, "/%s", rq->key ? rq->key : "");
	buf_u8(&path, 0);
	if ((r = path.error) < 0)
		goto out;
	target.path = (const char *)buf_data(&path);
	buf_printf(&url, "%s://%s", s->scheme, s->host);
	sigv4_target(&url, &target);
	buf_u8(&url, 0);
	if ((r = url.error) < 0 || (r = build_headers(s, rq, target.path, &text, at, &n)) < 0)
		goto out;
	for (i = 0; i < n; i++)
		lines[i] = (const char *)buf_data(&text) + at[i];
	r = http_send(s->http, &(struct http_request){ .method = rq->method,
				       .url = (const char *)buf_data(&url), .headers = lines, .body = rq->body,
				       .fd = rq->fd, .offset = rq->offset, .size = rq->size,
				       .take = c->take ? on_bytes : NULL, .done = on_response, .ctx = c });
out:
	if (r < 0) {
		buf_free(&c->body);
		free(c);
	}
	buf_free(&path);
	buf_free(&url);
	buf_free(&text);
	return r;
}

/* With an object's bytes, from memory or from its file. */
int
s3_call_object(struct s3_call *c, struct s3_request *rq, const struct s3_object *o)
{
	char hex[SIGV4_HEX];
	uint8_t digest[HASH_BYTES];
	int r = o->size > S3_OBJECT_MAX ? -EFBIG : 0;

	if (!r)
		r = o->data ? hash_sha256(digest, o->data, (size_t)o->size) :
			hash_file(digest, o->fd, o->offset, o->size);
	if (r < 0) {
		free(c);
		return r;
	}
	sigv4_hex(hex, digest);
	rq->method = "PUT";
	rq->key = o->key;
	rq->hash = hex;
	rq->body = o->data;
	rq->fd = o->fd;
	rq->offset = o->offset;
	rq->size = o->size;
	return s3_call_send(c, rq);
}

int
s3_call_post(struct s3_call *c, struct s3_request *rq)
{
	char hex[SIGV4_HEX], md5[HASH_MD5_TEXT];
	int r = c->body.error;

	if (r < 0 || (r = sigv4_hash(hex, buf_data(&c->body), buf_len(&c->body))) < 0 ||
		(r = hash_md5_text(md5, buf_data(&c->body), buf_len(&c->body))) < 0) {
		buf_free(&c->body);
		free(c);
		return r;
	}
	rq->method = "POST";
	rq->type = "application/xml";
	rq->md5 = md5;
	rq->hash = hex;
	rq->body = buf_data(&c->body);
	rq->size = buf_len(&c->body);
	return s3_call_send(c, rq);
}

struct s3_call *
s3_call_new(struct s3 *s, s3_done *done, void *ctx)
{
	struct s3_call *c = calloc(1, sizeof(*c));

	if (c) {
		c->s3 = s;
		c->done = done;
		c->ctx = ctx;
	}
	return c;
}

void
s3_answered_page(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	struct s3_page page;
	int e = s3_page_read(&page, hr->body, hr->size);
	size_t i;

	for (i = 0; c->keys && i < page.n; i++)
		if (!page.entries[i].key)
			e = -EBADMSG;
	if (e < 0) {
		r->fault.verdict = S3_AWAY;
		snprintf(r->fault.why, sizeof(r->fault.why), "%s answers with a list that cannot be read",
			c->s3->endpoint);
	} else {
		r->entries = page.entries;
		r->nentries = page.n;
		r->next = page.next;
	}
	c->done(c->ctx, r);
	s3_page_free(&page);
}

void
s3_answered_put(struct s3_call *c, struct s3_result *r, const struct http_response *hr)
{
	const char *etag = http_header(hr, "ETag");
	char text[S3_ETAG];

	s3_etag_set(text, etag ? etag : "");
	r->etag = text;
	c->done(c->ctx, r);
}

void
s3_xml_escape(struct buf *b, const char *s)
{
	for (; *s; s++)
		if (strchr("<>&\"'\r", *s))
			buf_printf(b, "&#%d;", *s);
		else
			buf_u8(b, (uint8_t)*s);
}
