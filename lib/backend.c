#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "http.h"
#include "whole.h"

#define CONNECTIONS 50
#define CONNECT_MS 1000

static char *format_name, *secret_path, *ca_path;
static int private;

const struct poptOption backend_options[] = {
	{ "hook-format", 0, POPT_ARG_STRING, &format_name, 0, "in the words of srs, nginx or json (srs)", "FORMAT" },
	{ "hook-secret-file", 0, POPT_ARG_STRING, &secret_path, 0, "sign what is asked by the key in FILE", "FILE" },
	{ "hook-ca", 0, POPT_ARG_STRING, &ca_path, 0, "believe the certificates in FILE", "FILE" },
	{ "hook-private", 0, POPT_ARG_NONE, &private, 0,
		"the back end may be on this machine or in a private network", NULL },
	POPT_TABLEEND
};

struct backend {
	struct http *http;
	const char *url;
	enum hook_format format;
	struct buf secret;
	char server[128];
	size_t waiting;
};

struct call {
	struct backend *b;
	backend_done *done;
	void *ctx;
	char body[HOOK_TEXT];
};

const char *
backend_check(const char *option, const char *url)
{
	static char text[200];

	if (!url && (format_name || secret_path || ca_path || private))
		snprintf(text, sizeof(text), "--hook-format and its like go with %s", option);
	else if (url && strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
		snprintf(text, sizeof(text), "%s: http://... or https://...", option);
	else if (url && strchr(url, '@'))
		snprintf(text, sizeof(text), "%s: no password on a command line, where others see it; "
			"--hook-secret-file signs what is asked", option);
	else if (hook_format(format_name ? format_name : "srs") < 0)
		snprintf(text, sizeof(text), "--hook-format: srs, nginx or json");
	else
		return NULL;
	return text;
}

static void
answered(void *ctx, const struct http_response *r)
{
	struct call *c = ctx;
	char reason[HOOK_REASON] = "try again later";
	struct backend_answer a = { .reason = reason, .why = r->error ? r->why : NULL };

	if (!r->error)
		a.allowed = hook_allows(c->b->format, r->status, r->body, r->size, reason);
	c->b->waiting--;
	c->done(c->ctx, &a);
	free(c);
}

static int
send_call(struct call *c, int n)
{
	struct backend *b = c->b;
	char signature[HOOK_SIGNATURE];
	const char *const headers[] = { hook_type(b->format), buf_len(&b->secret) ? signature : NULL, NULL };
	int r;

	if (buf_len(&b->secret) && (r = hook_sign(signature, buf_data(&b->secret), buf_len(&b->secret),
			clock_wall_ms() / 1000, c->body, (size_t)n)) < 0)
		return r;
	return http_send(b->http, &(struct http_request){ .method = "POST", .url = b->url, .headers = headers,
		.body = c->body, .size = (uint64_t)n, .done = answered, .ctx = c });
}

int
backend_call(struct backend *b, enum hook_call call, const struct hook_facts *facts, backend_done *done, void *ctx)
{
	struct hook_facts f = *facts;
	struct call *c;
	int r;

	if (b->waiting >= BACKEND_CALLS)
		return -EAGAIN;
	if (!(c = malloc(sizeof(*c))))
		return -ENOMEM;
	f.server = b->server;
	*c = (struct call){ .b = b, .done = done, .ctx = ctx };
	if ((r = hook_body(c->body, b->format, call, &f)) < 0 || (r = send_call(c, r)) < 0) {
		free(c);
		return r;
	}
	b->waiting++;
	return 0;
}

static int
take_secret(struct backend *b)
{
	int r = secret_path ? whole_secret(secret_path, HOOK_SECRET_MAX, &b->secret) : 0;

	if (r == -EPERM)
		complain(0, "%s is open to others or belongs to somebody else; own it and \"chmod 600 %s\"", secret_path,
			secret_path);
	else if (r < 0)
		complain(r, "cannot read %s", secret_path);
	return r == -EPERM || r == -EACCES ? EX_NOPERM : r < 0 ? EX_NOINPUT : EX_OK;
}

int
backend_new(struct backend **out, struct ev_loop *loop, const char *url, int answer_ms)
{
	struct backend *b = calloc(1, sizeof(*b));
	int status;

	*out = b;
	if (b && (status = take_secret(b)) != EX_OK) {
		backend_free(out);
		return status;
	}
	if (!b || !loop || http_new(&b->http, loop, &(struct http_config){ .connections = CONNECTIONS,
			.connect_ms = CONNECT_MS, .stall_ms = answer_ms, .total_ms = answer_ms,
			.public_only = !private, .ca_file = ca_path }) < 0) {
		complain(-ENOMEM, "cannot begin");
		backend_free(out);
		return EX_OSERR;
	}
	b->url = url;
	b->format = (enum hook_format)hook_format(format_name ? format_name : "srs");
	gethostname(b->server, sizeof(b->server) - 1);
	return EX_OK;
}

size_t
backend_waiting(const struct backend *b)
{
	return b->waiting;
}

void
backend_free(struct backend **bp)
{
	struct backend *b = *bp;

	if (!b)
		return;
	http_free(&b->http);
	if (buf_len(&b->secret))
		explicit_bzero(buf_data(&b->secret), buf_len(&b->secret));
	buf_free(&b->secret);
	free(b);
	*bp = NULL;
}
