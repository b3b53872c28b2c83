#include "ts.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

#define PID_PMT 0x1000
#define PID_VIDEO 0x100
#define PID_AUDIO 0x101
#define PID_ID3 0x102
#define PCR_AHEAD 45000 /* the clock reference lies so much before the DTS: time to fill the buffer */
#define MASK33 ((INT64_C(1) << 33) - 1)

enum { PAT, PMT, VIDEO, AUDIO, ID3 };

static uint32_t
crc32(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffff;
	int i;

	while (n--)
		for (c ^= (uint32_t)*p++ << 24, i = 0; i < 8; i++)
			c = c & 0x80000000 ? c << 1 ^ 0x04c11db7 : c << 1;
	return c;
}

/* The four bytes of a packet's head. */
static void
head(uint8_t *p, struct ts *t, int which, unsigned pid, bool start, bool adapted)
{
	p[0] = 0x47;
	p[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
	p[2] = (uint8_t)pid;
	p[3] = (uint8_t)((adapted ? 0x30 : 0x10) | (t->counter[which]++ & 15));
}

/* A table that fits in one packet: its bytes from table_id on, without the CRC. */
static void
table(struct buf *b, struct ts *t, int which, unsigned pid, const uint8_t *data, size_t n)
{
	uint8_t p[TS_PACKET];

	memset(p, 0xff, sizeof(p));
	head(p, t, which, pid, true, false);
	p[4] = 0;
	memcpy(p + 5, data, n);
	put_be32(p + 5 + n, crc32(data, n));
	buf_append(b, p, sizeof(p));
}

int
ts_tables(struct buf *b, struct ts *t)
{
	static const uint8_t pat[] = { 0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe0 | PID_PMT >> 8, PID_PMT & 255 };
	/* That the program has metadata, and that the stream is ID3: 13818-1 2.6.58, 2.6.60. */
	static const uint8_t pointer[] = { 0x25, 15, 0xff, 0xff, 'I', 'D', '3', ' ', 0xff, 'I', 'D', '3', ' ', 0, 0x1f, 0, 1 };
	static const uint8_t metadata[] = { 0x26, 13, 0xff, 0xff, 'I', 'D', '3', ' ', 0xff, 'I', 'D', '3', ' ', 0, 0x0f };
	uint8_t pmt[80] = { 0x02, 0xb0, 0, 0, 1, 0xc1, 0, 0, 0xe0, 0, 0xf0, 0 };
	unsigned clock = t->video ? PID_VIDEO : PID_AUDIO;
	size_t n = 12;

	put_be16(pmt + 8, 0xe000 | clock);
	if (t->id3) {
		pmt[5] |= 2; /* another version of the table */
		pmt[11] = sizeof(pointer);
		memcpy(pmt + n, pointer, sizeof(pointer));
		n += sizeof(pointer);
	}
	if (t->video) {
		pmt[n] = 0x1b; /* H.264 */
		put_be16(pmt + n + 1, 0xe000 | PID_VIDEO);
		put_be16(pmt + n + 3, 0xf000);
		n += 5;
	}
	if (t->audio) {
		pmt[n] = 0x0f; /* AAC in ADTS */
		put_be16(pmt + n + 1, 0xe000 | PID_AUDIO);
		put_be16(pmt + n + 3, 0xf000);
		n += 5;
	}
	if (t->id3) {
		pmt[n] = 0x15; /* metadata in PES packets */
		put_be16(pmt + n + 1, 0xe000 | PID_ID3);
		put_be16(pmt + n + 3, 0xf000 | sizeof(metadata));
		memcpy(pmt + n + 5, metadata, sizeof(metadata));
		n += 5 + sizeof(metadata);
	}
	pmt[2] = (uint8_t)(n - 3 + 4);
	table(b, t, PAT, 0, pat, sizeof(pat));
	table(b, t, PMT, PID_PMT, pmt, n);
	return b->error;
}

static void
put_time(uint8_t *p, unsigned prefix, int64_t t)
{
	uint64_t v = (uint64_t)(t & MASK33);

	p[0] = (uint8_t)(prefix << 4 | (v >> 30 & 7) << 1 | 1);
	put_be16(p + 1, (uint32_t)((v >> 15 & 0x7fff) << 1 | 1));
	put_be16(p + 3, (uint32_t)((v & 0x7fff) << 1 | 1));
}

/* A PES header in front of what is in t->pes: size is of the payload to come, 0 for unbounded. */
static void
pes_head(struct ts *t, unsigned stream, int64_t pts, int64_t dts, size_t size)
{
	uint8_t p[19] = { 0, 0, 1, (uint8_t)stream, 0, 0, 0x84, 0x80, 5 };
	size_t n = 14;

	pts += TS_OFFSET;
	dts += TS_OFFSET;
	put_time(p + 9, pts == dts ? 2 : 3, pts);
	if (pts != dts) {
		p[7] = 0xc0;
		p[8] = 10;
		put_time(p + 14, 1, dts);
		n = 19;
	}
	if (size && size + n - 6 <= 0xffff)
		put_be16(p + 4, (uint32_t)(size + n - 6));
	buf_clear(&t->pes);
	buf_append(&t->pes, p, n);
}

/* t->pes in packets; the first may carry the clock and say that a decoder can begin there. */
static int
packets(struct buf *b, struct ts *t, int which, bool random, int64_t pcr)
{
	const uint8_t *data = buf_data(&t->pes);
	size_t left = buf_len(&t->pes);
	unsigned pid = which == VIDEO ? PID_VIDEO : which == AUDIO ? PID_AUDIO : PID_ID3;
	bool first = true;

	while (left && !t->pes.error) {
		uint8_t p[TS_PACKET];
		size_t field = first && (random || pcr >= 0) ? pcr >= 0 ? 8 : 2 : 0; /* with its length byte */
		size_t room = TS_PACKET - 4 - field, n = left < room ? left : room;

		field += room - n; /* what is empty is stuffing in front of the payload */
		head(p, t, which, pid, first, field > 0);
		if (field)
			p[4] = (uint8_t)(field - 1);
		if (field > 1) {
			memset(p + 5, 0xff, field - 1);
			p[5] = (uint8_t)((first && random ? 0x40 : 0) | (first && pcr >= 0 ? 0x10 : 0));
			if (first && pcr >= 0) {
				put_be32(p + 6, (uint32_t)((uint64_t)(pcr & MASK33) >> 1));
				put_be16(p + 10, (uint32_t)((pcr & 1) << 15 | 0x7e00));
			}
		}
		memcpy(p + 4 + field, data, n);
		buf_append(b, p, sizeof(p));
		data += n;
		left -= n;
		first = false;
	}
	return t->pes.error ? t->pes.error : b->error;
}

static void
put_nal(struct buf *b, const uint8_t *nal, size_t n)
{
	static const uint8_t start[] = { 0, 0, 0, 1 };

	buf_append(b, start, sizeof(start));
	buf_append(b, nal, n);
}

/* The parameter sets of a configuration record, ISO/IEC 14496-15 5.3.3.1. */
static int
put_parameters(struct buf *b, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	int kind, count;

	if (n < 7)
		return -EBADMSG;
	for (p += 5, kind = 0; kind < 2; kind++) {
		if (p == end)
			return -EBADMSG;
		count = kind ? *p++ : *p++ & 31;
		for (; count > 0; count--) {
			if (end - p < 2 || end - p - 2 < get_be16(p))
				return -EBADMSG;
			put_nal(b, p + 2, get_be16(p));
			p += 2 + get_be16(p);
		}
	}
	return 0;
}

int
ts_video(struct buf *b, struct ts *t, int64_t pts, int64_t dts, bool idr, const uint8_t *avcc,
	size_t avcc_size, int nal_len, const uint8_t *frame, size_t size)
{
	static const uint8_t delimiter[] = { 9, 0xf0 };
	const uint8_t *end = frame + size;
	size_t n;
	int i, r;

	pes_head(t, 0xe0, pts, dts, 0);
	put_nal(&t->pes, delimiter, sizeof(delimiter));
	if (idr && (r = put_parameters(&t->pes, avcc, avcc_size)) < 0)
		return r;
	while (end - frame > nal_len) {
		for (n = 0, i = 0; i < nal_len; i++)
			n = n << 8 | *frame++;
		if (n > (size_t)(end - frame))
			break; /* cut off: what is there is all there is */
		if (n && (*frame & 31) != 9 && !(idr && ((*frame & 31) == 7 || (*frame & 31) == 8)))
			put_nal(&t->pes, frame, n);
		frame += n;
	}
	return packets(b, t, VIDEO, idr, dts + TS_OFFSET - PCR_AHEAD);
}

static int
rate_index(int rate)
{
	static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000,
		11025, 8000, 7350 };
	int i;

	for (i = 0; i < 13; i++)
		if (rates[i] == rate)
			return i;
	return -1;
}

