/* Store: the process that answers.  Each ask is a request to a bucket, or several. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "store_parts.h"

#define CONNECTIONS 12
#define AT_ONCE 3          /* tries without a pause, where the fault says so */
#define PAUSE_MS 200
#define PAUSE_MAX_MS 5000
#define NAMES_MAX (256u << 20) /* bytes of a folder's names */
#define OBJECT_MAX (512u << 20)
#define READ_BYTES 262144

static struct {
	int fd;
	struct ev_loop *loop;
	struct http *http;
	struct s3_config config;
	struct s3cred cred;
	struct {
		char name[256];
		struct s3 *s3;
	} bucket[STORE_BUCKETS];
	struct buf in, out;
	ev_io readable, writable;
} server;

struct task {
	struct store_ask ask;
	struct s3 *s3;
	char *key, *from;
	struct buf body;
	struct again again;
};

const char *
server_type(const char *key)
{
	const char *dot = strrchr(key, '.');

	return !dot ? "application/octet-stream" : !strcmp(dot, ".m3u8") ? "application/vnd.apple.mpegurl"
		: !strcmp(dot, ".m4a") ? "audio/mp4" : "video/mp4";
}

const char *
server_cache(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot && !strcmp(dot, ".m3u8") ? "max-age=60" : "max-age=86400";
}

/* Of an address that begins with s3://; each bucket that is named gets its own. */
struct s3 *
server_bucket(const char *url, const char **key)
{
	struct s3_config config = server.config;
	char name[256];
	size_t n = strcspn(url + 5, "/");
	int i;

	if (!n || n >= sizeof(name))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)n, url + 5);
	*key = url + 5 + n + strspn(url + 5 + n, "/");
	for (i = 0; i < STORE_BUCKETS && server.bucket[i].s3; i++)
		if (!strcmp(server.bucket[i].name, name))
			return server.bucket[i].s3;
	config.bucket = name;
	if (i == STORE_BUCKETS || s3_new(&server.bucket[i].s3, server.http, &config) < 0)
		return NULL;
	s3_use(server.bucket[i].s3, &server.cred);
	snprintf(server.bucket[i].name, sizeof(name), "%s", name);
	return server.bucket[i].s3;
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	ssize_t n = send(server.fd, buf_data(&server.out), buf_len(&server.out), MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)events;
	if (n > 0)
		buf_consume(&server.out, (size_t)n);
	if (!buf_len(&server.out))
		ev_io_stop(loop, w);
}

void
server_answer(uint32_t id, int error, uint64_t total, const void *data, size_t n)
{
	struct store_answer a = { id, error, total, n };

	buf_append(&server.out, &a, sizeof(a));
	buf_append(&server.out, data, n);
	if (server.out.error)
		_exit(1); /* no memory: the other side hears that we are gone */
	ev_io_start(server.loop, &server.writable);
}

void
server_refuse(uint32_t id, const struct s3_fault *f)
{
	int error = f->verdict == S3_MISSING ? -ENOENT : f->verdict == S3_CONFIG ? -EKEYREJECTED
		: f->verdict == S3_NEVER ? -EIO : -EHOSTUNREACH;

	server_answer(id, error, 0, f->why, strlen(f->why));
}

void
server_fault(struct s3_fault *f, int error)
{
	*f = (struct s3_fault){ .verdict = error == -ENOMEM ? S3_NEVER : S3_AWAY };
	snprintf(f->why, sizeof(f->why), "%s", strerror(-error));
}

static void
on_later(struct ev_loop *loop, ev_timer *w, int events)
{
	struct again *a = w->data;

	(void)loop;
	(void)events;
	a->run(a->ctx);
}

void
server_later(struct again *a, int64_t pause_ms, void (*run)(void *ctx), void *ctx)
{
	a->run = run;
	a->ctx = ctx;
	ev_timer_init(&a->timer, on_later, (double)pause_ms / 1000, 0);
	a->timer.data = a;
	ev_timer_start(server.loop, &a->timer);
}

