/*
 * keepers plays COUNT keepers of broadcasts for a door that adopts them: keepers COUNT, in the door's run
 * directory, which has to be empty.  To the door they are as real ones, and cost nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../cmd/rtmp-accept/ipc.h"
#include "clock.h"

static int
listen_as(const char *stream)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s.sock", stream);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 1) < 0)
		return -errno;
	return fd;
}

/* The door has come and says who it is; it is told of a publisher. */
static void
tell(int fd, int i)
{
	struct keep_state s = { .kind = KEEP_STATE, .version = KEEP_VERSION, .publishing = 1, .epoch = 1, .kbps = 2500 + (uint32_t)i, .fps_tenths = 299,
		.origin_ms = clock_wall_ms() - 60000 - i, .since_ms = clock_wall_ms() - i, .problems = (uint32_t)(i % 8 == 0),
		.figures = { .bytes = 123456789 + i, .pictures = 1800 + i, .sounds = 2800 + i, .sessions = 1, .gop_ms = 2000,
			.drift_ms = i % 50, .av_gap_ms = i % 20 } };
	uint8_t attach[KEEP_MAX];

	snprintf(s.stream, sizeof(s.stream), "stream-%d", i);
	snprintf(s.broadcast, sizeof(s.broadcast), "01k%07d", i);
	snprintf(s.session, sizeof(s.session), "session-%d", i);
	if (recv(fd, attach, sizeof(attach), 0) > 0)
		send(fd, &s, sizeof(s), MSG_NOSIGNAL);
}

int
main(int argc, char **argv)
{
	int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0, i, fd;
	struct rlimit lim;
	struct pollfd *p;
	char stream[65];

	if (count < 1 || count > 10000 || !(p = calloc((size_t)count, sizeof(*p)))) {
		fprintf(stderr, "usage: keepers COUNT\n");
		return 64;
	}
	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	for (i = 0; i < count; i++) {
		snprintf(stream, sizeof(stream), "stream-%d", i);
		p[i].events = POLLIN;
		if ((p[i].fd = listen_as(stream)) < 0) {
			fprintf(stderr, "keepers: %s: %s\n", stream, strerror(-p[i].fd));
			return 73;
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(p, (nfds_t)count, -1) < 0)
			continue;
		for (i = 0; i < count; i++)
			if (p[i].revents && (fd = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
				tell(fd, i); /* and it stays open */
	}
}
