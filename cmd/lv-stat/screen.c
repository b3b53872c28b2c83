#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "fdio.h"
#include "show.h"

#define SAY(text) (void)fdio_write_all(STDOUT_FILENO, text, sizeof(text) - 1)

static struct termios before;
static int keys = -1; /* where they are typed */

/* The other screen, which is left as it was found; the cursor away, no wrapping of long lines. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l", leave[] = "\033[?7h\033[?25h\033[?1049l";

int
screen_open(void)
{
	struct termios raw;

	if (!isatty(STDOUT_FILENO))
		return -ENOTTY;
	keys = isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
	if (keys >= 0) {
		if (tcgetattr(keys, &before) < 0)
			return -errno;
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* Ctrl-C stays a signal */
		tcsetattr(keys, TCSANOW, &raw);
	}
	SAY(enter);
	return 0;
}

/*
 * One write a picture, over the one before, each line cleared behind its end: nothing is ever blank
 * in between.
 */
void
screen_draw(const struct board *board, int64_t now_ms)
{
	struct buf table = { 0 }, out = { 0 };
	struct winsize size = { 0 };
	const char *p, *end;
	int height;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
		size = (struct winsize){ .ws_col = 80, .ws_row = 24 };
	height = size.ws_row;
	show_table(&table, board, now_ms, size.ws_col - 1, height); /* in the last column clearing would clear it */
	buf_printf(&out, "\033[H");
	p = (const char *)buf_data(&table);
	for (; p && height && (end = memchr(p, '\n', buf_len(&table) - (size_t)(p - (const char *)buf_data(&table))));
		p = end + 1, height--) {
		buf_append(&out, p, (size_t)(end - p));
		buf_printf(&out, height > 1 ? "\033[K\n" : "\033[K");
	}
	buf_printf(&out, "\033[J");
	(void)fdio_write_all(STDOUT_FILENO, buf_data(&out), buf_len(&out));
	buf_free(&table);
	buf_free(&out);
}

void
screen_close(void)
{
	SAY(leave);
	if (keys >= 0)
		tcsetattr(keys, TCSANOW, &before);
}
