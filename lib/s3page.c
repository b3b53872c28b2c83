#include "s3page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xml.h"

struct reading {
	struct s3_page *page;
	struct s3_entry now;
	char *token, *key_mark, *upload_mark;
	bool more, encoded, list;
	int error;
};

void
s3_etag_set(char to[S3_ETAG], const char *etag)
{
	size_t n;

	etag += *etag == '"';
	n = strcspn(etag, "\"");
	snprintf(to, S3_ETAG, "%.*s", (int)n, etag);
}

static int64_t
parse_time(const char *text)
{
	struct tm tm = { 0 };

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void
set(struct reading *g, char **to, const char *text)
{
	free(*to);
	if (!(*to = strdup(text)))
		g->error = -ENOMEM;
}

static void
entry_free(struct s3_entry *e)
{
	free(e->key);
	free(e->upload);
	memset(e, 0, sizeof(*e));
}

static void
end_entry(struct reading *g)
{
	if (g->page->n == S3_KEYS)
		g->error = -EMSGSIZE;
	if (g->error)
		return;
	g->page->entries[g->page->n++] = g->now;
	memset(&g->now, 0, sizeof(g->now));
}

/* Its upload and key are said once, before the parts. */
static void
end_part(struct reading *g)
{
	free(g->now.key);
	free(g->now.upload);
	g->now.key = g->now.upload = NULL;
	end_entry(g);
}

static void
on_element(void *ctx, const char *name, const char *text)
{
	struct reading *g = ctx;

	if (!strcmp(name, "Key"))
		set(g, &g->now.key, text);
	else if (!strcmp(name, "UploadId"))
		set(g, &g->now.upload, text);
	else if (!strcmp(name, "PartNumber"))
		g->now.part = (int)strtol(text, NULL, 10);
	else if (!strcmp(name, "Size"))
		g->now.size = strtoull(text, NULL, 10);
	else if (!strcmp(name, "LastModified") || !strcmp(name, "Initiated"))
		g->now.changed_ms = parse_time(text);
	else if (!strcmp(name, "ETag"))
		s3_etag_set(g->now.etag, text);
	else if (!strcmp(name, "EncodingType"))
		g->encoded = !strcmp(text, "url");
	else if (!strcmp(name, "IsTruncated"))
		g->more = !strcmp(text, "true");
	else if (!strcmp(name, "NextContinuationToken") || !strcmp(name, "NextPartNumberMarker"))
		set(g, &g->token, text);
	else if (!strcmp(name, "NextKeyMarker"))
		set(g, &g->key_mark, text);
	else if (!strcmp(name, "NextUploadIdMarker"))
		set(g, &g->upload_mark, text);
	else if ((!strcmp(name, "Contents") || !strcmp(name, "Upload")) && g->now.key)
		end_entry(g);
	else if (!strcmp(name, "Part"))
		end_part(g);
	else if (!strcmp(name, "ListBucketResult") || !strcmp(name, "ListPartsResult") ||
		!strcmp(name, "ListMultipartUploadsResult"))
		g->list = true;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; Amazon writes a blank as a plus. */
static void
decode(char *s)
{
	char *to = s;

	for (; s && *s; s++, to++)
		if (*s == '%' && digit(s[1]) >= 0 && digit(s[2]) >= 0 && (digit(s[1]) || digit(s[2]))) {
			*to = (char)(digit(s[1]) << 4 | digit(s[2]));
			s += 2;
		} else {
			*to = *s == '+' ? ' ' : *s;
		}
	if (s)
		*to = '\0';
}

/* Two marks are one string, "UPLOAD KEY": an id holds no blank. */
static int
set_next(struct reading *g)
{
	if (!g->more)
		return 0;
	if (g->token) {
		g->page->next = g->token;
		g->token = NULL;
	} else if (g->key_mark && asprintf(&g->page->next, "%s %s", g->upload_mark ? g->upload_mark : "",
				      g->key_mark) < 0) {
		g->page->next = NULL;
		return -ENOMEM;
	}
	return g->page->next ? 0 : -EBADMSG;
}

int
s3_page_read(struct s3_page *page, const void *xml, size_t n)
{
	struct reading g = { .page = page };
	size_t i;
	int r;

	memset(page, 0, sizeof(*page));
	if (!(page->entries = calloc(S3_KEYS, sizeof(*page->entries))))
		return -ENOMEM;
	r = xml_each(xml, n, on_element, &g);
	if (!r)
		r = g.error ? g.error : g.list ? 0 : -EBADMSG;
	for (i = 0; g.encoded && i < page->n; i++)
		decode(page->entries[i].key);
	if (g.encoded)
		decode(g.key_mark);
	if (!r)
		r = set_next(&g);
	entry_free(&g.now);
	free(g.token);
	free(g.key_mark);
	free(g.upload_mark);
	return r;
}

void
s3_page_free(struct s3_page *page)
{
	while (page->n)
		entry_free(&page->entries[--page->n]);
	free(page->entries);
	free(page->next);
	memset(page, 0, sizeof(*page));
}
