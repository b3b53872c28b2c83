#include "store_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdio.h"
#include "sig.h"

#define SLOTS 12
#define WORDS_MAX 4096 /* of an error */

struct slot { /* a part of an object */
	char *url;
	uint32_t id;
	uint64_t offset, total;
	size_t asked;
	int error;
	bool pending;
	uint64_t used;
	struct buf bytes;
};

static struct {
	struct store_config config;
	int fd, error; /* error: why it could not be started */
	pid_t pid;
	uint32_t ids;
	uint64_t turn;
	struct slot slot[SLOTS];
	char why[512];
} store = { .fd = -1 };

bool
store_is(const char *url)
{
	return !strncmp(url, "s3://", 5);
}

bool
store_failed(int error)
{
	return error == -EHOSTUNREACH || error == -EKEYREJECTED || error == -ECANCELED;
}

const char *
store_why(void)
{
	return store.why;
}

static int
lost(void)
{
	snprintf(store.why, sizeof(store.why), "the process that speaks with the bucket has ended");
	return -EHOSTUNREACH;
}

/* A signal ends the wait for an answer, but not one that has begun: what follows would be read as a head. */
static int
take(void *to, size_t n, bool begun)
{
	struct pollfd p = { .fd = store.fd, .events = POLLIN };
	uint8_t *at = to;
	ssize_t r;

	while (n) {
		if (!begun && sig_draining())
			return -ECANCELED;
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		if (!p.revents)
			continue;
		if ((r = recv(store.fd, at, n, MSG_DONTWAIT)) == 0 || (r < 0 && errno != EINTR && errno != EAGAIN))
			return lost();
		if (r > 0) {
			at += r;
			n -= (size_t)r;
			begun = true;
		}
	}
	return 0;
}

static int
ask(enum store_op op, uint32_t id, const char *url, uint64_t offset, uint64_t size, const void *data)
{
	struct store_ask a = { op, id, (uint32_t)strlen(url), offset, size };
	int r;

	if (a.url > STORE_URL_MAX)
		return -ENAMETOOLONG;
	if ((r = store_start()) < 0)
		return r;
	if (fdio_write_all(store.fd, &a, sizeof(a)) < 0 || fdio_write_all(store.fd, url, a.url) < 0)
		return lost();
	if (data && (r = fdio_write_all(store.fd, data, size)) < 0)
		return lost();
	return 0;
}

static struct slot *
slot_of(uint32_t id)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (store.slot[i].pending && store.slot[i].id == id)
			return &store.slot[i];
	return NULL;
}

/* The next answer: into its slot, or, for any other ask, into body. */
static int
receive(struct store_answer *a, struct buf *body, size_t max)
{
	struct slot *s;
	struct buf *to;
	uint8_t *room;
	int r;

	if ((r = take(a, sizeof(*a), false)) < 0)
		return r;
	s = slot_of(a->id);
	to = s ? &s->bytes : body;
	buf_clear(to);
	if (a->size > (s ? (size_t)SIZE_MAX / 2 : max) || !(room = buf_reserve(to, a->size + 1)))
		return -ENOMEM;
	if ((r = take(room, a->size, true)) < 0)
		return r;
	buf_grew(to, a->size);
	if (a->error) {
		room[a->size] = '\0';
		if (store_failed(a->error) || !*store.why)
			snprintf(store.why, sizeof(store.why), "%s", (char *)room);
	}
	if (s) {
		s->pending = false;
		s->error = a->error;
		s->total = a->total;
	}
	return a->id ? 0 : a->error; /* unasked: what is being made cannot be, or there is no access key */
}

void
store_setup(const struct store_config *config)
{
	store.config = *config;
}