int
ts_audio(struct buf *b, struct ts *t, int64_t pts, const struct aac_config *c, const uint32_t *sizes,
	size_t count, const uint8_t *data)
{
	int rate = rate_index(c->rate), object = c->object > 4 ? 2 : c->object;
	size_t i, total = 0;

	if (rate < 0 || object < 1 || count > TS_AUDIO_MAX)
		return -EBADMSG;
	for (i = 0; i < count; i++)
		total += 7 + sizes[i];
	pes_head(t, 0xc0, pts, pts, total);
	for (i = 0; i < count; i++) {
		uint32_t n = 7 + sizes[i];
		uint8_t p[7] = { 0xff, 0xf1 };

		if (n > 0x1fff)
			return -EBADMSG;
		p[2] = (uint8_t)((object - 1) << 6 | rate << 2 | (c->channels & 7) >> 2);
		p[3] = (uint8_t)((c->channels & 3) << 6 | n >> 11);
		p[4] = (uint8_t)(n >> 3);
		p[5] = (uint8_t)(n << 5 | 0x1f);
		p[6] = 0xfc;
		buf_append(&t->pes, p, sizeof(p));
		buf_append(&t->pes, data, sizes[i]);
		data += sizes[i];
	}
	return packets(b, t, AUDIO, true, t->video ? -1 : pts + TS_OFFSET - PCR_AHEAD);
}

int
ts_id3(struct buf *b, struct ts *t, int64_t pts, const uint8_t *id3, size_t n)
{
	pes_head(t, 0xbd, pts, pts, n); /* private_stream_1 */
	buf_append(&t->pes, id3, n);
	return packets(b, t, ID3, false, -1);
}

void
ts_free(struct ts *t)
{
	buf_free(&t->pes);
}
