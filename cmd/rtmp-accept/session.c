/*
 * rtmp-session: one publishing connection.  The connection is descriptor 0, the door descriptor 3;
 * ipc.h has what is said to the door and to the keeper.  It reads what strangers send, so it has
 * no files, no other sockets and few system calls.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "clock.h"
#include "ipc.h"
#include "jail.h"
#include "lean.h"
#include "passfd.h"
#include "proxy.h"
#include "rtmp.h"

#define READ_BYTES (16 << 10)
#define BATCH_BYTES (4 << 10) /* records are passed on together up to here; what is more goes uncopied */
#define DRAIN_MS 1000
#define FLOW_MS 40             /* without media for so long, others are heard too */
#define LOOK_MS 1000           /* and otherwise so often */
#define KEEPER_MS 5000         /* the keeper always reads; one that does not is gone */
#define MEMORY_MAX (96 << 20)  /* address space: two messages of 8 MiB and their copies */

static const int calls[] = { SYS_read, SYS_write, SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll, SYS_shutdown, SYS_close, SYS_clock_gettime, SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap,
	SYS_madvise, SYS_futex, SYS_getrandom, SYS_exit_group, SYS_exit, SYS_rt_sigreturn,
	SYS_restart_syscall };

/* Publishers send a message's header by itself: while media flows we are not woken for that alone. */
#define HEADER_ALONE 12
/* Nor, where messages are merged, before there are so many bytes, or it is time. */
#define MERGED_BYTES (64 << 10)
static const struct jail_option options[] = { { SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_RCVTIMEO } };

static struct ipc_hello hello;
static struct rtmp *rtmp;
static struct buf batch;
static int media = -1, door = IPC_FD;
static bool asked, unpublished;
static bool flowing; /* the last wait brought media */
static uint32_t merge_ms; /* messages are read together over so long; 0: as they come */
static int64_t began_ms, heard_ms, looked_ms;
static uint8_t input[READ_BYTES];
static uint8_t proxy_head[PROXY_MAX];
static size_t proxy_len;

