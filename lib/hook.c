#include "hook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "buf.h"
#include "hash.h"
#include "json.h"
#include "names.h"

#define VHOST "__defaultVhost__"

static const char *const formats[] = { "srs", "nginx", "json" };
static const char *const calls[HOOK_CALLS][3] = {
	[HOOK_PUBLISH] = { "on_publish", "publish", "publish" },
	[HOOK_UNPUBLISH] = { "on_unpublish", "publish_done", "unpublish" },
	[HOOK_PLAY] = { "on_play", "play", "play" },
	[HOOK_STOP] = { "on_stop", "play_done", "stop" },
	[HOOK_HLS] = { "on_hls", NULL, "hls" },
	[HOOK_DVR] = { "on_dvr", "record_done", "dvr" },
	[HOOK_CONNECT] = { "on_connect", "connect", "connect" },
	[HOOK_CLOSE] = { "on_close", "disconnect", "close" },
};

int
hook_format(const char *name)
{
	return NAMES_FIND(formats, name);
}

const char *
hook_type(enum hook_format format)
{
	return format == HOOK_NGINX ? "Content-Type: application/x-www-form-urlencoded" :
		"Content-Type: application/json";
}

const char *
hook_call_name(enum hook_format format, enum hook_call call)
{
	return calls[call][format];
}

static const char *
or_empty(const char *s)
{
	return s ? s : "";
}

/* 203.0.113.9:50122, [2001:db8::1]:50122, or an address alone. */
static const char *
address(char to[64], const char *remote)
{
	const char *colon = strrchr(or_empty(remote), ':');
	size_t n = strlen(or_empty(remote));

	if (remote && *remote == '[') {
		remote++;
		n = strcspn(remote, "]");
	} else if (colon && strchr(remote, ':') == colon) {
		n = (size_t)(colon - remote);
	}
	snprintf(to, 64, "%.*s", (int)(n < 63 ? n : 63), or_empty(remote));
	return to;
}

static int
srs_body(char *text, enum hook_call call, const struct hook_facts *f)
{
	char ip[64], url[256], param[1100];
	struct json j;

	snprintf(url, sizeof(url), "/%s/%s", or_empty(f->app), or_empty(f->stream));
	snprintf(param, sizeof(param), "%s%s", f->query && *f->query ? "?" : "", or_empty(f->query));
	json_begin(&j, text, HOOK_TEXT);
	json_str(&j, "server_id", or_empty(f->server));
	json_str(&j, "service_id", or_empty(f->server));
	json_str(&j, "action", calls[call][HOOK_SRS]);
	json_str(&j, "client_id", or_empty(f->client));
	json_str(&j, "ip", address(ip, f->remote));
	json_str(&j, "vhost", VHOST);
	json_str(&j, "app", or_empty(f->app));
	json_str(&j, "tcUrl", or_empty(f->tcurl));
	if (call != HOOK_CONNECT && call != HOOK_CLOSE) {
		json_str(&j, "stream", or_empty(f->stream));
		json_str(&j, "param", param);
		json_str(&j, "stream_url", url);
		json_str(&j, "stream_id", or_empty(f->broadcast));
	}
	if (call == HOOK_PLAY || call == HOOK_CONNECT)
		json_str(&j, "pageUrl", "");
	if (call == HOOK_CLOSE) {
		json_int(&j, "send_bytes", 0);
		json_int(&j, "recv_bytes", f->received);
	}
	if (call == HOOK_DVR) {
		json_str(&j, "cwd", or_empty(f->cwd));
		json_str(&j, "file", or_empty(f->file));
	}
	if (call == HOOK_HLS) {
		json_num(&j, "duration", (double)f->dur_ms / 1000, 3);
		json_str(&j, "cwd", or_empty(f->cwd));
		json_str(&j, "file", or_empty(f->file));
		json_str(&j, "url", or_empty(f->file));
		json_str(&j, "m3u8", or_empty(f->playlist));
		json_str(&j, "m3u8_url", or_empty(f->playlist));
		json_int(&j, "seq_no", f->seq);
	}
	return json_end(&j);
}

static int
our_body(char *text, enum hook_call call, const struct hook_facts *f)
{
	struct json j;

	json_begin(&j, text, HOOK_TEXT);
	json_str(&j, "ask", calls[call][HOOK_JSON]);
	json_str(&j, "stream", f->stream);
	json_str(&j, "app", f->app);
	json_str(&j, "query", f->query);
	json_str(&j, "remote", f->remote);
	json_str(&j, "session", f->client);
	json_str(&j, "client", f->agent);
	json_str(&j, "user", f->user);
	json_str(&j, "broadcast", f->broadcast);
	json_str(&j, "server", f->server);
	return json_end(&j);
}

