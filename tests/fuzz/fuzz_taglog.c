/* A tag log under any input: readers that come, lag, shed and go get whole tags, and so does a choice of rungs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flv.h"
#include "pick.h"
#include "taglog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct taker {
	struct cursor cursor;
	struct flv_reader *check;
};

static void
take(struct taker *t, size_t most)
{
	const uint8_t *p;
	struct flv_tag tag;
	size_t n;

	while (t->cursor.log && most && (n = cursor_peek(&t->cursor, &p)) > 0) {
		if (n > most)
			n = most;
		if (flv_reader_feed(t->check, p, n) < 0)
			abort();
		while (flv_reader_next(t->check, &tag) > 0)
			;
		if (flv_reader_next(t->check, &tag) < 0)
			__builtin_trap(); /* what a reader gets is FLV, whatever came */
		cursor_took(&t->cursor, n);
		most -= n;
	}
}

/* Bytes of control and of media in turn: how much media, then what the readers do. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct taglog *log;
	struct taker taker[2] = { 0 };
	struct pick *pick = NULL;
	struct flv_reader *picked = NULL;
	struct buf out = { 0 };
	struct flv_tag tag;
	int64_t now = 0;
	int r = 0, i;

	if (taglog_new(&log, 4096) < 0 || pick_new(&pick, "source+r") < 0 || flv_reader_new(&picked, 0) < 0)
		abort();
	flv_put_header(&out);
	for (i = 0; i < 2; i++)
		if (flv_reader_new(&taker[i].check, 0) < 0)
			abort();
	cursor_attach(&taker[0].cursor, log);
	while (size >= 2 && r >= 0) {
		size_t n = data[0], room;
		unsigned what = data[1];
		uint8_t *p;

		data += 2;
		size -= 2;
		n = n < size ? n : size;
		if (!(p = taglog_room(log, &room)))
			abort();
		n = n < room ? n : room;
		memcpy(p, data, n);
		taglog_filled(log, n);
		data += n;
		size -= n;
		now += what;
		while ((r = taglog_next(log, &tag, now)) > 0)
			pick_tag(pick, &tag, &out); /* what it refuses leaves nothing behind */
		take(&taker[0], what & 1 ? 100000 : what);
		if (what & 2 && taker[0].cursor.log)
			cursor_shed(&taker[0].cursor);
		if (what & 4 && !taker[1].cursor.log) {
			flv_reader_free(&taker[1].check);
			if (flv_reader_new(&taker[1].check, 0) < 0)
				abort();
			cursor_attach(&taker[1].cursor, log);
		}
		take(&taker[1], what & 8 ? 100000 : 3);
		if (what & 16 && taker[1].cursor.log)
			cursor_detach(&taker[1].cursor);
		taglog_trim(log);
	}
	if (flv_reader_feed(picked, buf_data(&out), buf_len(&out)) < 0)
		abort();
	while ((r = flv_reader_next(picked, &tag)) > 0)
		;
	if (r < 0)
		__builtin_trap();
	for (i = 0; i < 2; i++) {
		if (taker[i].cursor.log)
			cursor_detach(&taker[i].cursor);
		flv_reader_free(&taker[i].check);
	}
	taglog_free(&log);
	pick_free(&pick);
	flv_reader_free(&picked);
	buf_free(&out);
	return 0;
}
