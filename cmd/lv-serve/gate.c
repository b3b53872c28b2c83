#include "gate.h"

#include <string.h>
#include <strings.h>

#include "clock.h"
#include "web.h"

/* The stream that a path is about; NULL for none, "" for what can be none. */
static const char *
stream_of(const char *path, char stream[65])
{
	const char *name = !strncmp(path, "live/", 5) ? path + 5 : !strncmp(path, "archive/", 8) ? path + 8 :
		!strncmp(path, "check/", 6) ? path + 6 : NULL;
	size_t n = name ? strcspn(name, "/") : 0;

	if (!name)
		return NULL;
	n = web_stream_name(name, n) ? n : 0;
	memcpy(stream, name, n);
	stream[n] = '\0';
	return stream;
}

/* The host of an URL, without its port, as it lies in it; its length, 0 for none. */
static size_t
host_of(const char *url, const char **host)
{
	const char *s = strstr(url, "://");

	if (!s)
		return 0;
	*host = s += 3;
	return *s == '[' ? strcspn(s, "]/?#") + (strchr(s, ']') != NULL) : strcspn(s, ":/?#");
}

static bool
named(const char *name, const char *host, size_t n)
{
	size_t len;

	if (*name == '.' && strlen(name + 1) == n && !strncasecmp(name + 1, host, n))
		return true;
	name += !strncmp(name, "*.", 2);
	len = strlen(name);
	return *name == '.' ? n > len && !strncasecmp(name, host + n - len, len) : len == n && !strncasecmp(name, host, n);
}

/* Not one that has a page of its own where it should not: the Host that was asked for is ours. */
static bool
own_page(const struct httpd_request *req, const char *host, size_t n)
{
	const char *ours = httpd_header(req, "Host");
	size_t len = !ours ? 0 : *ours == '[' ? strcspn(ours, "]") + (strchr(ours, ']') != NULL) : strcspn(ours, ":");

	return len && len == n && !strncasecmp(ours, host, n);
}

static bool
from_a_good_page(char **names, const struct httpd_request *req)
{
	const char *from = httpd_header(req, "Origin"), *host = "";
	size_t n;

	if (!from)
		from = httpd_header(req, "Referer");
	n = from ? host_of(from, &host) : 0;
	if (n && own_page(req, host, n))
		return true;
	for (; *names; names++)
		if (!strcmp(*names, "none") ? !from : n && named(*names, host, n))
			return true;
	return false;
}

bool
gate_referer_good(const char *name)
{
	const char *host = name + (!strncmp(name, "*.", 2) ? 2 : *name == '.');

	return *host && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") == strlen(host) &&
		*host != '.' && (!strchr(host, ':') || *host == '[');
}

enum gate_verdict
gate_pass(const struct gate *g, struct httpd_request *req, const char **path, const char *remote,
	const char **why)
{
	char text[65];
	const char *stream = stream_of(*path, text);

	if (g->key && (stream || !strncmp(*path, "p/", 2))) {
		if (!(*path = viewlink_strip(g->key, *path, remote, clock_wall_ms() / 1000, why)))
			return GATE_SHUT;
		stream = stream_of(*path, text);
	}
	*why = "not from this page\n";
	if (g->referers && stream && !from_a_good_page(g->referers, req))
		return GATE_SHUT;
	if (!g->judge || !stream || !*stream)
		return GATE_OPEN;
	switch (judge_ask(g->judge, req, stream, remote, why)) {
	case JUDGE_YES:
		return GATE_OPEN;
	case JUDGE_NO:
		return GATE_SHUT;
	case JUDGE_HOLD:
		return GATE_HELD;
	default:
		return GATE_BUSY;
	}
}
