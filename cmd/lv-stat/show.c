#include "show.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "json.h"

#define LINE_MAX_BYTES 1024

/* ---- for people ---- */

static void
put_line(struct buf *b, int width, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Streams, units and problems are ASCII: a byte is a column. */
static void
put_line(struct buf *b, int width, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line))
		n = (int)sizeof(line) - 1;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	if (width && n > width)
		n = width;
	buf_append(b, line, (size_t)n);
	buf_append(b, "\n", 1);
}

static const char *
figure(char text[16], const char *fmt, double value, double factor)
{
	if (isnan(value))
		return "-";
	if (!strcmp(fmt, "%d"))
		snprintf(text, 16, "%" PRId64, (int64_t)(value * factor + 0.5));
	else
		snprintf(text, 16, "%.*f", fmt[2] - '0', value * factor);
	return text;
}

static const char *
uptime(char text[16], double start_s, int64_t now_ms)
{
	int64_t s = (int64_t)((double)now_ms / 1000 - start_s);

	if (isnan(start_s) || s < 0)
		return "-";
	if (s < 86400)
		snprintf(text, 16, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
	else
		snprintf(text, 16, "%dd %d:%02d", (int)(s / 86400 % 10000), (int)(s / 3600 % 24), (int)(s / 60 % 60));
	return text;
}

static void
put_heading(struct buf *b, const struct board *board, int64_t now_ms, int width)
{
	char time_text[16], down[256] = "";
	time_t s = (time_t)(now_ms / 1000);
	double viewers = 0, v;
	size_t i, n = 0, up = 0;
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(time_text, sizeof(time_text), "%H:%M:%S", &tm);
	for (i = 0; i < board->nrows; i++)
		if (!isnan(v = board->rows[i]->figures[BOARD_VIEWERS]))
			viewers += v;
	for (i = 0; i < board->nunits; i++) {
		up += board->units[i].up;
		if (!board->units[i].up && n < sizeof(down))
			n += (size_t)snprintf(down + n, sizeof(down) - n, "%s%s", n ? ", " : "", board->units[i].unit);
	}
	put_line(b, width, "%s  %zu streams, %.0f publishing, %.0f viewers, %.0f in the chat; %zu of %zu commands answer%s%s",
		time_text, board->nrows, board->publishers, viewers, board->chat, up, board->nunits, n ? ", not " : "",
		down);
}

static void
put_row(struct buf *b, const struct board_row *r, int64_t now_ms, int width, int name)
{
	const double *f = r->figures;
	char t[10][16];

	put_line(b, width, "%-*.*s %-5s %9s %6s %5s %7s %6s %5s %4s %6s %6s  %s", name, name, r->stream,
		isnan(f[BOARD_LIVE]) ? "-" : f[BOARD_LIVE] > 0 ? "live" : "waits",
		uptime(t[0], f[BOARD_START_S], now_ms), figure(t[1], "%d", f[BOARD_BPS], 8.0 / 1000),
		figure(t[2], "%.1f", f[BOARD_FPS], 1), figure(t[3], "%d", f[BOARD_VIEWERS], 1),
		figure(t[4], "%d", f[BOARD_CHAT], 1), figure(t[5], "%.2f", f[BOARD_SPEED], 1),
		figure(t[6], "%d", f[BOARD_LEVEL], 1), figure(t[7], "%.1f", f[BOARD_PUBLISH_LAG_S], 1),
		figure(t[8], "%.1f", f[BOARD_S3_LAG_S], 1), r->problems);
}

void
show_table(struct buf *b, const struct board *board, int64_t now_ms, int width, int height)
{
	size_t i, room = board->nrows;
	int name = 12;

	if (height && room > (size_t)height - 2) /* a line says how many are not shown */
		room = height > 3 ? (size_t)height - 3 : 0;
	for (i = 0; i < room; i++)
		if ((int)strlen(board->rows[i]->stream) > name)
			name = (int)strlen(board->rows[i]->stream);
	if (width && name > width - 70)
		name = width > 82 ? width - 70 : 12;
	put_heading(b, board, now_ms, width);
	put_line(b, width, "%-*s %-5s %9s %6s %5s %7s %6s %5s %4s %6s %6s  %s", name, "STREAM", "STATE", "UPTIME", "KB/S",
		"FPS", "VIEWERS", "CHAT", "SPEED", "SHED", "LAG S", "S3 S", "PROBLEMS");
	for (i = 0; i < room; i++)
		put_row(b, board->rows[i], now_ms, width, name);
	if (room < board->nrows)
		put_line(b, width, "and %zu more", board->nrows - room);
}

/* ---- for programs ---- */

static void
put_number(struct json *j, const char *key, double value, double factor, int decimals)
{
	if (isnan(value))
		return;
	if (decimals)
		json_num(j, key, value * factor, decimals);
	else
		json_int(j, key, (int64_t)(value * factor + (value < 0 ? -0.5 : 0.5)));
}

/* "a,b" as ["a","b"]: the names need no escapes. */
static void
put_names(struct json *j, const char *key, const char *names)
{
	char text[2 * BOARD_PROBLEMS];
	size_t n = 0, len;

	text[n++] = '[';
	for (; *names; names += len + (names[len] == ',')) {
		len = strcspn(names, ",");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"%.*s\"", n > 1 ? "," : "", (int)len, names);
	}
	snprintf(text + n, sizeof(text) - n, "]");
	json_raw(j, key, text);
}

