#include "health.h"

#include <string.h>

#define STOPPED (1U << HEALTH_STALLED | 1U << HEALTH_VIDEO_STOPPED | 1U << HEALTH_AUDIO_STOPPED)
#define EASED_PERCENT 75 /* of a threshold: below that it is over */

const char *const health_names[HEALTH_PROBLEMS] = { "stalled", "video-stopped", "audio-stopped",
	"key-frames-rare", "frames-missing", "sound-and-picture-apart", "clock-drift", "bitrate-over", "time-short" };

const char *const health_advice[HEALTH_PROBLEMS] = {
	"nothing arrives; the way from the encoder is interrupted",
	"sound arrives, pictures do not",
	"pictures arrive, sound does not",
	"key frames are over four seconds apart, so players start late; set their interval to 2 s",
	"the encoder sends fewer pictures than it did; it, or the line, is overloaded",
	"the times of sound and picture are far apart",
	"the encoder's clock and ours run apart",
	"more is sent than this key allows; lower the encoder's bitrate",
	"this key is good for another minute",
};

static int64_t
size_of(int64_t v)
{
	return v < 0 ? -v : v;
}

static void
begin_period(struct health *h, int64_t now)
{
	h->since = now;
	h->bytes = h->pictures = h->gop_ms = 0;
	h->b_frames = h->gapped = h->broken = false;
	h->ahead = INT64_MIN;
}

void
health_begin(struct health *h, int64_t now, int64_t period_ms, int64_t max_kbps, int64_t until)
{
	memset(h, 0, sizeof(*h));
	h->period_ms = period_ms;
	h->max_kbps = max_kbps;
	h->until = until;
	h->heard = now;
	begin_period(h, now);
}

void
health_bytes(struct health *h, int64_t now, int64_t n)
{
	h->heard = now;
	h->bytes += n;
}

/* The time between key frames, as long as it has become. */
static void
count_gop(struct health *h, bool key, int64_t dts)
{
	int64_t gop = dts - h->key_dts;

	if (h->keyed && key) {
		h->last_gop = gop;
		if (gop > h->gop_ms)
			h->gop_ms = gop;
	}
	if (key) {
		h->key_dts = dts;
		h->keyed = true;
	}
}

void
health_frame(struct health *h, bool video, bool key, int64_t dts, int32_t cts, int64_t line_now)
{
	int64_t gap;

	h->newest[video] = dts;
	h->seen[video] = true;
	if (video) {
		h->pictures++;
		h->b_frames |= cts > 0;
		count_gop(h, key, dts);
	}
	if (h->seen[0] && h->seen[1]) {
		gap = h->newest[1] - h->newest[0];
		if (!h->gapped || size_of(gap) < size_of(h->gap))
			h->gap = gap;
		h->gapped = true;
	}
	if (dts - line_now > h->ahead) /* what was least on its way tells the clock best */
		h->ahead = dts - line_now;
}

void
health_jump(struct health *h)
{
	h->based = h->keyed = false;
	h->seen[0] = h->seen[1] = false;
	h->gapped = false;
	h->ahead = INT64_MIN;
	h->last_gop = 0;
}

static void
judge(struct health *h, enum health_problem p, int64_t value, int64_t threshold, unsigned *is)
{
	if (value > (h->problems & 1U << p ? threshold * EASED_PERCENT / 100 : threshold))
		*is |= 1U << p;
	else
		*is &= ~(1U << p);
}

/* What is seen at once. */
static void
look_now(struct health *h, int64_t now, unsigned *is)
{
	bool both = h->seen[0] && h->seen[1];
	int64_t open = h->keyed ? h->newest[1] - h->key_dts : 0;

	judge(h, HEALTH_STALLED, now - h->heard, HEALTH_QUIET_MS, is);
	judge(h, HEALTH_VIDEO_STOPPED, both ? h->newest[0] - h->newest[1] : 0, HEALTH_QUIET_MS, is);
	judge(h, HEALTH_AUDIO_STOPPED, both ? h->newest[1] - h->newest[0] : 0, HEALTH_QUIET_MS, is);
	judge(h, HEALTH_TIME_SHORT, h->until && now > h->until - HEALTH_TIME_MS, 0, is);
	h->broken |= (*is & STOPPED) != 0;
	judge(h, HEALTH_KEYS_RARE, open > h->last_gop ? open : h->last_gop, HEALTH_GOP_MS, is);
}

/* What takes a period to be seen. */
static void
look_back(struct health *h, const struct health_report *r, unsigned *is)
{
	if (r->fps > h->best_fps)
		h->best_fps = r->fps;
	judge(h, HEALTH_FRAMES_MISSING, h->broken ? 0 : (int64_t)((h->best_fps - r->fps) * 1000),
		(int64_t)(h->best_fps * 250), is);
	judge(h, HEALTH_APART, r->both && !h->broken ? size_of(r->av_gap_ms) : 0, HEALTH_APART_MS, is);
	judge(h, HEALTH_DRIFT, size_of(r->drift_ms), HEALTH_DRIFT_MS, is);
	if (h->max_kbps && r->kbps > h->max_kbps * HEALTH_OVER_PERCENT / 100)
		h->over++;
	else
		h->over = 0;
	judge(h, HEALTH_BITRATE_OVER, h->over, 0, is);
}

static void
report(struct health *h, int64_t ms, struct health_report *r)
{
	*r = (struct health_report){ .kbps = h->bytes * 8 / ms, .gop_ms = h->gop_ms,
		.fps = (double)h->pictures * 1000 / (double)ms, .b_frames = h->b_frames, .both = h->gapped,
		.av_gap_ms = h->gapped ? h->gap : 0 };
	if (h->ahead == INT64_MIN)
		return;
	if (!h->based)
		h->drift_base = h->ahead;
	h->based = true;
	r->ahead_ms = h->ahead;
	r->drift_ms = h->ahead - h->drift_base;
}

bool
health_look(struct health *h, int64_t now, struct health_report *r, unsigned *began, unsigned *ended)
{
	unsigned is = h->problems;
	bool whole = now - h->since >= h->period_ms;
	int i;

	look_now(h, now, &is);
	if (whole) {
		report(h, now - h->since, r);
		look_back(h, r, &is);
		begin_period(h, now);
	}
	*began = is & ~h->problems;
	*ended = h->problems & ~is;
	h->problems = is;
	for (i = 0; i < HEALTH_PROBLEMS; i++)
		if (*began & 1U << i)
			h->began[i] = now;
	return whole;
}
