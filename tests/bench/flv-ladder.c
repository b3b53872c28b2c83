/*
 * flv-ladder NAME=FILE...: one FLV on standard output with each file's video and audio as a rung,
 * in DTS order, track n for the n-th file; the first file's marks stay.  For tests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "flv.h"
#include "tracks.h"

struct in {
	FILE *file;
	struct flv_reader *reader;
	struct flv_tag tag;
	bool more;
};

static void
advance(struct in *in)
{
	char data[65536];
	size_t n;
	int r;

	while ((r = flv_reader_next(in->reader, &in->tag)) == 0) {
		if (!(n = fread(data, 1, sizeof(data), in->file)))
			break;
		flv_reader_feed(in->reader, data, n);
	}
	in->more = r > 0;
}

static void
put(struct buf *out, const struct in *in, uint8_t track)
{
	struct flv_walk walk;
	struct flv_packet p;

	if (in->tag.type == FLV_SCRIPT) {
		const uint8_t *values;
		size_t n;

		if (!track && flv_script(&in->tag, "onLvMark", &values, &n))
			flv_put_tag(out, FLV_SCRIPT, in->tag.dts, in->tag.data, in->tag.size);
		return;
	}
	flv_walk_begin(&walk, &in->tag);
	while (flv_walk_next(&walk, &p) > 0) {
		p.track = track;
		flv_put_packet(out, in->tag.dts, &p);
	}
}

int
main(int argc, char **argv)
{
	struct in ins[TRACKS_MAX / 2] = { 0 };
	struct tracks all = { .count = 0 }, one;
	struct buf out = { 0 };
	int i, j, n = argc - 1;

	die_prog = "flv-ladder";
	if (n < 1 || n > TRACKS_MAX / 2)
		die(EX_USAGE, 0, "usage: flv-ladder NAME=FILE...");
	flv_put_header(&out);
	for (i = 0; i < n; i++) {
		char *path = strchr(argv[i + 1], '=');

		if (!path || !(ins[i].file = fopen(path + 1, "re")) || flv_reader_new(&ins[i].reader, 0) < 0)
			die(EX_NOINPUT, -errno, "cannot open %s", argv[i + 1]);
		*path = '\0';
		advance(&ins[i]);
		if (!ins[i].more || tracks_parse(&ins[i].tag, &one) <= 0)
			die(EX_DATAERR, 0, "%s does not begin with onMetaData", path + 1);
		for (j = 0; j < one.count && all.count < TRACKS_MAX; j++) {
			struct track *t = &all.track[all.count++];

			*t = one.track[j];
			t->id = (uint8_t)i;
			snprintf(t->rung, sizeof(t->rung), "%s", argv[i + 1]);
		}
	}
	tracks_put(&out, 0, &all);
	for (;;) {
		int next = -1;

		for (i = 0; i < n; i++)
			if (ins[i].more && (next < 0 || ins[i].tag.dts < ins[next].tag.dts))
				next = i;
		if (next < 0)
			break;
		put(&out, &ins[next], (uint8_t)next);
		if (fwrite(buf_data(&out), 1, buf_len(&out), stdout) != buf_len(&out))
			die(EX_IOERR, -errno, "cannot write");
		buf_clear(&out);
		advance(&ins[next]);
	}
	for (i = 0; i < n; i++) {
		flv_reader_free(&ins[i].reader);
		fclose(ins[i].file);
	}
	buf_free(&out);
	if (fclose(stdout))
		die(EX_IOERR, -errno, "cannot write");
	return EX_OK;
}
