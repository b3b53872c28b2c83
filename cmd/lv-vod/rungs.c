#include "rungs.h"

#include <errno.h>
#include <string.h>

#include "media.h"

#define TRIES 20 /* segments that are looked at before a track is given up */

static int
look(const struct listing *l, bool video, struct media *m, struct media_stream *stream)
{
	size_t i, tries = 0;
	int r = -ENOENT;

	media_new(m, video, stream);
	for (i = 0; i < l->count && tries < TRIES; i++) {
		if (l->segment[i].gap)
			continue;
		if ((r = media_load(m, &l->segment[i])) == 0 || media_is_lost(r) || m->track)
			break;
		tries += r != -ENOENT;
	}
	return media_is_lost(r) ? r : m->track != NULL;
}

int
rungs_learn(struct rungs *r, struct archive *a)
{
	struct media_stream stream = { 0 };
	struct media m;
	int i, e = 0;

	memset(r, 0, sizeof(*r));
	r->archive = a;
	for (i = 0; e >= 0 && i < a->listings; i++) {
		e = look(&a->listing[i], true, &m, &stream);
		if (e > 0) {
			r->about[i].picture = true;
			r->about[i].width = m.track->width;
			r->about[i].height = m.track->height;
		}
		media_free(&m);
		if (e >= 0) {
			e = look(&a->listing[i], false, &m, &stream);
			r->about[i].sound = e > 0;
			media_free(&m);
		}
	}
	media_stream_free(&stream);
	return e < 0 ? e : 0;
}

/* The sound that belongs to a picture: in its own files, of its own name, the source's to the source. */
static const struct listing *
sound_of(const struct rungs *r, int picture)
{
	const char *name = r->archive->listing[picture].name;
	const struct listing *any = NULL, *encoded = NULL;
	int i;

	if (r->about[picture].sound)
		return &r->archive->listing[picture];
	for (i = 0; i < r->archive->listings; i++) {
		const struct listing *l = &r->archive->listing[i];

		if (!r->about[i].sound || r->about[i].picture)
			continue;
		if (!strncmp(l->name, "audio-", 6) && !strcmp(l->name + 6, name))
			return l;
		if (strcmp(l->name, "audio-source") && !encoded)
			encoded = l;
		if (!any)
			any = l;
	}
	return encoded && strcmp(name, "source") ? encoded : any;
}

static int
with_sound(const struct rungs *r, int i, const char *sound, struct rung *out)
{
	out->picture = r->about[i].picture ? &r->archive->listing[i] : NULL;
	out->sound = !out->picture ? &r->archive->listing[i] : sound ? NULL : sound_of(r, i);
	if (!out->picture || !sound || !strcmp(sound, "none"))
		return 0;
	return (out->sound = archive_find(r->archive, sound)) ? 0 : -ENOENT;
}

int
rungs_choose(const struct rungs *r, const char *name, const char *sound, struct rung *out)
{
	int i, best = -1;
	int64_t area, most = -1;

	for (i = 0; i < r->archive->listings; i++) {
		if (!r->about[i].picture && !r->about[i].sound)
			continue;
		area = r->about[i].picture ? 2 + 2 * (int64_t)r->about[i].width * r->about[i].height : 0;
		area += !strcmp(r->archive->listing[i].name, "source");
		if (name ? strcmp(name, r->archive->listing[i].name) : area <= most)
			continue;
		most = area;
		best = i;
	}
	return best < 0 ? -ENOENT : with_sound(r, best, sound, out);
}

int
rungs_next(const struct rungs *r, int *at, const char *sound, struct rung *out)
{
	int e;

	while (*at < r->archive->listings && !r->about[*at].picture)
		++*at;
	if (*at == r->archive->listings)
		return 0;
	return (e = with_sound(r, (*at)++, sound, out)) < 0 ? e : 1;
}
