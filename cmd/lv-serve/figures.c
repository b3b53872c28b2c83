#include "figures.h"

#include <stdio.h>
#include <string.h>

#define STATUSES 24 /* that we ever answer with; more are told as 0 */

enum kind { PLAYLIST, MEDIA, OTHER, KINDS };
static const char *const kinds[KINDS] = { "playlist", "media", "other" };

static struct {
	unsigned status;
	uint64_t n[KINDS];
} replies[STATUSES];
static uint64_t bytes_of[KINDS];
static struct metrics_counts cuts;

static enum kind
kind_of(const char *target)
{
	static const struct {
		const char *ext;
		enum kind kind;
	} exts[] = { { ".m3u8", PLAYLIST }, { ".mpd", PLAYLIST }, { ".m4s", MEDIA }, { ".mp4", MEDIA },
		{ ".ts", MEDIA }, { ".aac", MEDIA }, { ".vtt", MEDIA } };
	size_t n = strcspn(target, "?#"), i, len;

	for (i = 0; i < sizeof(exts) / sizeof(*exts); i++) {
		len = strlen(exts[i].ext);
		if (n > len && !strncmp(target + n - len, exts[i].ext, len))
			return exts[i].kind;
	}
	return OTHER;
}

void
figures_reply(const char *target, unsigned status, uint64_t bytes)
{
	enum kind kind = kind_of(target);
	size_t i = 0;

	while (i < STATUSES - 1 && replies[i].status && replies[i].status != status)
		i++;
	if (i < STATUSES - 1)
		replies[i].status = status;
	replies[i].n[kind]++;
	bytes_of[kind] += bytes;
}

void
figures_cut(const char *why)
{
	metrics_count(&cuts, why, 1);
}

static void
tell_viewers(void *ctx, const char *stream, size_t viewers)
{
	metrics_sample(ctx, (double)viewers, "stream", stream, NULL);
}

void
figures_fill(struct metrics *m, const struct httpd *httpd, const struct viewers *viewers)
{
	char code[12];
	size_t i, k;

	metrics_gauge(m, "lv_http_connections", (double)httpd_connections(httpd), "Connections that are open.");
	metrics_gauge(m, "lv_http_requests_in_flight", (double)httpd_in_flight(httpd),
		"Requests that are being answered.");
	metrics_family(m, "lv_http_requests_total", METRICS_COUNTER, "Requests, by what was asked for and the answer.");
	for (i = 0; i < STATUSES; i++)
		for (k = 0; k < KINDS; k++)
			if (replies[i].n[k]) {
				snprintf(code, sizeof(code), "%u", replies[i].status);
				metrics_sample(m, (double)replies[i].n[k], "kind", kinds[k], "code", code, NULL);
			}
	metrics_family(m, "lv_http_response_bytes_total", METRICS_COUNTER, "Bodies of the answers, as they were begun.");
	for (k = 0; k < KINDS; k++)
		metrics_sample(m, (double)bytes_of[k], "kind", kinds[k], NULL);
	metrics_family(m, "lv_http_clients_cut_total", METRICS_COUNTER, "Clients that were cut off.");
	metrics_counted(m, &cuts, "reason", NULL);
	metrics_family(m, "lv_viewers", METRICS_GAUGE, "Who asked for a playlist in the last 30 seconds.");
	viewers_each(viewers, tell_viewers, m);
}
