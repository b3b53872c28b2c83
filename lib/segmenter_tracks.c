/* Segmenter: its tracks: how they are named, and what each of them is. */
#include "segmenter_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "die.h"
#include "file.h"

static int
track_index(const struct segmenter *g, uint8_t type, uint8_t id)
{
	int i;

	for (i = 0; i < g->strands; i++)
		if (g->strand[i].type == type && g->strand[i].id == id)
			return i;
	return -1;
}

static void
name_track(struct segmenter *g, struct strand *k)
{
	char rung[NAME];
	size_t n = strcspn(k->told.rung, "+"), i;
	int j;

	snprintf(rung, sizeof(rung), "%.*s", (int)n, k->told.rung);
	for (i = 0; rung[i]; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", rung[i]))
			rung[i] = '_';
	if (!*rung)
		snprintf(rung, sizeof(rung), "%s", k->id ? "track" : "source");
	if (k->video)
		snprintf(k->name, sizeof(k->name), "%.64s", rung);
	else if (k->told.kbps && !is_source(k))
		snprintf(k->name, sizeof(k->name), "audio-%dk", k->told.kbps);
	else
		snprintf(k->name, sizeof(k->name), "audio-%.64s", rung);
	for (j = 0; j < g->strands; j++)
		if (g->strand[j].type && !strcmp(g->strand[j].name, k->name)) {
			n = strlen(k->name);
			snprintf(k->name + n, sizeof(k->name) - n, "-%d", k->id);
			return;
		}
}

static struct strand *
add_track(struct segmenter *g, const struct track *t)
{
	struct strand *k, new = { .type = t->type,
		.id = t->id,
		.video = t->type == FLV_VIDEO,
		.told = *t,
		.data.max = QUEUE_MAX,
		.last = INT64_MIN };
	int i, r;

	name_track(g, &new);
	for (i = 0; i < g->strands; i++) /* a track that the state named comes back */
		if (!g->strand[i].type && !strcmp(g->strand[i].name, new.name))
			break;
	if (i == TRACKS_MAX)
		return NULL;
	k = &g->strand[i];
	*k = new;
	if (i == g->strands)
		g->strands++;
	if (!g->how.ts && (r = file_folder(g->dir, k->name)) < 0) /* else: when it is known who carries it */
		seg_failed(g, r, k->name);
	g->master_due = true;
	return k;
}

int
segmenter_tracks(struct segmenter *g, const struct tracks *t)
{
	int i, at;

	for (i = 0; i < t->count; i++) {
		if ((at = track_index(g, t->track[i].type, t->track[i].id)) >= 0) {
			char rung[TRACKS_RUNG];

			memcpy(rung, g->strand[at].told.rung, sizeof(rung));
			g->strand[at].told = t->track[i];
			if (*g->strand[at].init) /* folders are not renamed under a player */
				memcpy(g->strand[at].told.rung, rung, sizeof(rung));
			continue;
		}
		if (t->track[i].type == FLV_VIDEO || t->track[i].type == FLV_AUDIO)
			add_track(g, &t->track[i]);
	}
	return 0;
}

struct strand *
seg_track(struct segmenter *g, uint8_t type, uint8_t id)
{
	struct track told = { .type = type, .id = id };
	int at = track_index(g, type, id);

	if (at >= 0)
		return &g->strand[at];
	snprintf(told.rung, sizeof(told.rung), id ? "track%d" : "source", id);
	return add_track(g, &told);
}

/* What a track is from here on; its next frame begins a run when it was something else. */
static void
become(struct segmenter *g, struct strand *k, const struct codec *c)
{
	if (k->known || (k->video && g->started && !g->strand[g->leader].video))
		seg_flush(g); /* a picture that comes late takes the lead */
	k->codec = *c;
	k->init[0] = '\0';
	k->fps = 0;
	k->last_dur = k->video ? 3000 : k->codec.frame;
	k->known = g->master_due = true;
}

void
seg_header(struct segmenter *g, struct strand *k, const struct flv_packet *p)
{
	struct codec c;

	if (k->known && p->codec == k->codec.fourcc && p->size == k->config_size &&
		!memcmp(k->config, p->data, p->size))
		return;
	if (!p->size)
		return; /* some say so before they know */
	if (p->size > CONFIG_MAX || codec_config(&c, p->codec, p->data, p->size) < 0) {
		warning(0, "the %s configuration of %s is malformed: ignored", codec_name(p->codec),
			k->name);
		return;
	}
	become(g, k, &c);
	memcpy(k->config, p->data, p->size);
	k->config_size = p->size;
}

/* What only frames tell: all that is known of AC-3, the size of VP9, sometimes that of AV1. */
enum codec_start
seg_frame(struct segmenter *g, struct strand *k, const struct flv_packet *p)
{
	struct codec c = k->codec;
	enum codec_start start;

	if (!codec_has_config(p->codec)) {
		if (codec_first(&c, p->codec, p->data, p->size) == 0 &&
			(!k->known || c.fourcc != k->codec.fourcc ||
				memcmp(c.ac3, k->codec.ac3, sizeof(c.ac3))))
			become(g, k, &c);
		return CODEC_KEY;
	}
	start = codec_start(&c, p->data, p->size);
	if (k->codec.width && (c.width != k->codec.width || c.height != k->codec.height))
		become(g, k, &c);
	k->codec = c;
	return start;
}

/* The track's codec cannot be packaged: said once; -ENOTSUP when it is the only picture. */
int
seg_leave_out(struct segmenter *g, struct strand *k, uint32_t codec)
{
	bool other = !k->video;
	int i;

	for (i = 0; i < g->strands; i++)
		other |= g->strand[i].video && !g->strand[i].left_out && &g->strand[i] != k;
	if (!k->left_out)
		complain(0, "%s is %s, which %s does not hold%s", k->name, codec_name(codec),
			g->how.ts ? "--format ts" : "--format fmp4",
			g->how.ts && codec_packaged(codec, false) ? ": --format fmp4 does" : "");
	k->left_out = true;
	if (k->known) { /* it was another's until now */
		if (k - g->strand == g->leader)
			seg_flush(g);
		k->init[0] = '\0';
		k->known = false;
		g->master_due = true;
	}
	return other ? 0 : -ENOTSUP;
}
