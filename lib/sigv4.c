#include "sigv4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash.h"

/* A query parameter, escaped: two strings in one allocation. */
struct param {
	const char *name, *value;
};

static void
append(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
sigv4_hex(char hex[SIGV4_HEX], const uint8_t digest[HASH_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < HASH_BYTES; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * HASH_BYTES] = '\0';
}

int
sigv4_hash(char hex[SIGV4_HEX], const void *data, size_t n)
{
	uint8_t digest[HASH_BYTES];
	int r = hash_sha256(digest, data, n);

	if (!r)
		sigv4_hex(hex, digest);
	return r;
}

const char *
sigv4_time(char text[SIGV4_TIME], int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm))
		text[0] = '\0';
	return text;
}

static bool
unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

void
sigv4_escape(struct buf *b, const char *s, bool keep_slash)
{
	for (; *s; s++)
		if (unreserved(*s) || (keep_slash && *s == '/'))
			buf_u8(b, (uint8_t)*s);
		else
			buf_printf(b, "%%%02X", (uint8_t)*s);
}

static int
param_order(const void *pa, const void *pb)
{
	const struct param *a = pa, *b = pb;
	int r = strcmp(a->name, b->name);

	return r ? r : strcmp(a->value, b->value);
}

/* The query as it is signed is the query as it is sent: escaped, then sorted, "=" always there. */
static void
add_query(struct buf *out, const struct sigv4_request *rq)
{
	struct param params[SIGV4_PAIRS];
	struct buf text = { 0 };
	size_t at[SIGV4_PAIRS][2], i;

	for (i = 0; i < rq->nquery && i < SIGV4_PAIRS; i++) {
		at[i][0] = buf_len(&text);
		sigv4_escape(&text, rq->query[i].name, false);
		buf_u8(&text, 0);
		at[i][1] = buf_len(&text);
		sigv4_escape(&text, rq->query[i].value, false);
		buf_u8(&text, 0);
	}
	if (text.error) {
		out->error = out->error ? out->error : text.error;
		buf_free(&text);
		return;
	}
	for (i = 0; i < rq->nquery && i < SIGV4_PAIRS; i++) {
		params[i].name = (const char *)buf_data(&text) + at[i][0];
		params[i].value = (const char *)buf_data(&text) + at[i][1];
	}
	qsort(params, i, sizeof(*params), param_order);
	for (i = 0; i < rq->nquery && i < SIGV4_PAIRS; i++)
		buf_printf(out, "%s%s=%s", i ? "&" : "", params[i].name, params[i].value);
	buf_free(&text);
}

void
sigv4_target(struct buf *out, const struct sigv4_request *rq)
{
	sigv4_escape(out, rq->path, true);
	if (rq->nquery) {
		buf_u8(out, '?');
		add_query(out, rq);
	}
}

static int
header_order(const void *pa, const void *pb)
{
	const struct sigv4_pair *a = *(const struct sigv4_pair *const *)pa;
	const struct sigv4_pair *b = *(const struct sigv4_pair *const *)pb;

	return strcmp(a->name, b->name);
}

/* Outer blanks go, inner runs of them become one. */
static void
add_value(struct buf *b, const char *s)
{
	size_t i, n;

	s += strspn(s, " ");
	for (n = strlen(s); n && s[n - 1] == ' '; n--)
		;
	for (i = 0; i < n; i++)
		if (s[i] != ' ' || s[i + 1] != ' ')
			buf_u8(b, (uint8_t)s[i]);
}

/* The canonical request; the names of the headers, joined by semicolons, go to names as well. */
static void
add_request(struct buf *out, struct buf *names, const struct sigv4_request *rq)
{
	const struct sigv4_pair *sorted[SIGV4_PAIRS];
	size_t i;

	for (i = 0; i < rq->nheaders; i++)
		sorted[i] = &rq->headers[i];
	qsort(sorted, rq->nheaders, sizeof(*sorted), header_order);
	append(out, rq->method);
	buf_u8(out, '\n');
	sigv4_escape(out, rq->path, true);
	buf_u8(out, '\n');
	add_query(out, rq);
	buf_u8(out, '\n');
	for (i = 0; i < rq->nheaders; i++) {
		append(out, sorted[i]->name);
		buf_u8(out, ':');
		add_value(out, sorted[i]->value);
		buf_u8(out, '\n');
		if (i)
			buf_u8(names, ';');
		append(names, sorted[i]->name);
	}
	buf_u8(names, 0);
	buf_u8(out, '\n');
	if (!names->error)
		append(out, (const char *)buf_data(names));
	buf_u8(out, '\n');
	append(out, rq->payload);
}

/* HMAC over HMAC: the secret itself signs nothing but a day. */
static int
sign_text(char hex[SIGV4_HEX], const struct sigv4_key *key, const char *date, struct buf *text)
{
	const char *steps[] = { key->region, key->service, "aws4_request" };
	uint8_t mac[HASH_BYTES];
	struct buf first = { 0 };
	size_t i;
	int r;

	append(&first, "AWS4");
	append(&first, key->secret);
	r = first.error ? first.error : hash_hmac(mac, buf_data(&first), buf_len(&first), date, 8);
	if (buf_data(&first))
		explicit_bzero(buf_data(&first), buf_len(&first));
	buf_free(&first);
	for (i = 0; !r && i < 3; i++)
		r = hash_hmac(mac, mac, sizeof(mac), steps[i], strlen(steps[i]));
	if (!r)
		r = hash_hmac(mac, mac, sizeof(mac), buf_data(text), buf_len(text));
	if (!r)
		sigv4_hex(hex, mac);
	explicit_bzero(mac, sizeof(mac));
	return r;
}

int
sigv4_sign(struct buf *out, const struct sigv4_key *key, const struct sigv4_request *rq)
{
	struct buf text = { 0 }, names = { 0 };
	const char *date = NULL;
	char hex[SIGV4_HEX];
	size_t i;
	int r;

	if (rq->nheaders > SIGV4_PAIRS || rq->nquery > SIGV4_PAIRS)
		return -E2BIG;
	for (i = 0; i < rq->nheaders; i++)
		if (!strcmp(rq->headers[i].name, "x-amz-date"))
			date = rq->headers[i].value;
	if (!date || strlen(date) != SIGV4_TIME - 1)
		return -EINVAL;
	add_request(&text, &names, rq);
	if ((r = text.error ? text.error : names.error))
		goto out;
	if ((r = sigv4_hash(hex, buf_data(&text), buf_len(&text))) < 0)
		goto out;
	buf_clear(&text);
	buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", date, date, key->region,
		key->service, hex);
	if ((r = text.error) || (r = sign_text(hex, key, date, &text)) < 0)
		goto out;
	buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s",
		key->id, date, key->region, key->service, (const char *)buf_data(&names), hex);
	r = out->error;
out:
	buf_free(&text);
	buf_free(&names);
	return r;
}
