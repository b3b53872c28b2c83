/*
 * http-load asks one URL over and over on many kept connections, and counts what each of them got:
 *   http-load CLIENTS SECONDS PORT PATH [PID]…
 * It speaks to 127.0.0.1.  When every client has had its first response the clock starts; at the end
 * one line of numbers: requests, bytes, reconnections; the bytes of the client that got least, of the
 * median and of the one that got most; the nanoseconds that the PIDs had of a processor, those that it
 * had itself, and those that went by.
 * Bodies are thrown away in the kernel, so that the server and not this is what is measured.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD 4096

struct client {
	int fd;
	size_t head; /* bytes of the response's head so far */
	int64_t left; /* of the body; -1: its size is not known yet */
	uint64_t bytes;
	bool served; /* at least once */
	char text[HEAD];
};

static char request[1024];
static struct sockaddr_in server = { .sin_family = AF_INET };
static uint64_t requests, bytes, reconnections;
static size_t waiting;
static int epoll;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* What all threads of a process had of a processor. */
static int64_t
cpu_ns(const char *pid)
{
	char path[512];
	struct dirent *d;
	int64_t sum = 0, ns;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	if (!(dir = opendir(path)))
		fail(path);
	while ((d = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, d->d_name);
		if (d->d_name[0] == '.' || !(f = fopen(path, "r")))
			continue;
		if (fscanf(f, "%" SCNd64, &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

static int64_t
cpu_of(char **pids)
{
	int64_t sum = 0;

	while (*pids)
		sum += cpu_ns(*pids++);
	return sum;
}

static void
ask(struct client *c)
{
	size_t n = strlen(request);

	c->head = 0;
	c->left = -1;
	if (send(c->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE && errno != ECONNRESET)
		fail("send");
}

static void
join(struct client *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
		fail("socket");
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		fail("connect");
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		fail("epoll_ctl");
	ask(c);
}

/* The head is whole: how long is the body, and how much of it came along? */
static void
begin_body(struct client *c)
{
	char *end, *length;

	c->text[c->head] = '\0';
	if (!(end = strstr(c->text, "\r\n\r\n"))) {
		if (c->head == HEAD - 1)
			exit((fprintf(stderr, "http-load: a head of more than %d bytes\n", HEAD), 1));
		return;
	}
	length = strcasestr(c->text, "\r\nContent-Length: ");
	if (strncmp(c->text, "HTTP/1.1 200", 12) || !length || length > end)
		exit((fprintf(stderr, "http-load: %.*s\n", (int)strcspn(c->text, "\r"), c->text), 1));
	c->left = strtoll(length + 18, NULL, 10) - (int64_t)(c->head - (size_t)(end + 4 - c->text));
}

static void
take(struct client *c)
{
	ssize_t n;

	if (c->left < 0) {
		n = recv(c->fd, c->text + c->head, HEAD - 1 - c->head, 0);
		if (n > 0) {
			c->head += (size_t)n;
			begin_body(c);
		}
	} else {
		n = recv(c->fd, NULL, (size_t)c->left, MSG_TRUNC);
		if (n > 0)
			c->left -= n;
	}
	if (n <= 0) {
		if (n < 0 && errno == EAGAIN)
			return;
		close(c->fd);
		reconnections++;
		join(c);
		return;
	}
	bytes += (uint64_t)n;
	c->bytes += (uint64_t)n;
	if (c->left)
		return;
	requests++;
	if (!c->served)
		waiting--;
	c->served = true;
	ask(c);
}

static void
run(int64_t until)
{
	struct epoll_event events[512];
	int i, n;

	while (until ? now_ns() < until : waiting > 0) {
		if ((n = epoll_wait(epoll, events, 512, 100)) < 0)
			fail("epoll_wait");
		for (i = 0; i < n; i++)
			take(events[i].data.ptr);
	}
}

static int
by_count(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
main(int argc, char **argv)
{
	int64_t began, ended, cpu, mine;
	struct client *clients;
	uint64_t *counts;
	size_t i, n;
	double seconds;

	if (argc < 5) {
		fprintf(stderr, "usage: http-load CLIENTS SECONDS PORT PATH [PID]...\n");
		return 64;
	}
	n = strtoul(argv[1], NULL, 10);
	seconds = strtod(argv[2], NULL);
	server.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[4]);
	clients = calloc(n, sizeof(*clients));
	counts = calloc(n, sizeof(*counts));
	if (!n || !clients || !counts || (epoll = epoll_create1(0)) < 0)
		fail("http-load");
	for (waiting = n, i = 0; i < n; i++)
		join(&clients[i]);
	run(0);
	requests = bytes = reconnections = 0;
	for (i = 0; i < n; i++)
		clients[i].bytes = 0;
	cpu = cpu_of(argv + 5);
	mine = cpu_ns("self");
	began = now_ns();
	run(began + (int64_t)(seconds * 1e9));
	ended = now_ns();
	cpu = cpu_of(argv + 5) - cpu;
	mine = cpu_ns("self") - mine;
	for (i = 0; i < n; i++)
		counts[i] = clients[i].bytes;
	qsort(counts, n, sizeof(*counts), by_count);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64
	       " %" PRId64 "\n",
		requests, bytes, reconnections, counts[0], counts[n / 2], counts[n - 1], cpu, mine, ended - began);
	return 0;
}
