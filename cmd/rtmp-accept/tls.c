/*
 * rtmp-tls HOW CERT KEY [proxy]: one RTMPS connection, its session behind it.  The connection is descriptor
 * 0, the session descriptor 3, and why there was no handshake is said on descriptor 1; the files that CERT and KEY name are descriptors 4 and 5, opened by
 * the door, which does not read them.  HOW is the sandbox: on, off or log; or "check", which looks
 * at the files alone.  With "proxy" a front end's header comes before TLS; the session gets it first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "die.h"
#include "jail.h"
#include "lean.h"
#include "proxy.h"
#include "tls.h"

#define SESSION 3
#define CERT_FILE "/proc/self/fd/4"
#define KEY_FILE "/proc/self/fd/5"
#define RECORD (16 << 10)
#define LINGER_MS 1000
#define MEMORY_MAX (128 << 20)

static const int calls[] = { SYS_read, SYS_write, SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll, SYS_shutdown, SYS_close, SYS_clock_gettime, SYS_gettimeofday, SYS_brk, SYS_mmap,
	SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_futex, SYS_getrandom, SYS_getpid,
	SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_restart_syscall };

/* A record with nothing but a message's header is 34 bytes; what waits for an answer is longer than this. */
#define HEADER_ALONE 40
static const struct jail_option wake_at = { SOL_SOCKET, SO_RCVLOWAT };

static struct tls *tls;
static struct buf in, out; /* from the network, and to it */
static short read_wants, write_wants; /* what TLS waits for at the socket; 0: nothing, try */
static bool peer_ended, session_ended;

static struct tls *
take_certificate(char **argv)
{
	const char *path, *why, *option, *name;
	struct tls *t;
	int r = tls_new(&t, CERT_FILE, KEY_FILE, &path, &why);

	if (r == 0)
		return t;
	option = strcmp(path, KEY_FILE) ? "--cert" : "--key";
	name = strcmp(path, KEY_FILE) ? argv[2] : argv[3];
	if (why)
		die(EX_CONFIG, 0, "%s %s: %s", option, name, why);
	if (r == -EPERM)
		die(EX_NOPERM, 0, "%s %s: everybody may read it; chmod o= it", option, name);
	die(EX_NOINPUT, r, "%s %s", option, name);
}

static _Noreturn void
fail(const char *why)
{
	if (write(STDOUT_FILENO, why, strlen(why)) < 0)
		_exit(EX_OSERR);
	_exit(EX_PROTOCOL);
}

/* Waits for the connection, or for the session to be tired of that. */
static void
wait_for(short events)
{
	struct pollfd p[2] = { { STDIN_FILENO, events, 0 }, { SESSION, 0, 0 } };

	if (poll(p, 2, -1) < 0 && errno != EINTR)
		fail("cannot wait");
	if (p[1].revents)
		fail("not in time");
}

static void
take_proxy(void)
{
	uint8_t head[PROXY_MAX];
	size_t len = 0;
	ssize_t n;
	int want;

	while ((want = proxy_want(head, len)) > 0) {
		n = recv(STDIN_FILENO, head + len, (size_t)want, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno == ECONNRESET)
			_exit(EX_OK);
		else if (errno == EAGAIN)
			wait_for(POLLIN);
		else if (errno != EINTR)
			fail("the connection was closed");
	}
	if (want < 0)
		fail("no PROXY header");
	buf_append(&in, head, len);
	wait_for(POLLIN);
}

static void
shake_hands(void)
{
	uint8_t first;
	ssize_t n = recv(STDIN_FILENO, &first, 1, MSG_PEEK | MSG_DONTWAIT);
	int r;

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		_exit(EX_OK); /* a look at our health */
	if (n == 1 && first == 3)
		fail("RTMP without TLS");
	while ((r = tls_handshake(tls)) != 1) {
		if (r != -EAGAIN)
			fail(r == -EPROTO ? tls_why(tls) : "the connection was closed");
		wait_for(tls_wants(tls));
	}
}

/*
 * What the peer sends, decrypted, as far as the session takes it.  Publishers send a message's header
 * and its body in records of their own: they are passed on together.
 */
