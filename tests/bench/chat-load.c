/*
 * chat-load PORT SERVER-PID CLIENTS RATE SECONDS [TOKEN...]: a room full of readers, and writers, one a
 * token (or three a message a second), that say RATE messages a second in turn.  With IDLE=N in the
 * environment N more sit in a room where nobody speaks.  Prints one line: connect_ms, delivered, missing,
 * disordered (heard in another order than by others), p50_us, p99_us, server_cpu_ns, rss_kb, rss_empty_kb,
 * p50_us, p99_us.
 *
 * The first two times are until a message is in the reader's socket, by the kernel's stamp (of the last
 * packet, where one read takes several): they are the server's, however late the readers are, which
 * are all this one process.  The last two are until it has been read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATENCY_MAX_US 10000000
#define MARK "\"text\":\"lv "

struct client {
	int fd;
	size_t len;
	long count; /* messages that came */
	char *in;  /* a frame that is not whole */
};

static struct client *clients;
static int poll_fd, client_count, writer_count;
static uint32_t *came, *seen; /* histograms of 10 us each */
static long delivered, disordered;
static long *order, order_len, total; /* the numbers as whoever was first heard them: all shall */

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* as the kernel's stamps */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static _Noreturn void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
enter(struct client *c, int port, const char *room, const char *token)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	char text[4096], *end = NULL;
	ssize_t got;
	int n, on = 1;

	if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0 || connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		fail("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	n = snprintf(text, sizeof(text), "GET /chat?stream=%s%s%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		room, token ? "&token=" : "", token ? token : "");
	if (write(c->fd, text, (size_t)n) != n)
		fail("write");
	/* The answer may have frames behind it: looked at, then read to its end. */
	do
		got = recv(c->fd, text, sizeof(text), MSG_PEEK);
	while (got > 0 && got < (ssize_t)sizeof(text) && !(end = memmem(text, (size_t)got, "\r\n\r\n", 4)));
	if (got <= 0 || !end || read(c->fd, text, (size_t)(end - text) + 4) != end - text + 4)
		fail("handshake");
	if (memcmp(text, "HTTP/1.1 101", 12)) {
		fprintf(stderr, "refused: %.40s\n", text);
		exit(1);
	}
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0)
		fail("epoll");
}

static void
count(uint32_t *histogram, int64_t us)
{
	histogram[(us < 0 ? 0 : us >= LATENCY_MAX_US ? LATENCY_MAX_US - 1 : us) / 10]++;
}

static void
heard(struct client *c, const char *text, size_t n, int64_t stamp, int64_t now)
{
	const char *mark = memmem(text, n, MARK, sizeof(MARK) - 1);
	long number;
	int64_t sent;
	char *end;

	if (!mark)
		return;
	number = strtol(mark + sizeof(MARK) - 1, &end, 10);
	sent = strtoll(end, NULL, 10);
	if (c->count == order_len && order_len < total)
		order[order_len++] = number;
	else if (c->count < order_len && order[c->count] != number)
		disordered++;
	c->count++;
	delivered++;
	count(came, stamp - sent);
	count(seen, now - sent);
}

/* As read, and when the last of it came. */
static ssize_t
receive(int fd, char *to, size_t n, int64_t *stamp)
{
	char control[256];
	struct iovec iov = { to, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t r = recvmsg(fd, &m, 0);
	struct cmsghdr *c;
	struct timespec t;

	*stamp = now_us();
	for (c = r > 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			*stamp = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
		}
	return r;
}

static void
take(struct client *c)
{
	static char buffer[256 << 10];
	size_t len = c->len, at = 0, head, size;
	int64_t stamp;
	ssize_t n;

	if (len)
		memcpy(buffer, c->in, len);
	n = receive(c->fd, buffer + len, sizeof(buffer) - len - 1, &stamp);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		fprintf(stderr, "a connection ended\n");
		exit(1);
	}
	if (n < 0)
		return;
	len += (size_t)n;
	buffer[len] = '\0';
	for (int64_t now = now_us(); at + 2 <= len; at += head + size) {
		const unsigned char *p = (unsigned char *)buffer + at;

		head = (p[1] & 127) == 126 ? 4 : (p[1] & 127) == 127 ? 10 : 2;
		if (at + head > len)
			break;
		size = head == 2 ? p[1] : (size_t)p[2] << 8 | p[3];
		if (head == 10)
			size = (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
		if (at + head + size > len)
			break;
		heard(c, buffer + at + head, size, stamp, now);
	}
	free(c->in);
	c->in = NULL;
	c->len = len - at;
	if (c->len && !(c->in = malloc(c->len)))
		fail("malloc");
	if (c->len)
		memcpy(c->in, buffer + at, c->len);
}

static void
say(struct client *c, int writer, long number)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "{\"type\":\"message\",\"userId\":\"u%d\",\"text\":\"lv %ld %lld %0100d\"}",
		writer, number, (long long)now_us(), 0);
	unsigned char frame[512] = { 0x81, 0x80 | 126, (unsigned char)(n >> 8), (unsigned char)n, 0, 0, 0, 0 };

	memcpy(frame + 8, text, (size_t)n);
	if (write(c->fd, frame, (size_t)n + 8) != n + 8)
		fail("say");
}