bool
server_again(struct again *a, const struct s3_result *r, void (*run)(void *ctx), void *ctx)
{
	int64_t now = clock_mono_ms(), pause;

	if (r->fault.verdict != S3_AGAIN && r->fault.verdict != S3_AWAY)
		return false;
	if (!a->since_ms)
		a->since_ms = now;
	a->attempts++;
	if (now - a->since_ms > STORE_PATIENCE_MS)
		return false;
	pause = a->attempts > 5 ? PAUSE_MAX_MS : PAUSE_MS << (a->attempts - 1);
	if (r->fault.verdict == S3_AGAIN && a->attempts <= AT_ONCE)
		pause = 0;
	else if (r->retry_after_ms > pause)
		pause = r->retry_after_ms < PAUSE_MAX_MS ? r->retry_after_ms : PAUSE_MAX_MS;
	server_later(a, pause, run, ctx);
	return true;
}

static void
task_free(struct task *t)
{
	buf_free(&t->body);
	free(t->key);
	free(t->from);
	free(t);
}

static int
on_bytes(void *ctx, const void *data, size_t n)
{
	struct task *t = ctx;

	if (buf_len(&t->body) + n > OBJECT_MAX)
		return -EMSGSIZE;
	return buf_append(&t->body, data, n);
}

/* The names in a folder, from keys in their order: each once. */
static void
add_names(struct task *t, const struct s3_result *r)
{
	size_t n = strlen(t->key), i, len;
	const char *last = NULL, *name;

	for (i = 0; i < r->nentries; i++) {
		if (strncmp(r->entries[i].key, t->key, n))
			continue;
		name = r->entries[i].key + n;
		len = strcspn(name, "/");
		len += name[len] == '/';
		if (!len || *name == '.' || (last && !strncmp(last, name, len) && name[len - 1] == '/'))
			continue;
		last = name;
		buf_append(&t->body, name, len);
		buf_u8(&t->body, 0);
	}
}

static void run_task(void *);

static void
on_done(void *ctx, const struct s3_result *r)
{
	struct task *t = ctx;

	if (server_again(&t->again, r, run_task, t))
		return;
	if (t->ask.op == STORE_READ && r->fault.status == 416) {
		server_answer(t->ask.id, 0, r->nentries ? r->entries[0].size : 0, "", 0);
	} else if (r->error == -EMSGSIZE) {
		server_answer(t->ask.id, -EMSGSIZE, 0, "", 0);
	} else if (r->fault.verdict != S3_OK) {
		server_refuse(t->ask.id, &r->fault);
	} else if (t->ask.op == STORE_LIST) {
		add_names(t, r);
		if (r->next && buf_len(&t->body) < NAMES_MAX) {
			free(t->from);
			t->from = strdup(r->next);
			memset(&t->again, 0, sizeof(t->again));
			run_task(t);
			return;
		}
		server_answer(t->ask.id, r->next ? -EMSGSIZE : 0, 0, buf_data(&t->body), buf_len(&t->body));
	} else {
		server_answer(t->ask.id, 0, r->nentries ? r->entries[0].size : 0, buf_data(&t->body),
			t->ask.op == STORE_READ ? buf_len(&t->body) : 0);
	}
	task_free(t);
}

static void
run_task(void *ctx)
{
	struct task *t = ctx;
	struct s3_read read = { .key = t->key, .first = t->ask.offset, .size = t->ask.size, .take = on_bytes };
	struct s3_object put = { .key = t->key, .fd = -1, .data = buf_data(&t->body), .size = buf_len(&t->body),
		.type = server_type(t->key), .cache = server_cache(t->key) };
	int r;

	if (t->ask.op == STORE_READ) {
		buf_clear(&t->body);
		r = s3_get(t->s3, &read, on_done, t);
	} else if (t->ask.op == STORE_PUT) {
		r = s3_put(t->s3, &put, on_done, t);
	} else {
		r = s3_list(t->s3, t->key, t->from, on_done, t);
	}
	if (r < 0) {
		server_answer(t->ask.id, r, 0, "", 0);
		task_free(t);
	}
}

