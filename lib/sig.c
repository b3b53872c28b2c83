#include "sig.h"

#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "clock.h"

static volatile sig_atomic_t asked;
static int64_t asked_at; /* monotonic ms, taken when the drain is first noticed */

static void
on_drain(int signo)
{
	if (asked)
		_exit(128 + signo);
	asked = 1;
}

static void
on_pipe(int signo)
{
	(void)signo;
}

static void
catch(int signo, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigemptyset(&sa.sa_mask);
	sigaction(signo, &sa, NULL); /* no SA_RESTART: a waiting read has to notice */
}

void
sig_pipe(void)
{
	catch(SIGPIPE, on_pipe);
}

void
sig_setup(void)
{
	sig_pipe();
	catch(SIGTERM, on_drain);
	catch(SIGINT, on_drain);
}

bool
sig_draining(void)
{
	return asked != 0;
}

int
sig_drain_left_ms(void)
{
	int64_t left;

	if (!asked)
		return -1;
	if (!asked_at)
		asked_at = clock_mono_ms();
	left = asked_at + SIG_DRAIN_MS - clock_mono_ms();
	return left > 0 ? (int)left : 0;
}
