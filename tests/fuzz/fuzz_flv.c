/*
 * Everything that reads FLV: tags in two chunkings, packets, marks, tracks.  A packet that is written again is
 * read as the same one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cue.h"
#include "flv.h"
#include "mark.h"
#include "tracks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_again(int64_t dts, const struct flv_packet *p)
{
	struct flv_reader *r;
	struct flv_tag tag;
	struct flv_walk w;
	struct flv_packet q;
	struct buf b = { 0 };

	flv_put_header(&b);
	flv_put_packet(&b, dts, p);
	if (flv_reader_new(&r, FLV_TAG_MAX) < 0)
		abort();
	flv_reader_feed(r, buf_data(&b), buf_len(&b));
	if (flv_reader_next(r, &tag) != 1 || tag.type != p->type || (uint32_t)tag.dts != (uint32_t)dts)
		abort();
	flv_walk_begin(&w, &tag);
	if (flv_walk_next(&w, &q) != 1 || q.kind != p->kind || q.codec != p->codec || q.track != p->track || q.cts != p->cts ||
		q.nano != p->nano || q.size != p->size || (q.size && memcmp(q.data, p->data, q.size)) ||
		(p->kind == FLV_FRAME && p->type == FLV_VIDEO && q.key != p->key) || flv_walk_next(&w, &q) != 0)
		abort();
	flv_reader_free(&r);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flv_reader *r;
	struct flv_tag tag;
	struct flv_walk w;
	struct flv_packet p;
	struct mark mark;
	struct tracks tracks;
	struct buf id3 = { 0 };
	size_t at = 0, n;
	volatile uint8_t last;

	if (flv_reader_new(&r, 1 << 16) < 0)
		return 0;
	while (at < size) {
		n = at & 1 ? 7 : 61;
		if (n > size - at)
			n = size - at;
		flv_reader_feed(r, data + at, n);
		at += n;
		while (flv_reader_next(r, &tag) > 0) {
			mark_parse(&tag, &mark);
			tracks_parse(&tag, &tracks);
			buf_clear(&id3);
			cue_id3(&tag, &id3);
			if (tag.type == FLV_SCRIPT)
				continue;
			flv_walk_begin(&w, &tag);
			while (flv_walk_next(&w, &p) > 0) {
				if (p.size)
					last = p.data[p.size - 1]; /* the last byte is inside the tag */
				if (p.codec && p.kind != FLV_OTHER)
					write_again(tag.dts, &p);
			}
		}
	}
	(void)last;
	buf_free(&id3);
	flv_reader_free(&r);
	return 0;
}
