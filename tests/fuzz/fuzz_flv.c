/* Everything that reads FLV: tags in two chunkings, packets, marks, tracks. */
#include <stdint.h>
#include <stdlib.h>

#include "flv.h"
#include "mark.h"
#include "tracks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flv_reader *r;
	struct flv_tag tag;
	struct flv_walk w;
	struct flv_packet p;
	struct mark mark;
	struct tracks tracks;
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
			if (tag.type == FLV_SCRIPT)
				continue;
			flv_walk_begin(&w, &tag);
			while (flv_walk_next(&w, &p) > 0)
				if (p.size)
					last = p.data[p.size - 1]; /* the last byte is inside the tag */
		}
	}
	(void)last;
	flv_reader_free(&r);
	return 0;
}
