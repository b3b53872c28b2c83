#include "rtmp_parts.h"

#include <errno.h>
#include <string.h>

#include "amf.h"

/* A name of theirs into a bounded array; what does not fit, or is no text, is nobody's name. */
static void
take_name(struct rtmp *r, char *to, size_t cap, const char *s, size_t n)
{
	size_t i;

	if (n >= cap) {
		r->too_long = true;
		n = 0;
	}
	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			r->too_long = true;
			n = 0;
		}
	}
	memcpy(to, s, n);
	to[n] = '\0';
}

/* Some encoders put the query in every place: what is there already is not said twice. */
static bool
has_query(const struct rtmp *r, const char *s, size_t n)
{
	const char *at = r->query;

	while ((at = memmem(at, strlen(at), s, n))) {
		if ((at == r->query || at[-1] == '&') && (!at[n] || at[n] == '&'))
			return true;
		at++;
	}
	return false;
}

static void
add_query(struct rtmp *r, const char *s, size_t n)
{
	size_t have = strlen(r->query);

	if (!n || has_query(r, s, n))
		return;
	if (have + n + 2 > sizeof(r->query)) {
		r->too_long = true;
		return;
	}
	if (have)
		r->query[have++] = '&';
	take_name(r, r->query + have, sizeof(r->query) - have, s, n);
}

/* "name?query": the name's length; the query is added to what there is. */
static size_t
split_query(struct rtmp *r, const char *s, size_t n)
{
	const char *q = n ? memchr(s, '?', n) : NULL;

	if (!q)
		return n;
	add_query(r, q + 1, n - (size_t)(q - s) - 1);
	return (size_t)(q - s);
}

static bool
ends_with(const char *s, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && !memcmp(s + n - m, end, m);
}

static void
take_app(struct rtmp *r, const char *s, size_t n)
{
	n = split_query(r, s, n);
	for (;;) {
		if (n && s[n - 1] == '/')
			n--;
		else if (ends_with(s, n, "/_definst_"))
			n -= 10;
		else
			break;
	}
	take_name(r, r->app, sizeof(r->app), s, n);
}

static void
take_tcurl(struct rtmp *r, const char *s, size_t n)
{
	if (n > 1 && s[0] == '"' && s[n - 1] == '"') {
		s++;
		n -= 2;
	}
	take_name(r, r->tcurl, sizeof(r->tcurl), s, split_query(r, s, n));
}

static int
on_connect(struct rtmp *r, uint32_t csid, double txn, struct amf_in *in)
{
	struct amf_value object, v;
	const char *key;
	char text[ADOBE_TEXT];
	size_t len;
	int got, skipped;

	if (r->connected)
		return rtmp_broken(r, "connect twice");
	got = amf_next(in, &object);
	if (got > 0 && !amf_is_container(&object))
		got = 0;
	while (got > 0 && (got = amf_member(in, &object, &key, &len, &v)) > 0) {
		if (v.type == AMF_STRING && amf_equal(key, len, "app"))
			take_app(r, v.str, v.len);
		else if (v.type == AMF_STRING && len == 5 && !strncasecmp(key, "tcUrl", 5))
			take_tcurl(r, v.str, v.len);
		else if (v.type == AMF_STRING && amf_equal(key, len, "flashVer"))
			take_name(r, r->client, sizeof(r->client), v.str, v.len < 128 ? v.len : 128);
		else if (v.type == AMF_NUMBER && amf_equal(key, len, "capsEx") && v.number >= 0 && v.number < 256)
			r->reconnects = (unsigned)v.number & CAPS_RECONNECT;
		else if ((skipped = amf_skip(in, &v)) < 0)
			got = skipped;
	}
	if (got == -E2BIG || got == -ELOOP)
		return got; /* a value of a kind we do not know just ends the list */
	if (r->adobe && *r->adobe->app && !strcmp(r->app, r->adobe->app)) {
		if (!adobe_take(r->adobe, r->query, &r->password, text))
			return rtmp_reject_connect(r, csid, txn, text);
		*r->query = '\0'; /* it was all about that */
	}
	r->connected = true;
	r->connect_query = strlen(r->query);
	rtmp_put_connected(r, csid, txn);
	return 0;
}

/* The key: what publish names, else the last part of the app. */
static void
take_key(struct rtmp *r, const char *s, size_t n)
{
	char *slash;

	if ((n = split_query(r, s, n))) {
		take_name(r, r->key, sizeof(r->key), s, n);
	} else if ((slash = strrchr(r->app, '/'))) {
		take_name(r, r->key, sizeof(r->key), slash + 1, strlen(slash + 1));
		*slash = '\0';
	} else {
		take_name(r, r->key, sizeof(r->key), r->app, strlen(r->app));
		*r->app = '\0';
	}
}