/* CPU nanoseconds of all threads of a process. */
static int64_t
cpu_ns(int pid)
{
	char path[64];
	int64_t sum = 0;
	long long ns;
	glob_t g;
	FILE *f;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/task/*/schedstat", pid);
	if (glob(path, 0, NULL, &g))
		return 0;
	for (i = 0; i < g.gl_pathc; i++)
		if ((f = fopen(g.gl_pathv[i], "r"))) {
			if (fscanf(f, "%lld", &ns) == 1)
				sum += ns;
			fclose(f);
		}
	globfree(&g);
	return sum;
}

static long
rss_kb(int pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!(f = fopen(path, "r")))
		return 0;
	while (fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %ld", &kb) != 1)
		;
	fclose(f);
	return kb;
}

/* Whatever comes, until a time or until so much has come. */
static void
listen_until(int64_t until, long enough)
{
	struct epoll_event events[256];
	int i, n;

	while (now_us() < until && (enough < 0 || delivered < enough)) {
		int64_t left = until - now_us();

		n = epoll_wait(poll_fd, events, 256, left > 1000 ? (int)(left / 1000) : 0);
		for (i = 0; i < n; i++)
			take(events[i].data.ptr);
	}
}

static long
percentile(const uint32_t *histogram, double p)
{
	long sum = 0;
	size_t i;

	for (i = 0; i < LATENCY_MAX_US / 10; i++)
		if ((sum += histogram[i]) >= (long)((double)delivered * p))
			break;
	return (long)i * 10;
}

int
main(int argc, char **argv)
{
	struct rlimit lim;
	int port, pid, rate, seconds, idle_count, i;
	long number, empty_kb;
	int64_t began, connect_us, cpu, start;

	if (argc < 6) {
		fprintf(stderr, "usage: chat-load PORT PID CLIENTS RATE SECONDS [TOKEN...]\n");
		return 64;
	}
	port = (int)strtol(argv[1], NULL, 10);
	pid = (int)strtol(argv[2], NULL, 10);
	client_count = (int)strtol(argv[3], NULL, 10);
	rate = (int)strtol(argv[4], NULL, 10);
	seconds = (int)strtol(argv[5], NULL, 10);
	writer_count = argc > 6 ? argc - 6 : rate / 3 + 1;
	idle_count = getenv("IDLE") ? (int)strtol(getenv("IDLE"), NULL, 10) : 0;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	total = (long)rate * seconds;
	order = calloc((size_t)total + 1, sizeof(*order));
	poll_fd = epoll_create1(0);
	clients = calloc((size_t)(client_count + writer_count + idle_count), sizeof(*clients));
	came = calloc(LATENCY_MAX_US / 10, sizeof(*came));
	seen = calloc(LATENCY_MAX_US / 10, sizeof(*seen));
	empty_kb = rss_kb(pid);
	began = now_us();
	for (i = 0; i < client_count; i++)
		enter(&clients[i], port, "bench", NULL);
	connect_us = now_us() - began;
	for (i = 0; i < idle_count; i++)
		enter(&clients[client_count + writer_count + i], port, "idle", NULL);
	for (i = 0; i < writer_count; i++) /* they hear everything too */
		enter(&clients[client_count + i], port, "bench", argc > 6 ? argv[6 + i] : NULL);
	/* The idle room's number of viewers is told to all who are in it, once: no message's cost. */
	listen_until(now_us() + (idle_count ? 6000000 : 1000000), -1);
	delivered = 0;
	cpu = cpu_ns(pid);
	start = now_us();
	for (number = 0; number < total; number++) {
		listen_until(start + number * 1000000 / rate, -1);
		say(&clients[client_count + number % writer_count], (int)(number % writer_count), number);
	}
	listen_until(now_us() + 60000000, total * (client_count + writer_count));
	cpu = cpu_ns(pid) - cpu;
	printf("%lld %ld %ld %ld %ld %ld %lld %ld %ld %ld %ld\n", (long long)connect_us / 1000, delivered,
		total * (client_count + writer_count) - delivered, disordered, percentile(came, 0.5), percentile(came, 0.99),
		(long long)cpu, rss_kb(pid), empty_kb, percentile(seen, 0.5), percentile(seen, 0.99));
	return 0;
}
