/* fdio: inherited descriptors keep their flags; a live output that nobody takes is a stall. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fdio.h"
#include "sig.h"

static char block[256 << 10];

static void
a_reader_that_takes_nothing_is_a_stall_when_live(void **state)
{
	struct output o;
	int p[2], r = 0, i;
	int64_t t;

	(void)state;
	setenv("LV_LIVE", "1", 1);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(output_open(&o, p[1], 200), 0);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	t = clock_mono_ms();
	for (i = 0; i < 100 && r == 0; i++)
		r = output_write(&o, block, sizeof(block));
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(clock_mono_ms() - t >= 200);
	output_close(&o);
	close(p[0]);
	close(p[1]);
	unsetenv("LV_LIVE");
}

static void
a_reader_that_has_gone_is_epipe(void **state)
{
	int p[2], s[2];
	struct output o;

	(void)state;
	sig_setup();
	assert_int_equal(pipe(p), 0);
	assert_int_equal(output_open(&o, p[1], 200), 0);
	close(p[0]);
	assert_int_equal(output_write(&o, "x", 1), -EPIPE);
	output_close(&o);
	close(p[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(output_open(&o, s[1], 200), 0);
	assert_int_equal(output_write(&o, "x", 1), 0);
	close(s[0]);
	assert_int_equal(output_write(&o, "x", 1), -EPIPE);
	output_close(&o);
	close(s[1]);
}

static void
reading_wakes_for_a_drain_and_gives_up_in_time(void **state)
{
	char b[8];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(input_read(p[0], b, sizeof(b), 30), -EAGAIN);
	assert_int_equal(write(p[1], "abc", 3), 3);
	assert_int_equal(input_read(p[0], b, sizeof(b), -1), 3);
	assert_int_equal(sig_drain_left_ms(), -1);
	raise(SIGTERM);
	assert_true(sig_draining());
	assert_in_range(sig_drain_left_ms(), 1, SIG_DRAIN_MS);
	assert_int_equal(write(p[1], "de", 2), 2); /* what still comes is still read */
	assert_int_equal(input_read(p[0], b, sizeof(b), -1), 2);
	close(p[1]);
	assert_int_equal(input_read(p[0], b, sizeof(b), -1), 0);
	close(p[0]);
}

/* As a user whose pipes have used up what fs.pipe-user-pages-soft lets them have; 77: they have not. */
static int
use_up_pipes(int said)
{
	const struct rlimit many = { 8192, 8192 };
	int p[2] = { -1, -1 }, i;
	char b[8];

	if (setrlimit(RLIMIT_NOFILE, &many) < 0 || (getuid() == 0 && setresuid(65534, 65534, 65534) < 0))
		return 77;
	for (i = 0; i < 3000 && pipe(p) == 0 && fcntl(p[1], F_GETPIPE_SZ) >= 65536; i++)
		;
	if (fcntl(p[1], F_GETPIPE_SZ) >= 65536 || p[0] < 0)
		return 77;
	dup2(said, STDERR_FILENO);
	fdio_pipe_grow(p[1]);
	fdio_pipe_grow(p[1]); /* said once */
	return write(p[1], "media", 5) == 5 && read(p[0], b, sizeof(b)) == 5 ? 0 : 1;
}

static void
a_pipe_smaller_than_asked_is_said_once_and_used(void **state)
{
	char text[1024] = "";
	int p[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	if (!(pid = fork()))
		_exit(use_up_pipes(p[1]));
	close(p[1]);
	n = read(p[0], text, sizeof(text) - 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(p[0]);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* no such limit here */
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(n > 0);
	assert_non_null(strstr(text, "KB instead of 256: raise the limit with \"sysctl fs.pipe-user-pages-soft=0\""));
	assert_null(strstr(strchr(text, '\n') + 1, "KB instead of"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_takes_nothing_is_a_stall_when_live),
		cmocka_unit_test(a_reader_that_has_gone_is_epipe),
		cmocka_unit_test(a_pipe_smaller_than_asked_is_said_once_and_used),
		cmocka_unit_test(reading_wakes_for_a_drain_and_gives_up_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
