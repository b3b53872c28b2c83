#include "transcode_parts.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "event.h"
#include "file.h"
#include "json.h"

static void
keep_state(const struct transcode *t)
{
	char text[LADDER_MAX * LADDER_SPEC + 512], all[LADDER_MAX * LADDER_SPEC + 16];
	struct json j;
	size_t n = 0;
	int i, r;

	if (t->how.state < 0)
		return;
	*all = '\0';
	for (i = 0; i < t->how.asked.count; i++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? " " : "",
			t->how.asked.rung[i].spec);
	json_begin(&j, text, sizeof(text));
	json_str(&j, "broadcast", t->broadcast);
	json_int(&j, "width", t->width);
	json_int(&j, "height", t->height);
	json_bool(&j, "sound", !t->silent);
	json_str(&j, "rungs", all);
	r = json_end(&j);
	if (r >= 0)
		r = file_put(t->how.state, t->how.state_name, true, text, (size_t)r);
	if (r < 0)
		warning(r, "cannot write the state to %s", t->how.state_name);
}

/* What a process before us decided for this broadcast: true, and it is taken over. */
bool
transcode_get_state(struct transcode *t)
{
	char why[LADDER_WHY], *rungs, *spec, *save = NULL;
	struct ladder asked = { 0 };
	struct buf b = { 0 };
	json_t *o = NULL;
	const char *s;
	bool good = false;

	if (t->how.state < 0 || !*t->broadcast ||
		file_get(t->how.state, t->how.state_name, 1 << 16, &b) < 0)
		goto out;
	o = json_loadb((char *)buf_data(&b), buf_len(&b), 0, NULL);
	if (!(s = json_string_value(json_object_get(o, "broadcast"))) || strcmp(s, t->broadcast) ||
		!(s = json_string_value(json_object_get(o, "rungs"))) || !(rungs = strdup(s)))
		goto out;
	good = true;
	for (spec = strtok_r(rungs, " ", &save); spec && good; spec = strtok_r(NULL, " ", &save))
		good = ladder_add(&asked, spec, why) == 0;
	free(rungs);
	if (!good || !asked.count)
		goto out;
	t->how.asked = asked;
	t->width = (int)json_integer_value(json_object_get(o, "width"));
	t->height = (int)json_integer_value(json_object_get(o, "height"));
	t->silent = json_is_false(json_object_get(o, "sound"));
	t->seen_video |= t->width > 0;
	t->seen_audio |= !t->silent;
out:
	json_decref(o);
	buf_free(&b);
	return good;
}

static void
tell_ladder(const struct transcode *t)
{
	char text[1024];
	struct event e;
	size_t n = 0;
	int i;

	*text = '\0';
	for (i = 0; i < t->ladder.count; i++) {
		const struct rung *r = &t->ladder.rung[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", r->name);
		if (r->video_kbps)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "=%dx%d", r->width, r->height);
	}
	event_begin(&e, "ladder.decided");
	event_int(&e, "width", t->width);
	event_int(&e, "height", t->height);
	event_bool(&e, "sound", !t->silent);
	event_str(&e, "rungs", text);
	event_send(&e);
	inform("the source is %dx%d%s; the ladder: %s", t->width, t->height,
		t->silent ? " without sound" : "", text);
}

/* Does a rung before this one have a sound of the same rate? */
static bool
spoken_for(const struct transcode *t, int i)
{
	int j;

	for (j = 0; j < i; j++)
		if (t->step[j].audio && t->ladder.rung[j].audio_kbps == t->ladder.rung[i].audio_kbps)
			return true;
	return false;
}

static int
write_video(void *arg, int64_t dts, const struct flv_packet *p)
{
	struct step *s = arg;
	struct flv_packet q = *p;

	q.track = s->track;
	if (p->kind == FLV_FRAME)
		s->t->made++;
	return transcode_put_packet(s->t, dts, &q);
}

static int
write_audio(void *arg, int64_t dts, const struct flv_packet *p)
{
	struct step *s = arg;
	struct flv_packet q = *p;

	q.track = s->sound_track;
	return transcode_put_packet(s->t, dts, &q);
}

int
transcode_open_ladder(struct transcode *t)
{
	int i, j, n = 0, r;

	ladder_decide(&t->how.asked, t->width, t->height, &t->ladder);
	for (i = 0; i < t->ladder.count; i++) {
		struct step *s = &t->step[i];
		const struct rung *g = &t->ladder.rung[i];

		s->t = t;
		s->rung = g;
		s->divisor = 1;
		if (g->source) {
			t->passing = true;
			continue;
		}
		s->track = s->sound_track = (uint8_t)++n;
		if (g->video_kbps && (r = video_new(&s->video, g, transcode_fps(t, g), write_video, s)) < 0)
			return r == -ENOMEM ? r : -ENOTSUP;
		if (g->audio_kbps && !spoken_for(t, i) && (r = audio_new(&s->audio, g->audio_kbps, write_audio, s)) < 0)
			return r;
		if (s->audio && !t->voice)
			t->voice = s;
		if (!s->video)
			continue;
		for (j = t->steps++; j > 0 && t->ladder.rung[t->order_of[j - 1]].width < g->width; j--)
			t->order_of[j] = t->order_of[j - 1];
		t->order_of[j] = i;
	}
	keep_state(t);
	tell_ladder(t);
	return 0;
}