static void
pass_in(void)
{
	bool old = buf_len(&in) > 0; /* which the session has not taken yet */
	uint8_t *room;
	ssize_t n;

	while (!old && !peer_ended && !read_wants && buf_len(&in) < RECORD && (room = buf_reserve(&in, RECORD))) {
		n = tls_read(tls, room, RECORD);
		if (n > 0)
			buf_grew(&in, (size_t)n);
		else if (n == -EAGAIN)
			read_wants = tls_wants(tls);
		else
			peer_ended = true; /* with a good-bye or without: RTMP has its own */
	}
	while (buf_len(&in)) {
		n = send(SESSION, buf_data(&in), buf_len(&in), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			buf_clear(&in); /* it has left: its last words are on their way */
		else
			buf_consume(&in, (size_t)n);
	}
}

static void
pass_out(void)
{
	uint8_t *room;
	ssize_t n;

	if (!session_ended && !buf_len(&out) && (room = buf_reserve(&out, RECORD))) {
		n = recv(SESSION, room, RECORD, MSG_DONTWAIT);
		if (n > 0)
			buf_grew(&out, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			session_ended = true;
	}
	while (buf_len(&out) && !write_wants) {
		n = tls_write(tls, buf_data(&out), buf_len(&out));
		if (n > 0)
			buf_consume(&out, (size_t)n);
		else if (n == -EAGAIN)
			write_wants = tls_wants(tls);
		else
			_exit(EX_OK);
	}
}

/* The session has ended: as it would do itself, so that its reason is read before the reset. */
static _Noreturn void
end(void)
{
	int64_t until = clock_mono_ms() + LINGER_MS, now;
	uint8_t away[RECORD];
	ssize_t n;

	tls_shut(tls);
	close(SESSION);
	shutdown(STDIN_FILENO, SHUT_WR);
	while ((now = clock_mono_ms()) < until) {
		struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

		if (poll(&p, 1, (int)(until - now)) < 0 && errno != EINTR)
			break;
		n = recv(STDIN_FILENO, away, sizeof(away), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
	_exit(EX_OK);
}

static void
turn(void)
{
	struct pollfd p[2] = { { STDIN_FILENO, 0, 0 }, { SESSION, 0, 0 } };

	pass_in();
	pass_out();
	if (session_ended && !buf_len(&out))
		end();
	if (peer_ended && !buf_len(&in))
		shutdown(SESSION, SHUT_WR);
	if (!peer_ended && !buf_len(&in) && !read_wants)
		return; /* more may be decrypted already */
	p[0].events = (short)((buf_len(&in) ? 0 : read_wants) | (buf_len(&out) ? write_wants : 0));
	p[1].events = (short)((buf_len(&in) ? POLLOUT : 0) | (buf_len(&out) ? 0 : POLLIN));
	if (peer_ended && !buf_len(&out))
		p[0].fd = -1; /* it would be readable for ever */
	if (poll(p, 2, -1) < 0 && errno != EINTR)
		_exit(EX_OSERR);
	if (p[0].revents)
		read_wants = write_wants = 0;
}

int
main(int argc, char **argv)
{
	int how;

	die_prog = "rtmp-accept";
	if (argc != 4 && argc != 5)
		die(EX_USAGE, 0, "rtmp-tls is started by rtmp-accept");
	tls = take_certificate(argv);
	if (!strcmp(argv[1], "check"))
		return EX_OK;
	die_prog = "rtmp-tls";
	syscall(SYS_close_range, SESSION + 1, ~0U, 0); /* the files, and what a careless parent left open */
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	if (tls_open(tls, STDIN_FILENO) < 0)
		die(EX_OSERR, -ENOMEM, "cannot begin");
	how = strcmp(argv[1], "on") ? strcmp(argv[1], "log") ? 0 : 2 : 1;
	if (jail_enter(how, calls, sizeof(calls) / sizeof(*calls), &wake_at, 1, MEMORY_MAX) < 0)
		warning(0, "no full sandbox on this kernel");
	if (argc == 5)
		take_proxy();
	shake_hands();
	setsockopt(STDIN_FILENO, wake_at.level, wake_at.name, &(int){ HEADER_ALONE + 1 }, sizeof(int));
	for (;;)
		turn();
}