static void
put_field(struct buf *to, const char *name, const char *value)
{
	const char *s;

	buf_printf(to, "%s%s=", buf_len(to) ? "&" : "", name);
	for (s = or_empty(value); *s; s++)
		if ((*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z') || strchr("-_.~", *s))
			buf_append(to, s, 1);
		else
			buf_printf(to, "%%%02X", (unsigned char)*s);
}

static bool
reserved(const char *name, size_t n)
{
	static const char *const names[] = { "app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid",
		"call", "name", "type", "path", "recorder", "time", "timestamp", "start", "duration", "reset", "epoch" };
	size_t i;

	if (memchr(name, '%', n) || memchr(name, '+', n)) /* another spelling */
		return true;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == n && !strncasecmp(names[i], name, n))
			return true;
	return false;
}

static int
nginx_body(char *text, enum hook_call call, const struct hook_facts *f)
{
	struct buf b = { .max = HOOK_TEXT - 1 };
	char ip[64];
	const char *s, *end;
	int n;

	put_field(&b, "app", f->app);
	put_field(&b, "flashver", f->agent);
	put_field(&b, "swfurl", NULL);
	put_field(&b, "tcurl", f->tcurl);
	put_field(&b, "pageurl", NULL);
	put_field(&b, "addr", address(ip, f->remote));
	put_field(&b, "clientid", f->client);
	put_field(&b, "call", calls[call][HOOK_NGINX]);
	if (call == HOOK_DVR)
		put_field(&b, "recorder", NULL);
	if (call != HOOK_CONNECT && call != HOOK_CLOSE)
		put_field(&b, "name", f->stream);
	if (call == HOOK_PUBLISH)
		put_field(&b, "type", "live");
	if (call == HOOK_PLAY)
		buf_printf(&b, "&start=0&duration=0&reset=0");
	if (call == HOOK_DVR)
		put_field(&b, "path", f->file);
	for (s = or_empty(f->query); *s; s = *end ? end + 1 : end) {
		end = s + strcspn(s, "&;");
		if (end > s && !reserved(s, strcspn(s, "=&;")))
			buf_printf(&b, "&%.*s", (int)(end - s), s);
	}
	n = b.error ? b.error : (int)buf_len(&b);
	if (n > 0)
		memcpy(text, buf_data(&b), (size_t)n);
	text[n > 0 ? n : 0] = '\0';
	buf_free(&b);
	return n;
}

int
hook_body(char text[HOOK_TEXT], enum hook_format format, enum hook_call call, const struct hook_facts *f)
{
	switch (format) {
	case HOOK_SRS:
		return srs_body(text, call, f);
	case HOOK_NGINX:
		return nginx_body(text, call, f);
	default:
		return our_body(text, call, f);
	}
}

static bool
srs_allows(const char *body, size_t n)
{
	json_t *o = json_loadb(body, n, JSON_DECODE_ANY, NULL);
	const json_t *code = json_is_object(o) ? json_object_get(o, "code") : o;
	bool yes = json_is_integer(code) && json_integer_value(code) == 0;

	json_decref(o);
	return yes;
}

static bool
our_answer(const char *body, size_t n, char reason[HOOK_REASON])
{
	json_t *o = json_loadb(body, n, 0, NULL);
	const char *why = json_string_value(json_object_get(o, "reason"));
	bool yes = json_is_true(json_object_get(o, "allow"));

	if (why && *why)
		snprintf(reason, HOOK_REASON, "%s", why);
	json_decref(o);
	return yes;
}

bool
hook_allows(enum hook_format format, int status, const char *body, size_t n, char reason[HOOK_REASON])
{
	snprintf(reason, HOOK_REASON, "not allowed");
	if (format == HOOK_SRS)
		return (status == 200 || status == 201) && srs_allows(body, n);
	if (status < 200 || status > 299)
		return false;
	return format == HOOK_NGINX || our_answer(body, n, reason);
}

int
hook_sign(char line[HOOK_SIGNATURE], const void *secret, size_t secret_len, int64_t now_s, const void *body,
	size_t n)
{
	struct buf b = { 0 };
	uint8_t mac[HASH_BYTES];
	char hex[HASH_HEX];
	int r;

	buf_printf(&b, "%" PRId64 ".", now_s);
	buf_append(&b, body, n);
	r = b.error ? b.error : hash_hmac(mac, secret, secret_len, buf_data(&b), buf_len(&b));
	buf_free(&b);
	if (r == 0) {
		hash_hex(hex, mac);
		snprintf(line, HOOK_SIGNATURE, "Lv-Signature: t=%" PRId64 ",v1=%s", now_s, hex);
	}
	return r;
}
