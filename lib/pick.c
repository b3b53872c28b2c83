#include "pick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pick {
	char names[PICK_NAMES][TRACKS_RUNG];
	int count;
	struct tracks kept; /* of the last onMetaData, under the old numbers */
	bool single;        /* one video and one audio track at most: both become track 0 */
	bool told;          /* by onMetaData, or by media that came without */
};

static bool
named(const struct pick *p, const struct track *t)
{
	int i;

	for (i = 0; i < p->count; i++)
		if (tracks_in_rung(t, p->names[i], strlen(p->names[i])))
			return true;
	return false;
}

static void
choose(struct pick *p, const struct tracks *all)
{
	int i, video = 0, audio = 0;

	p->kept.count = 0;
	for (i = 0; i < all->count; i++) {
		if (!named(p, &all->track[i]))
			continue;
		p->kept.track[p->kept.count++] = all->track[i];
		if (all->track[i].type == FLV_VIDEO)
			video++;
		else
			audio++;
	}
	p->single = video <= 1 && audio <= 1;
}

int
pick_new(struct pick **out, const char *names)
{
	/* Until onMetaData says more there is the one rung "source". */
	static const struct tracks source = {
		.track = { { .type = FLV_VIDEO, .rung = "source" }, { .type = FLV_AUDIO, .rung = "source" } },
		.count = 2,
	};
	struct pick *p = calloc(1, sizeof(*p));
	size_t n;

	if (!p)
		return -ENOMEM;
	for (;; names += n + 1) {
		n = strcspn(names, "+");
		if (!n || n >= TRACKS_RUNG || p->count == PICK_NAMES) {
			free(p);
			return -EINVAL;
		}
		memcpy(p->names[p->count++], names, n);
		if (!names[n])
			break;
	}
	choose(p, &source);
	*out = p;
	return 0;
}

void
pick_free(struct pick **p)
{
	free(*p);
	*p = NULL;
}

bool
pick_empty(const struct pick *p)
{
	return p->told && p->kept.count == 0;
}

static void
put_metadata(struct pick *p, int64_t dts, struct buf *out)
{
	struct tracks t = p->kept;
	int i;

	for (i = 0; p->single && i < t.count; i++)
		t.track[i].id = 0;
	tracks_put(out, dts, &t);
}

int
pick_tag(struct pick *p, const struct flv_tag *tag, struct buf *out)
{
	struct tracks all;
	struct flv_walk walk;
	struct flv_packet k;
	size_t before = buf_len(out);
	int r;

	if (tag->type == FLV_SCRIPT) {
		if ((r = tracks_parse(tag, &all)) < 0)
			return r;
		if (r > 0) {
			choose(p, &all);
			p->told = true;
			put_metadata(p, tag->dts, out);
		} else {
			flv_put_tag(out, FLV_SCRIPT, tag->dts, tag->data, tag->size);
		}
		return out->error;
	}
	p->told = true;
	flv_walk_begin(&walk, tag);
	while ((r = flv_walk_next(&walk, &k)) > 0) {
		if (!tracks_find(&p->kept, k.type, k.track))
			continue;
		if (k.kind == FLV_OTHER) { /* kinds we cannot write anew go as they came, or not at all */
			if (!k.track)
				flv_put_tag(out, tag->type, tag->dts, tag->data, tag->size);
			break;
		}
		if (p->single)
			k.track = 0;
		flv_put_packet(out, tag->dts, &k);
	}
	if (r < 0)
		out->end = out->start + before;
	return r < 0 ? r : out->error;
}