int
store_start(void)
{
	static const char *const secrets[] = { "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN" };
	struct store_answer a;
	struct buf none = { 0 };
	int fd[2], r;
	size_t i;

	if (store.fd >= 0)
		return store.error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	if ((store.pid = fork()) < 0) {
		r = -errno;
		close(fd[0]);
		close(fd[1]);
		return r;
	}
	if (!store.pid) {
		close(fd[0]);
		server_run(fd[1], &store.config);
	}
	close(fd[1]);
	store.fd = fd[0];
	for (i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
		unsetenv(secrets[i]);
	store.error = receive(&a, &none, WORDS_MAX); /* it has its key, or says why not */
	buf_free(&none);
	return store.error;
}

/* Waits for the answer to an ask. */
static int
answer(uint32_t id, uint64_t *total, struct buf *body, size_t max)
{
	struct store_answer a;
	int r;

	do {
		if ((r = receive(&a, body, max)) < 0)
			return r;
	} while (a.id != id);
	if (total)
		*total = a.total;
	return a.error;
}

static int
simple(enum store_op op, const char *url, uint64_t size, const void *data, struct buf *body, size_t max)
{
	struct buf none = { 0 };
	uint32_t id = ++store.ids;
	int r = ask(op, id, url, 0, size, data);

	if (!r)
		r = answer(id, NULL, body ? body : &none, body ? max : WORDS_MAX);
	buf_free(&none);
	return r;
}

int
store_get(const char *url, size_t max, struct buf *b)
{
	return simple(STORE_READ, url, 0, NULL, b, max);
}

int
store_put(const char *url, const void *data, size_t n)
{
	return simple(STORE_PUT, url, n, data, NULL, 0);
}

int
store_list(const char *folder, struct buf *names)
{
	return simple(STORE_LIST, folder, 0, NULL, names, SIZE_MAX / 2);
}

static struct slot *
find(const char *url, uint64_t at)
{
	struct slot *s;

	for (s = store.slot; s < store.slot + SLOTS; s++)
		if (s->url && !strcmp(s->url, url) && at >= s->offset && at < s->offset + s->asked)
			return s;
	return NULL;
}

/* Asks for a part, in the slot that was used longest ago. */
static int
ask_part(const char *url, uint64_t at, size_t step, struct slot **out)
{
	struct slot *s, *oldest = NULL;
	struct store_answer a;
	struct buf none = { 0 };
	int r;

	while (!oldest) {
		for (s = store.slot; s < store.slot + SLOTS; s++)
			if (!s->pending && (!oldest || s->used < oldest->used))
				oldest = s;
		if (!oldest && (r = receive(&a, &none, WORDS_MAX)) < 0)
			return r;
	}
	buf_free(&none);
	free(oldest->url);
	buf_clear(&oldest->bytes);
	*oldest = (struct slot){ .url = strdup(url), .id = ++store.ids, .offset = at, .asked = step,
		.bytes = oldest->bytes, .used = ++store.turn };
	if (!oldest->url)
		return -ENOMEM;
	if ((r = ask(STORE_READ, oldest->id, url, at, step, NULL)) < 0)
		return r;
	oldest->pending = true;
	*out = oldest;
	return 0;
}

/* The part that holds the byte at; what came with an error is forgotten, so that it is asked for anew. */
static int
part(const char *url, size_t step, uint64_t at, struct slot **out)
{
	struct slot *s = find(url, at);
	struct store_answer a;
	struct buf none = { 0 };
	int r = 0;

	if (!s && (r = ask_part(url, at, step, &s)) < 0)
		return r;
	s->used = ++store.turn;
	while (!r && s->pending)
		r = receive(&a, &none, WORDS_MAX);
	buf_free(&none);
	if (!r && (r = s->error)) {
		free(s->url);
		s->url = NULL;
	}
	*out = s;
	return r;
}

int
store_size(const char *url, size_t step, uint64_t *size)
{
	struct slot *s;
	int r = part(url, step, 0, &s);

	*size = r ? 0 : s->total;
	return r;
}

ssize_t
store_read(const char *url, size_t step, void *p, size_t n, uint64_t at)
{
	struct slot *s, *more;
	size_t have = 0, some;
	uint64_t end;
	int r;

	while (have < n) {
		if ((r = part(url, step, at + have, &s)) < 0)
			return r;
		end = s->offset + buf_len(&s->bytes);
		if (at + have >= end)
			break;
		some = (size_t)(end - at - have);
		some = some < n - have ? some : n - have;
		memcpy((char *)p + have, buf_data(&s->bytes) + (at + have - s->offset), some);
		have += some;
		/* Who reads on will want what follows: it is on its way meanwhile. */
		if (step > 65536 && end < s->total && !find(url, end) && (r = ask_part(url, end, step, &more)) < 0)
			return r;
	}
	return (ssize_t)have;
}

void
store_ahead(const char *url, size_t step)
{
	struct slot *s;

	if (!find(url, 0))
		ask_part(url, 0, step, &s);
}

int
store_begin(const char *url, uint64_t size)
{
	return simple(STORE_BEGIN, url, size, NULL, NULL, 0);
}

int
store_write(const void *data, size_t n)
{
	struct pollfd p = { .fd = store.fd, .events = POLLIN };
	struct store_answer a;
	struct buf none = { 0 };
	int r = 0;

	/* An upload that failed says so before it is ended. */
	while (!r && poll(&p, 1, 0) > 0)
		r = receive(&a, &none, WORDS_MAX);
	buf_free(&none);
	return r ? r : ask(STORE_DATA, 0, "", 0, n, data);
}

int
store_end(uint64_t *kept)
{
	struct buf none = { 0 };
	uint32_t id = ++store.ids;
	int r = ask(STORE_END, id, "", 0, 0, NULL);

	if (!r)
		r = answer(id, kept, &none, WORDS_MAX);
	buf_free(&none);
	return r;
}

void
store_abort(void)
{
	struct store_answer a;
	struct buf none = { 0 };
	uint32_t id = ++store.ids;
	uint8_t gone[4096];
	size_t left, n;

	/* After a signal too: it is waited for as long as the other process tries. */
	if (ask(STORE_ABORT, id, "", 0, 0, NULL) < 0)
		return;
	do {
		if (recv(store.fd, &a, sizeof(a), MSG_WAITALL) != sizeof(a))
			return;
		for (left = a.size; left; left -= n) {
			n = left < sizeof(gone) ? left : sizeof(gone);
			if (recv(store.fd, gone, n, MSG_WAITALL) != (ssize_t)n)
				return;
		}
	} while (a.id != id);
	buf_free(&none);
}

void
store_stop(void)
{
	int i;

	if (store.fd < 0)
		return;
	close(store.fd);
	store.fd = -1;
	waitpid(store.pid, NULL, 0);
	for (i = 0; i < SLOTS; i++) {
		free(store.slot[i].url);
		buf_free(&store.slot[i].bytes);
	}
}
