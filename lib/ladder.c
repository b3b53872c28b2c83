#include "ladder.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

#define KBPS_MAX 1000000
#define NEAR_FPS 0.05 /* of the ceiling: 30.3 a second are 30 */

static int wrong(char why[LADDER_WHY], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
wrong(char why[LADDER_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, LADDER_WHY, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A whole number from min to max that ends the text, or what follows it begins with unit. */
static bool
whole(const char *s, const char *unit, long min, long max, int *to)
{
	char *end;
	long n;

	if (*s < '0' || *s > '9')
		return false;
	n = strtol(s, &end, 10);
	if (strcmp(end, unit) || n < min || n > max)
		return false;
	*to = (int)n;
	return true;
}

static bool
rate(const char *s, int *kbps)
{
	if (!strcmp(s, "-")) {
		*kbps = 0;
		return true;
	}
	return whole(s, "k", 1, KBPS_MAX, kbps);
}

static bool
size(char *s, struct rung *r)
{
	char *at = strchr(s, '@'), *x, *end;

	if (at) {
		*at++ = '\0';
		r->fps = strtod(at, &end);
		if (end == at || *end || !(r->fps >= 1 && r->fps <= 1000))
			return false;
	}
	if (!(x = strchr(s, 'x')))
		return false;
	*x++ = '\0';
	return whole(s, "", 16, LADDER_SIDE_MAX, &r->width) && whole(x, "", 16, LADDER_SIDE_MAX, &r->height);
}

static bool
word(const char *value, char to[33])
{
	size_t n = strlen(value);

	if (!n || n > 32)
		return false;
	memcpy(to, value, n + 1);
	return true;
}

static int
keys(char *s, struct rung *r, char why[LADDER_WHY])
{
	char *key, *value, *save = NULL;
	bool good;

	for (key = strtok_r(s, ",", &save); key; key = strtok_r(NULL, ",", &save)) {
		if (!(value = strchr(key, '=')))
			return wrong(why, "\"%.40s\" is not key=value", key);
		*value++ = '\0';
		if (!strcmp(key, "encoder"))
			good = word(value, r->encoder);
		else if (!strcmp(key, "preset"))
			good = word(value, r->preset);
		else if (!strcmp(key, "profile"))
			good = word(value, r->profile);
		else if (!strcmp(key, "gop"))
			good = whole(value, "", 100, 60000, &r->gop_ms);
		else if (!strcmp(key, "threads"))
			good = whole(value, "", 1, 64, &r->threads);
		else if (!strcmp(key, "latency"))
			good = (r->low_latency = !strcmp(value, "low")) || !strcmp(value, "normal");
		else
			return wrong(why, "there is no key \"%.40s\": encoder, preset, profile, gop, "
				"latency, threads", key);
		if (!good)
			return wrong(why, "%.40s=%.40s makes no sense", key, value);
	}
	return 0;
}

int
ladder_add(struct ladder *l, const char *spec, char why[LADDER_WHY])
{
	char text[LADDER_SPEC], *part[4], *at;
	struct rung r = { .encoder = "libx264", .preset = "veryfast" };
	int i, n;

	if (l->count == LADDER_MAX) {
		wrong(why, "more than %d rungs", LADDER_MAX);
		return -E2BIG;
	}
	if (strlen(spec) >= sizeof(text))
		return wrong(why, "longer than %d characters", LADDER_SPEC - 1);
	memcpy(text, spec, strlen(spec) + 1);
	memcpy(r.spec, spec, strlen(spec) + 1);
	r.source = !strcmp(text, "source");
	at = strchr(text, '=');
	if (at)
		*at++ = '\0';
	if (!r.source && (!at || !mark_stream_name(text) || strlen(text) >= sizeof(r.name) ||
				 !strcmp(text, "source")))
		return wrong(why, "expected \"source\" or NAME=WxH@FPS:VIDEO:AUDIO");
	memcpy(r.name, text, strlen(text) + 1);
	for (i = 0; i < l->count; i++)
		if (!strcmp(l->rung[i].name, r.name))
			return wrong(why, "there is a rung %s already", r.name);
	if (r.source) {
		l->rung[l->count++] = r;
		return 0;
	}
	for (n = 0; n < 4 && at; n++) {
		part[n] = at;
		at = n < 3 ? strchr(at, ':') : NULL;
		if (at)
			*at++ = '\0';
	}
	if (n < 3)
		return wrong(why, "expected NAME=WxH@FPS:VIDEO:AUDIO");
	if (!rate(part[1], &r.video_kbps))
		return wrong(why, "the video rate is \"%.40s\"; expected one as 2000k, or -", part[1]);
	if (!rate(part[2], &r.audio_kbps))
		return wrong(why, "the audio rate is \"%.40s\"; expected one as 128k, or -", part[2]);
	if (!r.video_kbps && !r.audio_kbps)
		return wrong(why, "neither picture nor sound");
	if ((r.video_kbps || strcmp(part[0], "-")) && !size(part[0], &r))
		return wrong(why, "the picture is \"%.40s\"; expected one as 1280x720@30", part[0]);
	if (!r.video_kbps)
		r.width = r.height = 0;
	if (n == 4 && keys(part[3], &r, why) < 0)
		return -EINVAL;
	l->rung[l->count++] = r;
	return 0;
}

int
ladder_lines(struct ladder *l, char *text, char why[LADDER_WHY])
{
	char *line, *save = NULL;
	int r;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#\r")] = '\0';
		line += strspn(line, " \t");
		line[strcspn(line, " \t")] = '\0';
		if (*line && (r = ladder_add(l, line, why)) < 0)
			return r;
	}
	return 0;
}

void
ladder_default(struct ladder *l)
{
	static const char *const usual[] = { "source", "720p=1280x720@30:2000k:128k",
		"480p=854x480@30:800k:96k" };
	char why[LADDER_WHY];
	size_t i;

	for (i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		ladder_add(l, usual[i], why);
}

static int
even(double side)
{
	return side < 2 ? 2 : 2 * (int)lround(side / 2);
}

void
ladder_decide(const struct ladder *asked, int width, int height, struct ladder *l)
{
	const struct rung *least = NULL;
	bool picture = false;
	int i;

	l->count = 0;
	for (i = 0; i < asked->count; i++) {
		struct rung r = asked->rung[i];

		if (r.video_kbps && (!least || r.width * r.height < least->width * least->height))
			least = &asked->rung[i];

		if (r.video_kbps) {
			bool turn = height > width && r.width > r.height;
			double w = turn ? r.height : r.width, h = turn ? r.width : r.height, by;

			if (width < 1 || height < 1)
				continue;
			by = w / width < h / height ? w / width : h / height;
			/* A box rounded up by a pixel (854 for 853.3) is not larger. */
			if (by > 1 && (by * width > width + 2 || by * height > height + 2))
				continue;
			r.width = even(by < 1 ? by * width : width);
			r.height = even(by < 1 ? by * height : height);
		}
		picture |= r.video_kbps || r.source;
		l->rung[l->count++] = r;
	}
	if (!picture && least && width > 0 && height > 0) { /* all are larger: the least at its size */
		l->rung[l->count] = *least;
		l->rung[l->count].width = even(width);
		l->rung[l->count++].height = even(height);
	}
}

int
ladder_divisor(double source, double ceiling)
{
	if (!(source > 0) || !(ceiling > 0))
		return 1;
	source = ceil(source / ceiling - NEAR_FPS);
	return source < 1 ? 1 : source > 1000 ? 1000 : (int)source;
}