static bool
wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { fd, events, 0 };
	int64_t left;
	int r;

	do {
		left = until - clock_mono_ms();
		r = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

/* All of it, waiting at most until then: 0 or -errno. */
static int
send_all(int fd, const void *data, size_t n, int64_t until)
{
	const uint8_t *p = data;
	ssize_t r;

	while (n) {
		r = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r >= 0) {
			p += r;
			n -= (size_t)r;
		} else if (errno != EAGAIN && errno != EINTR) {
			return -errno;
		} else if (!wait_for(fd, POLLOUT, until)) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int
say(int64_t until)
{
	struct buf *out = rtmp_out(rtmp);
	int r = send_all(STDIN_FILENO, buf_data(out), buf_len(out), until);

	buf_clear(out);
	return r;
}

/*
 * The end: what was still to be said, a half-close, and what the peer sends on is read away for a
 * moment.  Closed with unread input the connection would be reset, and OBS would show error 10054
 * in place of the reason.
 */
static _Noreturn void
leave(uint32_t code, const char *reason)
{
	struct ipc_bye bye = { .kind = IPC_BYE, .code = code };
	int64_t until = clock_mono_ms() + DRAIN_MS;
	ssize_t n;

	if (media >= 0)
		close(media);
	strncpy(bye.reason, reason, sizeof(bye.reason) - 1);
	send(door, &bye, sizeof(bye), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (say(until) == 0 && shutdown(STDIN_FILENO, SHUT_WR) == 0)
		while (wait_for(STDIN_FILENO, POLLIN, until)) {
			n = recv(STDIN_FILENO, input, sizeof(input), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				break;
		}
	_exit(0);
}

/* The keeper closed its end; the record before that says why. */
static _Noreturn void
keeper_gone(void)
{
	uint8_t head[RECORD_HEADER];
	char reason[256] = "the broadcast was interrupted; publish again";
	uint32_t code = IPC_FAILED;
	size_t n;

	if (recv(media, head, sizeof(head), MSG_DONTWAIT | MSG_WAITALL) == sizeof(head) &&
		head[4] == RECORD_CLOSE && (n = get_be32(head)) < sizeof(reason) &&
		recv(media, reason, n, MSG_DONTWAIT | MSG_WAITALL) == (ssize_t)n) {
		reason[n] = '\0';
		code = IPC_ENDED;
	}
	rtmp_finish(rtmp, reason);
	leave(code, reason);
}

/* The batch, and a body behind it. */
static void
pass_on(const void *body, size_t n)
{
	int64_t until = clock_mono_ms() + KEEPER_MS;
	struct iovec v[2] = { { buf_data(&batch), buf_len(&batch) }, { (void *)body, n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	size_t sent = 0, front;
	ssize_t r = sendmsg(media, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r > 0)
		sent = (size_t)r;
	front = sent < v[0].iov_len ? sent : v[0].iov_len;
	if (send_all(media, buf_data(&batch) + front, v[0].iov_len - front, until) < 0 ||
		(n && send_all(media, (const uint8_t *)body + (sent - front), n - (sent - front), until) < 0))
		keeper_gone();
	buf_clear(&batch);
}

static void
put_record(uint8_t type, uint32_t timestamp, const void *body, size_t n)
{
	uint8_t head[RECORD_HEADER] = { 0 };
	bool fits = buf_len(&batch) + sizeof(head) + n <= BATCH_BYTES;

	put_be32(head, (uint32_t)n);
	head[4] = type;
	put_be32(head + 8, timestamp);
	buf_append(&batch, head, sizeof(head));
	if (fits)
		buf_append(&batch, body, n);
	if (batch.error)
		leave(IPC_FAILED, "no memory");
	if (!fits)
		pass_on(body, n);
}

static void
copy_text(char *to, size_t cap, const char *from)
{
	size_t n = strlen(from);

	if (n < cap)
		memcpy(to, from, n + 1);
}

static void
ask(const struct rtmp_event *e)
{
	struct ipc_ask a = { .kind = IPC_ASK };

	if (e->too_long) { /* in the words that any unknown key hears */
		rtmp_refuse(rtmp, RTMP_DENIED, "unknown key");
		leave(IPC_DENIED, "a malformed name");
	}
	copy_text(a.app, sizeof(a.app), e->app);
	copy_text(a.key, sizeof(a.key), e->key);
	copy_text(a.query, sizeof(a.query), e->query);
	copy_text(a.tcurl, sizeof(a.tcurl), e->tcurl);
	copy_text(a.client, sizeof(a.client), e->client);
	if (e->password)
		a.password = *e->password;
	if (send(door, &a, sizeof(a), MSG_NOSIGNAL) < 0)
		leave(IPC_FAILED, "the door is gone");
	explicit_bzero(&a, sizeof(a));
	asked = true;
	unpublished = false;
}

/* Many publishers: one wake for several messages is cheaper than one for each. */
static void
merge(uint32_t ms)
{
	uint32_t flow = ms ? ms : FLOW_MS;

	merge_ms = ms;
	setsockopt(STDIN_FILENO, SOL_SOCKET, SO_RCVLOWAT, &(int){ ms ? MERGED_BYTES : HEADER_ALONE + 1 },
		sizeof(int));
	setsockopt(STDIN_FILENO, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ flow / 1000, flow % 1000 * 1000 },
		sizeof(struct timeval));
}

/* What was fed, until more is needed or a verdict is. */
static void
digest(void)
{
	static const char goodbye[] = "unpublished";
	struct rtmp_event e;
	int r;

	while (!asked && (r = rtmp_next(rtmp, &e)) != 0) {
		if (r == -EACCES)
			leave(IPC_OK, "asked for user and password");
		if (r == -EMSGSIZE)
			leave(IPC_FAILED, "a message over the limit");
		if (r < 0)
			leave(IPC_FAILED, r == -ENOMEM ? "no memory" : rtmp_why(rtmp));
		if (e.kind == RTMP_PUBLISH) /* FMLE does so again on the same connection */
			ask(&e);
		else if (e.kind == RTMP_MEDIA && media >= 0)
			put_record(e.type, e.timestamp, e.body, e.size);
		if (e.kind != RTMP_UNPUBLISH || media < 0)
			continue;
		/* It hangs up itself, or publishes again. */
		put_record(RECORD_END, 0, goodbye, sizeof(goodbye) - 1);
		pass_on(NULL, 0);
		close(media);
		media = -1;
		unpublished = true;
		began_ms = clock_mono_ms();
		merge(0); /* commands are heard at once */
	}
	if (media >= 0 && buf_len(&batch))
		pass_on(NULL, 0);
	if (buf_len(rtmp_out(rtmp)) && say(clock_mono_ms() + DRAIN_MS) < 0)
		leave(IPC_FAILED, "the connection broke");
}

/* A front end's header is whole: the door hears who is behind it. */
static void
take_proxy(void)
{
	struct ipc_peer m = { .kind = IPC_PEER };
	struct proxy p;

	hello.proxied = 0;
	if (proxy_parse(proxy_head, proxy_len, &p) < 0)
		leave(IPC_FAILED, "a malformed PROXY header");
	if (!p.known)
		return;
	memcpy(m.ip, p.ip, sizeof(m.ip));
	memcpy(m.local_ip, p.local_ip, sizeof(m.local_ip));
	m.port = p.port;
	m.local_port = p.local_port;
	if (send(door, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		leave(IPC_FAILED, "the door is gone");
}

static void
listen_to_front_end(void)
{
	int want = proxy_want(proxy_head, proxy_len);
	ssize_t n = recv(STDIN_FILENO, proxy_head + proxy_len, (size_t)want, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		leave(IPC_OK, "the connection was closed");
	proxy_len += (size_t)n;
	if ((want = proxy_want(proxy_head, proxy_len)) < 0)
		leave(IPC_FAILED, "no PROXY header");
	if (want == 0)
		take_proxy();
}

/* What recv gave; true when there is more, perhaps. */
static bool
take_bytes(ssize_t n)
{
	if (n <= 0)
		leave(IPC_OK, n ? "the connection broke" : "the connection was closed");
	heard_ms = clock_mono_ms();
	rtmp_feed(rtmp, input, (size_t)n);
	digest();
	return n == sizeof(input);
}

/* True when there is more, perhaps. */
static bool
listen_to_peer(void)
{
	ssize_t n;

	if (hello.proxied) {
		listen_to_front_end();
		return false;
	}
	n = recv(STDIN_FILENO, input, sizeof(input), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	flowing = media >= 0;
	return take_bytes(n);
}

static void
read_more(void)
{
	int i;

	for (i = 0; i < MERGED_BYTES / READ_BYTES && !asked; i++) /* what waits for a verdict stays in input */
		if (!listen_to_peer())
			break;
}

/* A packet of the door, which is trusted; a descriptor may come with it. */
static void
listen_to_door(void)
{
	union {
		uint32_t kind;
		struct ipc_verdict verdict;
		struct ipc_close close;
		struct ipc_merge merge;
		struct ipc_reconnect reconnect;
	} m;
	int fd;
	ssize_t n = passfd_recv(door, &m, sizeof(m), &fd);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0 && media >= 0) { /* the door died; this broadcast goes on */
		close(door);
		door = -1;
		return;
	}
	if (n <= 0)
		leave(IPC_FAILED, "the door is gone");
	if (m.kind == IPC_CLOSE) {
		if (asked)
			rtmp_refuse(rtmp, RTMP_FAILED, m.close.reason);
		rtmp_finish(rtmp, m.close.reason);
		leave(m.close.code, m.close.reason);
	}
	if (m.kind == IPC_MERGE && media >= 0)
		merge(m.merge.ms);
	if (m.kind == IPC_RECONNECT && media >= 0 && rtmp_reconnect(rtmp, m.reconnect.reason) &&
		say(clock_mono_ms() + DRAIN_MS) < 0)
		leave(IPC_FAILED, "the connection broke");
	if (m.kind != IPC_VERDICT || !asked)
		return;
	if (!m.verdict.allow) {
		rtmp_refuse(rtmp, m.verdict.code == IPC_BAD_NAME ? RTMP_BAD_NAME
				: m.verdict.code == IPC_DENIED ? RTMP_DENIED : RTMP_FAILED, m.verdict.reason);
		leave(m.verdict.code, m.verdict.reason);
	}
	if ((media = fd) < 0)
		leave(IPC_FAILED, "no way to the keeper");
	asked = false;
	heard_ms = clock_mono_ms();
	merge(m.verdict.merge_ms);
	rtmp_allow(rtmp);
	digest();
}

static int
next_wait(int64_t now)
{
	int64_t until = media < 0 ? began_ms + hello.publish_ms : heard_ms + hello.silence_ms;

	if (now < until)
		return (int)(until - now);
	if (unpublished)
		leave(IPC_OK, "unpublished");
	if (media < 0)
		leave(IPC_FAILED, "nothing was published in time");
	leave(IPC_FAILED, "the publisher fell silent");
}

/* What was read while the call waited: false when nothing came within FLOW_MS, or it is time to look around. */
static bool
read_flow(void)
{
	ssize_t n;

	if (!flowing || media < 0 || heard_ms >= looked_ms + LOOK_MS)
		return false;
	n = recv(STDIN_FILENO, input, sizeof(input), 0);
	if (n < 0 && errno == EINTR)
		return true;
	flowing = n > 0;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (take_bytes(n))
		read_more();
	return true;
}

/*
 * One wait: for the peer, the door, the keeper, or a time-out.  While media flows it is for the peer
 * alone, in the call that reads; the door has little to say then, and the keeper that has closed its
 * end is met when something is passed on.
 */
static void
turn(void)
{
	struct pollfd p[3] = { { STDIN_FILENO, asked ? 0 : POLLIN, 0 }, { door, POLLIN, 0 },
		{ media, POLLIN, 0 } };
	int wait, r;
	bool merges;

	if (read_flow())
		return;
	looked_ms = clock_mono_ms();
	wait = next_wait(looked_ms);
	merges = media >= 0 && merge_ms && (int)merge_ms < wait;
	r = poll(p, 3, merges ? (int)merge_ms : wait);
	if (r < 0 && errno == EINTR)
		return;
	if (r == 0 && merges)
		read_more();
	if (p[2].revents)
		keeper_gone();
	if (p[1].revents)
		listen_to_door();
	if (p[0].revents & (asked ? POLLHUP | POLLERR : POLLIN | POLLHUP | POLLERR)) {
		if (asked)
			leave(IPC_OK, "the connection was closed");
		listen_to_peer();
	}
}

int
main(void)
{
	static const char warn[] = "rtmp-session: warning: no full sandbox on this kernel\n";
	int r;

	lean();
	if (recv(IPC_FD, &hello, sizeof(hello), 0) != sizeof(hello) || hello.kind != IPC_HELLO)
		return 64;
	if (hello.merge_ms) /* sessions wake together */
		prctl(PR_SET_TIMERSLACK, hello.merge_ms * 1000000ul / 4);
	syscall(SYS_close_range, IPC_FD + 1, ~0U, 0); /* whatever a careless parent left open */
	hello.play_url[sizeof(hello.play_url) - 1] = '\0';
	if ((r = jail_enter((int)hello.sandbox, calls, sizeof(calls) / sizeof(*calls), options,
		     sizeof(options) / sizeof(*options), MEMORY_MAX)) < 0 &&
		write(STDERR_FILENO, warn, sizeof(warn) - 1) < 0)
		return 71;
	if (rtmp_new(&rtmp, hello.max_message, hello.play_url) < 0)
		return 71;
	hello.adobe.now_s = clock_wall_ms() / 1000;
	rtmp_ask_password(rtmp, &hello.adobe);
	rtmp_codecs(rtmp, hello.codecs);
	began_ms = heard_ms = clock_mono_ms();
	for (;;)
		turn();
}