static void
put_object(struct buf *b, struct json *j)
{
	int n = json_end(j);

	if (n > 0) {
		buf_append(b, j->text, (size_t)n);
		buf_append(b, "\n", 1);
	}
}

static void
put_stream(struct buf *b, const struct board_row *r, const char *ts, int64_t now_ms)
{
	const double *f = r->figures;
	char text[LINE_MAX_BYTES];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "ts", ts);
	json_str(&j, "stream", r->stream);
	if (!isnan(f[BOARD_LIVE]))
		json_bool(&j, "live", f[BOARD_LIVE] > 0);
	if (!isnan(f[BOARD_START_S]))
		json_int(&j, "uptime_ms", now_ms - (int64_t)(f[BOARD_START_S] * 1000));
	put_number(&j, "kbps", f[BOARD_BPS], 8.0 / 1000, 0);
	put_number(&j, "fps", f[BOARD_FPS], 1, 1);
	put_number(&j, "gop_ms", f[BOARD_KEYS_S], 1000, 0);
	put_number(&j, "drift_ms", f[BOARD_DRIFT_S], 1000, 0);
	put_number(&j, "reconnects", f[BOARD_RECONNECTS], 1, 0);
	put_number(&j, "viewers", f[BOARD_VIEWERS], 1, 0);
	put_number(&j, "chat", f[BOARD_CHAT], 1, 0);
	put_number(&j, "speed", f[BOARD_SPEED], 1, 3);
	put_number(&j, "shed_level", f[BOARD_LEVEL], 1, 0);
	put_number(&j, "transcode_lag_ms", f[BOARD_LAG_S], 1000, 0);
	put_number(&j, "publish_lag_ms", f[BOARD_PUBLISH_LAG_S], 1000, 0);
	put_number(&j, "playlist_age_ms", f[BOARD_PLAYLIST_AGE_S], 1000, 0);
	put_number(&j, "s3_lag_ms", f[BOARD_S3_LAG_S], 1000, 0);
	if (!isnan(f[BOARD_LIVE]))
		put_names(&j, "problems", r->problems);
	put_object(b, &j);
}

static void
put_unit(struct buf *b, const struct board_unit *u, const char *ts, int64_t now_ms)
{
	char text[LINE_MAX_BYTES];
	struct json j;

	json_begin(&j, text, sizeof(text));
	json_str(&j, "ts", ts);
	json_str(&j, "unit", u->unit);
	json_bool(&j, "up", u->up);
	if (u->up) {
		json_str(&j, "command", u->command);
		json_str(&j, "version", u->version);
		json_int(&j, "uptime_ms", now_ms - (int64_t)(u->start_s * 1000));
		json_int(&j, "memory_bytes", (int64_t)u->memory_bytes);
		json_int(&j, "cpu_ms", (int64_t)(u->cpu_s * 1000));
	}
	put_object(b, &j);
}

void
show_json(struct buf *b, const struct board *board, int64_t now_ms)
{
	char ts[CLOCK_TEXT];
	size_t i;

	clock_text(ts, now_ms);
	for (i = 0; i < board->nunits; i++)
		put_unit(b, &board->units[i], ts, now_ms);
	for (i = 0; i < board->nrows; i++)
		put_stream(b, board->rows[i], ts, now_ms);
}
