/*
 * flvmark puts marks, and a second rung, into FLV files, as a keeper and a transcoder would:
 *   flvmark BROADCAST EPOCH SESSION end|open|away SOURCE.flv [RUNG.flv] > out.flv
 * away: then the publisher is missed for six seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flv.h"
#include "mark.h"
#include "tracks.h"

struct input {
	struct flv_reader *reader;
	struct flv_tag tag;
	bool more;
};

static void
load(struct input *in, const char *path)
{
	static uint8_t room[1 << 24];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f || flv_reader_new(&in->reader, FLV_TAG_MAX) < 0) {
		perror(path);
		exit(1);
	}
	n = fread(room, 1, sizeof(room), f);
	fclose(f);
	flv_reader_feed(in->reader, room, n);
	in->more = flv_reader_next(in->reader, &in->tag) > 0;
}

int
main(int argc, char **argv)
{
	struct input in[2] = { 0 };
	struct tracks tracks = { .count = 4,
		.track = { { .type = FLV_VIDEO, .id = 0, .rung = "source", .codec = FLV_AVC },
			{ .type = FLV_AUDIO, .id = 0, .rung = "source", .codec = FLV_AAC },
			{ .type = FLV_VIDEO, .id = 1, .rung = "480p", .codec = FLV_AVC, .kbps = 300 },
			{ .type = FLV_AUDIO, .id = 1, .rung = "480p", .codec = FLV_AAC, .kbps = 128 } } };
	struct mark mark = { .kind = MARK_SESSION, .stream = "alice" };
	struct buf out = { 0 };
	int64_t last = 0, ticks;

	if (argc < 6)
		return 64;
	snprintf(mark.broadcast, sizeof(mark.broadcast), "%s", argv[1]);
	snprintf(mark.session, sizeof(mark.session), "%s", argv[3]);
	mark.epoch = strtoll(argv[2], NULL, 10);
	mark.origin_ms = 1764000000000;
	load(&in[0], argv[5]);
	if (argc > 6)
		load(&in[1], argv[6]);
	while (in[0].more && in[0].tag.type == FLV_SCRIPT)
		in[0].more = flv_reader_next(in[0].reader, &in[0].tag) > 0;
	flv_put_header(&out);
	mark_put(&out, in[0].more ? in[0].tag.dts : 0, &mark);
	if (argc > 6)
		tracks_put(&out, 0, &tracks);
	while (in[0].more || in[1].more) {
		int i = !in[0].more || (in[1].more && in[1].tag.dts < in[0].tag.dts);
		struct flv_packet p;
		struct flv_walk w;

		last = in[i].tag.dts;
		if (in[i].tag.type != FLV_SCRIPT) {
			flv_walk_begin(&w, &in[i].tag);
			while (flv_walk_next(&w, &p) > 0) {
				p.track = (uint8_t)i;
				if (p.kind == FLV_HEADER || p.kind == FLV_FRAME)
					flv_put_packet(&out, last, &p);
			}
		}
		in[i].more = flv_reader_next(in[i].reader, &in[i].tag) > 0;
	}
	if (!strcmp(argv[4], "away")) {
		mark.kind = MARK_GAP;
		mark_put(&out, last, &mark);
		mark.kind = MARK_TICK;
		for (ticks = 1; ticks <= 12; ticks++)
			mark_put(&out, last + 500 * ticks, &mark);
	}
	mark.kind = MARK_END;
	if (!strcmp(argv[4], "end"))
		mark_put(&out, last, &mark);
	last = fwrite(buf_data(&out), 1, buf_len(&out), stdout) != buf_len(&out);
	buf_free(&out);
	flv_reader_free(&in[0].reader);
	flv_reader_free(&in[1].reader);
	return last != 0;
}