static void
begin_task(const struct store_ask *a, const char *url, const uint8_t *data)
{
	struct task *t = calloc(1, sizeof(*t));
	const char *key;

	if (!t || !(t->s3 = server_bucket(url, &key)) ||
		asprintf(&t->key, a->op == STORE_LIST && *key ? "%s/" : "%s", key) < 0) {
		server_answer(a->id, -EINVAL, 0, "", 0);
		free(t);
		return;
	}
	t->ask = *a;
	if (a->op == STORE_PUT)
		buf_append(&t->body, data, a->size);
	run_task(t);
}

/* The asks that have come whole. */
static void
take_asks(void)
{
	struct store_ask a;
	char url[STORE_URL_MAX + 1];
	const uint8_t *p;
	size_t data;

	while (buf_len(&server.in) >= sizeof(a) && !upload_full()) {
		p = buf_data(&server.in);
		memcpy(&a, p, sizeof(a));
		data = a.op == STORE_PUT || a.op == STORE_DATA ? (size_t)a.size : 0;
		if (buf_len(&server.in) < sizeof(a) + a.url + data)
			break;
		snprintf(url, sizeof(url), "%.*s", (int)a.url, (const char *)p + sizeof(a));
		p += sizeof(a) + a.url;
		if (a.op == STORE_BEGIN)
			upload_begin(a.id, url, a.size);
		else if (a.op == STORE_DATA)
			upload_data(p, data);
		else if (a.op == STORE_END)
			upload_end(a.id);
		else if (a.op == STORE_ABORT)
			upload_abort(a.id);
		else
			begin_task(&a, url, p);
		buf_consume(&server.in, sizeof(a) + a.url + data);
	}
	if (upload_full())
		ev_io_stop(server.loop, &server.readable);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	uint8_t *room = buf_reserve(&server.in, READ_BYTES);
	ssize_t n = room ? recv(server.fd, room, READ_BYTES, MSG_DONTWAIT) : 0;

	(void)loop;
	(void)w;
	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		_exit(0); /* who asks has gone: what was stored of an object is for the next one */
	if (n > 0)
		buf_grew(&server.in, (size_t)n);
	take_asks();
}

void
server_resume(void)
{
	if (ev_is_active(&server.readable) || upload_full())
		return;
	ev_io_start(server.loop, &server.readable);
	take_asks();
}

static const char *
first_of(const char *a, const char *b, const char *c, const char *d)
{
	return a && *a ? a : b && *b ? b : c && *c ? c : d;
}

static int
find_key(const char *file, char *why, size_t cap)
{
	const char *where;
	int r = s3cred_load(&server.cred, file, &where);

	if (r == -EPERM)
		snprintf(why, cap, "%s can be read by others: chmod 600 %s", where, where);
	else if (r == -EACCES)
		snprintf(why, cap, "cannot read %s, which the user that runs this has to own", where);
	else if (r == -EBADMSG)
		snprintf(why, cap, "%s holds no aws_access_key_id with its aws_secret_access_key", where);
	else if (r < 0)
		snprintf(why, cap, "no access key: none in the environment, and cannot read %s: %s", where, strerror(-r));
	return r;
}

void
server_run(int fd, const struct store_config *c)
{
	struct http_config http = { .connections = CONNECTIONS, .ca_file = getenv("AWS_CA_BUNDLE") };
	char why[1024];
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Its reader is told when to end by who asks, and that one by signals. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	server.fd = fd;
	server.config = (struct s3_config){ .endpoint = first_of(c->endpoint, getenv("AWS_ENDPOINT_URL_S3"),
		getenv("AWS_ENDPOINT_URL"), NULL),
		.region = first_of(c->region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), "us-east-1"),
		.style = !c->addressing ? S3_AUTO : *c->addressing == 'p' ? S3_PATH : S3_VIRTUAL };
	server.loop = ev_loop_new(EVFLAG_AUTO);
	ev_io_init(&server.readable, on_readable, fd, EV_READ);
	ev_io_init(&server.writable, on_writable, fd, EV_WRITE);
	if (!server.loop || http_new(&server.http, server.loop, &http) < 0)
		_exit(1);
	if (find_key(c->credentials, why, sizeof(why)) < 0)
		server_answer(0, -EKEYREJECTED, 0, why, strlen(why));
	else
		server_answer(0, 0, 0, "", 0);
	ev_io_start(server.loop, &server.readable);
	ev_run(server.loop, 0);
	_exit(1);
}