static int
on_publish(struct rtmp *r, const struct chunk_message *m, struct amf_in *in, struct rtmp_event *e)
{
	struct amf_value v;
	int got;

	if (!r->connected || !r->streams)
		return rtmp_broken(r, "publish before connect and createStream");
	if (r->publishing || r->asked)
		return rtmp_broken(r, "publish twice");
	do
		got = amf_next(in, &v);
	while (got > 0 && v.type != AMF_STRING);
	take_key(r, got > 0 ? v.str : "", got > 0 ? v.len : 0);
	r->stream = m->stream ? m->stream : 1;
	r->asked = true;
	*e = (struct rtmp_event){ .kind = RTMP_PUBLISH, .app = r->app, .key = r->key,
		.query = r->query, .tcurl = r->tcurl, .client = r->client,
		.password = *r->password.user ? &r->password : NULL, .too_long = r->too_long };
	return 1;
}

static void
on_play(struct rtmp *r, const struct chunk_message *m, struct amf_in *in)
{
	char text[768] = "nothing is played by RTMP here";
	const char *percent = strstr(r->play_url, "%s");
	struct amf_value v = { 0 };
	struct buf b = { .max = sizeof(text) - 1 };
	size_t i;

	if (*r->play_url && amf_next(in, &v) > 0 && v.type == AMF_STRING && v.len <= 64) {
		buf_printf(&b, "watch by HLS: %.*s", percent ? (int)(percent - r->play_url) : 511, r->play_url);
		for (i = 0; percent && i < v.len; i++) /* a key is told to nobody, but this one told us */
			buf_u8(&b, strchr("\"\\<> ", v.str[i]) || v.str[i] < 0x20 ? '_' : (unsigned)v.str[i]);
		if (percent)
			buf_append(&b, percent + 2, strlen(percent + 2));
		if (!b.error) {
			memcpy(text, buf_data(&b), buf_len(&b));
			text[buf_len(&b)] = '\0';
		}
	}
	buf_free(&b);
	rtmp_put_status(r, m->stream ? m->stream : 1, "onStatus", "error", "NetStream.Play.StreamNotFound",
		text);
}

static int
on_unpublish(struct rtmp *r, uint32_t csid, double txn, const char *name, struct rtmp_event *e)
{
	if (txn != 0)
		rtmp_put_result(r, csid, txn, 0);
	if (!r->publishing)
		return 0;
	if (!strcmp(name, "FCUnpublish"))
		rtmp_put_status(r, 0, "onFCUnpublish", "status", "NetStream.Unpublish.Success", "unpublished");
	rtmp_put_status(r, r->stream, "onStatus", "status", "NetStream.Unpublish.Success", "unpublished");
	r->publishing = false;
	explicit_bzero(r->key, sizeof(r->key));
	r->query[r->connect_query] = '\0';
	*e = (struct rtmp_event){ .kind = RTMP_UNPUBLISH };
	return 1;
}

int
rtmp_command(struct rtmp *r, const struct chunk_message *m, struct rtmp_event *e)
{
	static const char *const names[] = { "connect", "createStream", "publish", "play", "FCPublish",
		"FCUnpublish", "deleteStream", "closeStream" };
	struct amf_value name, txn = { 0 }, v;
	struct amf_in in, args;
	size_t skip = m->type == COMMAND_AMF3 && m->size && !m->body[0], i = 0;
	int got;

	amf_begin(&in, m->body + skip, m->size - skip);
	if ((got = amf_next(&in, &name)) <= 0 || name.type != AMF_STRING)
		return got < 0 ? got : rtmp_broken(r, "a command without a name");
	if ((got = amf_next(&in, &txn)) < 0)
		return got;
	if (!got || txn.type != AMF_NUMBER)
		txn.number = 0;
	while (i < sizeof(names) / sizeof(*names) && !amf_equal(name.str, name.len, names[i]))
		i++;
	if (i == 0)
		return on_connect(r, m->csid, txn.number, &in);
	/* The command object of all others is null, or something nobody needs; some leave it out. */
	args = in;
	if (amf_next(&in, &v) <= 0 || v.type == AMF_STRING || amf_skip(&in, &v) < 0)
		in = args;
	switch (i) {
	case 1:
		rtmp_put_result(r, m->csid, txn.number, ++r->streams);
		return 0;
	case 2:
		return on_publish(r, m, &in, e);
	case 3:
		on_play(r, m, &in);
		return 0;
	case 4:
		if (txn.number != 0)
			rtmp_put_result(r, m->csid, txn.number, 0);
		rtmp_put_status(r, 0, "onFCPublish", "status", "NetStream.Publish.Start", "ready");
		return 0;
	case 5:
	case 6:
	case 7:
		return on_unpublish(r, m->csid, txn.number, names[i], e);
	default: /* releaseStream, _checkbw, getStreamLength and whatever else wants an answer */
		if (txn.number != 0 && !amf_equal(name.str, name.len, "_result") &&
			!amf_equal(name.str, name.len, "_error"))
			rtmp_put_result(r, m->csid, txn.number, 0);
		return 0;
	}
}
