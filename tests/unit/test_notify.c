/* notify: the words that systemd knows, on the socket it names; messages as the journal wants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"
#include "notify.h"

/* In a process of its own, as environment and socket are looked at once. */
static int
in_child(void (*work)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int64_t now = 1000;

static void
a_life(void)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	notify_ready();
	notify_tick(now);
	notify_tick(now + 999);
	notify_tick(now + 1000);
	notify_status("%d publishers", 3);
	notify_status("%d publishers", 3);
	notify_reloading();
	notify_stopping();
}

static void
not_watched(void)
{
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_tick(now);
	notify_ready();
}

static void
expect(int fd, const char *text)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void
nothing_more(int fd)
{
	char got[256];

	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
}

static int
listening(bool abstract)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), n;

	n = snprintf(name, sizeof(name), abstract ? "@lv-notify-%ld" : "/tmp/lv-notify-%ld", (long)getpid());
	memcpy(at.sun_path, name, (size_t)n);
	if (abstract)
		at.sun_path[0] = '\0';
	unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
systemd_is_told(void **state)
{
	char got[256];
	ssize_t n;
	int i, fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		fd = listening(i);
		assert_int_equal(in_child(a_life), 0);
		if (!i)
			unlink(getenv("NOTIFY_SOCKET"));
		expect(fd, "READY=1");
		expect(fd, "WATCHDOG=1"); /* the first at once, the next after half the time */
		expect(fd, "WATCHDOG=1");
		expect(fd, "STATUS=3 publishers"); /* once */
		n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
		assert_true(n > 0);
		got[n] = '\0';
		assert_ptr_equal(strstr(got, "RELOADING=1\nMONOTONIC_USEC="), got);
		expect(fd, "STOPPING=1");
		nothing_more(fd);
		close(fd);
	}
}

static void
who_is_not_watched_gives_no_sign(void **state)
{
	int fd = listening(true);

	(void)state;
	assert_int_equal(in_child(not_watched), 0);
	expect(fd, "READY=1");
	nothing_more(fd);
	close(fd);
}

static void
nobody_is_told_where_nobody_asks(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(in_child(a_life), 0);
	setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
	assert_int_equal(in_child(a_life), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1); /* systemd in a virtual machine: not ours */
	assert_int_equal(in_child(a_life), 0);
}

static void
messages(void)
{
	complain(0, "a");
	warning(0, "b");
	die_verbose = true;
	inform("c");
}

static void
say_to(const char *journal_stream, const char *text)
{
	char got[256] = "";
	struct stat st;
	char name[64];
	int p[2], saved = dup(STDERR_FILENO);

	assert_int_equal(pipe(p), 0);
	assert_int_equal(fstat(p[1], &st), 0);
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	if (journal_stream)
		setenv("JOURNAL_STREAM", *journal_stream ? journal_stream : name, 1);
	else
		unsetenv("JOURNAL_STREAM");
	dup2(p[1], STDERR_FILENO);
	assert_int_equal(in_child(messages), 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(p[1]);
	assert_true(read(p[0], got, sizeof(got) - 1) > 0);
	close(p[0]);
	assert_string_equal(got, text);
}

/* The level in front of a line, but only where standard error is the journal itself. */
static void
the_journal_is_told_how_bad_it_is(void **state)
{
	(void)state;
	say_to("", "<3>lv: a\n<4>lv: warning: b\n<6>lv: c\n");
	say_to(NULL, "lv: a\nlv: warning: b\nlv: c\n");
	say_to("1:2", "lv: a\nlv: warning: b\nlv: c\n");
	say_to("nonsense", "lv: a\nlv: warning: b\nlv: c\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systemd_is_told),
		cmocka_unit_test(who_is_not_watched_gives_no_sign),
		cmocka_unit_test(nobody_is_told_where_nobody_asks),
		cmocka_unit_test(the_journal_is_told_how_bad_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
