#include "s3.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "hash.h"
#include "sigv4.h"
#include "web.h"
#include "xml.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEADERS 10

struct s3 {
	struct http *http;
	struct s3cred cred;
	char *bucket, *region, *scheme, *host, *endpoint;
	bool virtual;
	int64_t skew_s;
};

struct task {
	struct s3 *s3;
	enum { PUT, GET, HEAD, LIST, DELETE } kind;
	s3_done *done;
	void *ctx;
	struct buf body; /* of a deletion */
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

int
s3_new(struct s3 **out, struct http *http, const struct s3_config *c)
{
	struct s3 *s = calloc(1, sizeof(*s));
	const char *at = c->endpoint ? strstr(c->endpoint, "://") : NULL;
	size_t n;

	if (c->endpoint && (!at || (strncmp(c->endpoint, "http://", 7) && strncmp(c->endpoint, "https://", 8)))) {
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

struct listing {
	struct s3_entry *entries;
	size_t n;
	struct s3_entry now;
	char *next;
	bool more;
	int error;
};

static int64_t
parse_time(const char *text)
{
	struct tm tm = { 0 };

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void
set_etag(char to[64], const char *etag)
{
	size_t n;

	etag += *etag == '"';
	n = strcspn(etag, "\"");
	snprintf(to, 64, "%.*s", (int)n, etag);
}

static void
on_listed(void *ctx, const char *name, const char *text)
{
	struct listing *l = ctx;

	if (!strcmp(name, "Key")) {
		free(l->now.key);
		if (!(l->now.key = strdup(text)))
			l->error = -ENOMEM;
	} else if (!strcmp(name, "Size")) {
		l->now.size = strtoull(text, NULL, 10);
	} else if (!strcmp(name, "LastModified")) {
		l->now.changed_ms = parse_time(text);
	} else if (!strcmp(name, "ETag")) {
		set_etag(l->now.etag, text);
	} else if (!strcmp(name, "IsTruncated")) {
		l->more = !strcmp(text, "true");
	} else if (!strcmp(name, "NextContinuationToken")) {
		free(l->next);
		if (!(l->next = strdup(text)))
			l->error = -ENOMEM;
	} else if (!strcmp(name, "Contents") && l->now.key && l->n < S3_KEYS) {
		l->entries[l->n++] = l->now;
		memset(&l->now, 0, sizeof(l->now));
	}
}

static void
end_list(struct task *t, struct s3_result *r, const struct http_response *hr)
{
	struct listing l = { .entries = calloc(S3_KEYS, sizeof(*l.entries)) };
	size_t i;

	if (!l.entries)
		l.error = -ENOMEM;
	else
		xml_each(hr->body, hr->size, on_listed, &l);
	if (l.error) {
		r->fault.verdict = S3_AWAY;
		snprintf(r->fault.why, sizeof(r->fault.why), "out of memory");
	}
	r->entries = l.entries;
	r->nentries = l.n;
	r->next = l.more ? l.next : NULL;
	t->done(t->ctx, r);
	for (i = 0; i < l.n; i++)
		free(l.entries[i].key);
	free(l.now.key);
	free(l.entries);
	free(l.next);
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
end_head(struct s3_entry *e, const struct http_response *hr)
{
	const char *size = http_header(hr, "Content-Length"), *etag = http_header(hr, "ETag");
	const char *date = http_header(hr, "Last-Modified");
	int64_t when;

	e->size = size ? strtoull(size, NULL, 10) : 0;
	set_etag(e->etag, etag ? etag : "");
	if (date && !web_date(date, &when))
		e->changed_ms = when * 1000;
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

static void
on_response(void *ctx, const struct http_response *hr)
{
	struct task *t = ctx;
	struct s3 *s = t->s3;
	struct s3_result r = { .error = hr->error };
	struct s3_entry entry = { 0 };
	const char *after;

	if (hr->error) {
		r.fault.verdict = hr->error == -ESTALE ? S3_AGAIN : hr->error == -EPROTO ? S3_CONFIG : S3_AWAY;
		snprintf(r.fault.why, sizeof(r.fault.why), "%s: %s", s->endpoint, hr->why);
	} else {
		struct s3_about about = { s->bucket, s->cred.id, s->region, s->endpoint,
			http_header(hr, "x-amz-bucket-region") };

		if (about.bucket_region && !strcmp(about.bucket_region, s->region))
			about.bucket_region = NULL;
		s3_judge(&r.fault, &about, hr->status, hr->body, hr->size);
		take_time(s, &r, hr);
		if ((after = http_header(hr, "Retry-After")))
			r.retry_after_ms = (int)(strtol(after, NULL, 10) % 3600) * 1000;
	}
	r.body = hr->body;
	r.size = hr->size;
	if (t->kind == LIST && !hr->error && r.fault.verdict == S3_OK) {
		end_list(t, &r, hr);
	} else {
		struct deletion d = { .result = &r };

		if (t->kind == DELETE && !hr->error && r.fault.verdict == S3_OK)
			xml_each(hr->body, hr->size, on_deleted, &d);
		if (t->kind == HEAD && !hr->error && r.fault.verdict == S3_OK) {
			end_head(&entry, hr);
			r.entries = &entry;
			r.nentries = 1;
		}
		t->done(t->ctx, &r);
	}
	buf_free(&t->body);
	free(t);
}

struct request {
	const char *method, *key; /* key: NULL for the bucket itself */
	const struct sigv4_pair *query;
	size_t nquery;
	const char *type, *cache, *md5, *hash;
	const void *body;
	int fd;
	uint64_t size;
};

static void
add(struct sigv4_pair *pairs, size_t *n, const char *name, const char *value)
{
	if (value && *value)
		pairs[(*n)++] = (struct sigv4_pair){ name, value };
}

/* The header lines, text as one run of strings that end in NUL; the signature last. */
static int
build_headers(struct s3 *s, const struct request *rq, const char *path, struct buf *text,
	size_t at[HEADERS], size_t *n)
{
	struct sigv4_pair pairs[HEADERS];
	struct sigv4_key key = { s->cred.id, s->cred.secret, s->region, "s3" };
	char date[SIGV4_TIME];
	struct sigv4_request signing = { .method = rq->method, .path = path, .query = rq->query,
		.headers = pairs, .nquery = rq->nquery, .payload = rq->hash };
	size_t i;
	int r;

	sigv4_time(date, clock_wall_ms() / 1000 + s->skew_s);
	add(pairs, &signing.nheaders, "host", s->host);
	add(pairs, &signing.nheaders, "x-amz-date", date);
	add(pairs, &signing.nheaders, "x-amz-content-sha256", rq->hash);
	add(pairs, &signing.nheaders, "x-amz-security-token", s->cred.token);
	add(pairs, &signing.nheaders, "content-type", rq->type);
	add(pairs, &signing.nheaders, "cache-control", rq->cache);
	add(pairs, &signing.nheaders, "content-md5", rq->md5);
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

static int
request(struct s3 *s, struct task *t, const struct request *rq)
{
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
	r = http_send(s->http, &(struct http_request){ rq->method, (const char *)buf_data(&url), lines,
				       rq->body, rq->fd, rq->size, on_response, t });
out:
	if (r < 0) {
		buf_free(&t->body);
		free(t);
	}
	buf_free(&path);
	buf_free(&url);
	buf_free(&text);
	return r;
}

static struct task *
task_new(struct s3 *s, int kind, s3_done *done, void *ctx)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t) {
		t->s3 = s;
		t->kind = kind;
		t->done = done;
		t->ctx = ctx;
	}
	return t;
}

int
s3_put(struct s3 *s, const struct s3_object *o, s3_done *done, void *ctx)
{
	struct task *t;
	char hex[SIGV4_HEX];
	uint8_t digest[HASH_BYTES];
	int r;

	if (o->size > S3_OBJECT_MAX)
		return -EFBIG;
	if (o->data)
		r = hash_sha256(digest, o->data, (size_t)o->size);
	else
		r = hash_file(digest, o->fd, o->size);
	if (r < 0)
		return r;
	sigv4_hex(hex, digest);
	if (!(t = task_new(s, PUT, done, ctx)))
		return -ENOMEM;
	return request(s, t, &(struct request){ .method = "PUT", .key = o->key, .type = o->type,
				     .cache = o->cache, .hash = hex, .body = o->data, .fd = o->fd,
				     .size = o->size });
}

static int
ask(struct s3 *s, int kind, const char *method, const char *key, s3_done *done, void *ctx)
{
	struct task *t = task_new(s, kind, done, ctx);

	return t ? request(s, t, &(struct request){ .method = method, .key = key, .hash = EMPTY }) : -ENOMEM;
}

int
s3_get(struct s3 *s, const char *key, s3_done *done, void *ctx)
{
	return ask(s, GET, "GET", key, done, ctx);
}

int
s3_head(struct s3 *s, const char *key, s3_done *done, void *ctx)
{
	return ask(s, HEAD, "HEAD", key, done, ctx);
}

int
s3_list(struct s3 *s, const char *prefix, const char *from, s3_done *done, void *ctx)
{
	const struct sigv4_pair query[] = { { "list-type", "2" }, { "prefix", prefix },
		{ "continuation-token", from } };
	struct task *t = task_new(s, LIST, done, ctx);

	return t ? request(s, t, &(struct request){ .method = "GET", .query = query,
					  .nquery = from ? 3 : 2, .hash = EMPTY }) : -ENOMEM;
}

static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++)
		if (strchr("<>&\"'\r", *s))
			buf_printf(b, "&#%d;", *s);
		else
			buf_u8(b, (uint8_t)*s);
}

int
s3_delete(struct s3 *s, const char *const *keys, size_t n, s3_done *done, void *ctx)
{
	static const struct sigv4_pair query[] = { { "delete", "" } };
	struct task *t = task_new(s, DELETE, done, ctx);
	char hex[SIGV4_HEX], md5[HASH_MD5_TEXT];
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	buf_printf(&t->body, "<Delete><Quiet>true</Quiet>");
	for (i = 0; i < n && i < S3_KEYS; i++) {
		buf_printf(&t->body, "<Object><Key>");
		add_escaped(&t->body, keys[i]);
		buf_printf(&t->body, "</Key></Object>");
	}
	buf_printf(&t->body, "</Delete>");
	if ((r = t->body.error) < 0 ||
		(r = sigv4_hash(hex, buf_data(&t->body), buf_len(&t->body))) < 0 ||
		(r = hash_md5_text(md5, buf_data(&t->body), buf_len(&t->body))) < 0) {
		buf_free(&t->body);
		free(t);
		return r;
	}
	return request(s, t, &(struct request){ .method = "POST", .query = query, .nquery = 1,
				     .type = "application/xml", .md5 = md5, .hash = hex,
				     .body = buf_data(&t->body), .size = buf_len(&t->body) });
}
