#include "box.h"

#include <string.h>

#include "bytes.h"

size_t
box_begin(struct buf *b, const char *type)
{
	size_t at = buf_len(b);

	buf_be32(b, 0);
	buf_append(b, type, 4);
	return at;
}

size_t
box_full(struct buf *b, const char *type, unsigned version, uint32_t flags)
{
	size_t at = box_begin(b, type);

	buf_be32(b, version << 24 | flags);
	return at;
}

void
box_end(struct buf *b, size_t at)
{
	if (!b->error)
		put_be32(buf_data(b) + at, (uint32_t)(buf_len(b) - at));
}

void
box_zeros(struct buf *b, size_t n)
{
	uint8_t *p = buf_reserve(b, n);

	if (p) {
		memset(p, 0, n);
		buf_grew(b, n);
	}
}

void
box_matrix(struct buf *b)
{
	static const uint32_t unity[9] = { 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000 };
	int i;

	for (i = 0; i < 9; i++)
		buf_be32(b, unity[i]);
}

void
box_handler(struct buf *b, bool video)
{
	static const char names[2][9] = { "lv audio", "lv video" };
	size_t at = box_full(b, "hdlr", 0, 0);

	buf_be32(b, 0);
	buf_append(b, video ? "vide" : "soun", 4);
	box_zeros(b, 12);
	buf_append(b, names[video], sizeof(names[0]));
	box_end(b, at);
}

void
box_media(struct buf *b, bool video)
{
	size_t at, dinf;

	if (video) {
		at = box_full(b, "vmhd", 0, 1);
		box_zeros(b, 8);
	} else {
		at = box_full(b, "smhd", 0, 0);
		box_zeros(b, 4);
	}
	box_end(b, at);
	dinf = box_begin(b, "dinf");
	at = box_full(b, "dref", 0, 0);
	buf_be32(b, 1);
	box_end(b, box_full(b, "url ", 0, 1));
	box_end(b, at);
	box_end(b, dinf);
}
