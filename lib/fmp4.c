#include "fmp4.h"

#include <errno.h>
#include <string.h>

#include "box.h"
#include "bytes.h"

#define SAMPLE_KEY 0x02000000u   /* depends on no other */
#define SAMPLE_DELTA 0x01010000u /* depends on others, is no sync sample */

static void
descriptor(struct buf *b, unsigned tag, size_t size)
{
	buf_u8(b, tag);
	buf_u8(b, 0x80);
	buf_u8(b, 0x80);
	buf_u8(b, (unsigned)(0x80 | size >> 7));
	buf_u8(b, (unsigned)(size & 127));
}

static void
put_esds(struct buf *b, const struct fmp4_track *t)
{
	size_t at = box_full(b, "esds", 0, 0), n = t->config_size;

	descriptor(b, 3, 3 + 5 + 13 + 5 + n + 5 + 1);
	buf_be16(b, 1);
	buf_u8(b, 0);
	descriptor(b, 4, 13 + 5 + n);
	buf_u8(b, 0x40); /* MPEG-4 audio */
	buf_u8(b, 0x15); /* an audio stream */
	buf_be24(b, 0);
	buf_be32(b, 0);
	buf_be32(b, 0);
	descriptor(b, 5, n);
	buf_append(b, t->config, n);
	descriptor(b, 6, 1);
	buf_u8(b, 2);
	box_end(b, at);
}

/* "Encapsulation of Opus in ISO BMFF" 4.3.2: OpusHead with its numbers turned to big-endian. */
static void
put_dops(struct buf *b, const uint8_t *p)
{
	size_t at = box_begin(b, "dOps");

	buf_u8(b, 0);
	buf_u8(b, p[9]);
	buf_be16(b, (uint32_t)(p[10] | p[11] << 8));
	buf_be32(b, get_le32(p + 12));
	buf_be16(b, (uint32_t)(p[16] | p[17] << 8));
	buf_u8(b, p[18]);
	if (p[18]) /* a mapping of channels */
		buf_append(b, p + 19, 2u + p[9]);
	box_end(b, at);
}

/* A codec's box inside its sample entry: what FLV has as a header, in MP4's clothes. */
static void
put_config(struct buf *b, const struct fmp4_track *t)
{
	const uint8_t *p = t->config;
	size_t n = t->config_size, at;

	switch (t->codec->fourcc) {
	case FLV_AAC:
		put_esds(b, t);
		return;
	case FLV_OPUS:
		put_dops(b, p);
		return;
	case FLV_AVC:
		at = box_begin(b, "avcC");
		break;
	case FLV_HEVC:
		at = box_begin(b, "hvcC");
		break;
	case FLV_AV1:
		at = box_begin(b, "av1C");
		break;
	case FLV_AC3:
		at = box_begin(b, "dac3");
		p = t->codec->ac3;
		n = sizeof(t->codec->ac3);
		break;
	case FLV_VP9:
		at = box_full(b, "vpcC", 1, 0);
		p = t->codec->vp9;
		n = sizeof(t->codec->vp9);
		break;
	default: /* FLV_FLAC: the blocks of metadata, without the marker in front */
		at = box_full(b, "dfLa", 0, 0);
		p += 4;
		n -= 4;
	}
	buf_append(b, p, n);
	box_end(b, at);
}

static void
put_entry(struct buf *b, const struct fmp4_track *t)
{
	const struct codec *c = t->codec;
	size_t at = buf_len(b);

	buf_be32(b, 0);
	buf_be32(b, c->fourcc); /* FLV names the codecs as the sample entries are named */
	box_zeros(b, 6);
	buf_be16(b, 1); /* data_reference_index */
	if (t->video) {
		box_zeros(b, 16);
		buf_be16(b, (uint32_t)c->width);
		buf_be16(b, (uint32_t)c->height);
		buf_be32(b, 0x480000);
		buf_be32(b, 0x480000);
		buf_be32(b, 0);
		buf_be16(b, 1);
		box_zeros(b, 32);
		buf_be16(b, 0x18);
		buf_be16(b, 0xffff);
	} else {
		box_zeros(b, 8);
		buf_be16(b, (uint32_t)(c->channels ? c->channels : 2));
		buf_be16(b, 16);
		buf_be32(b, 0);
		buf_be32(b, c->rate < 65536 ? (uint32_t)c->rate << 16 : 0);
	}
	put_config(b, t);
	box_end(b, at);
}

static void
put_tables(struct buf *b, const struct fmp4_track *t)
{
	static const char *const empty[] = { "stts", "stsc", "stco" };
	size_t stbl = box_begin(b, "stbl"), at = box_full(b, "stsd", 0, 0);
	int i;

	buf_be32(b, 1);
	put_entry(b, t);
	box_end(b, at);
	for (i = 0; i < 3; i++) {
		at = box_full(b, empty[i], 0, 0);
		buf_be32(b, 0);
		box_end(b, at);
	}
	at = box_full(b, "stsz", 0, 0);
	buf_be32(b, 0);
	buf_be32(b, 0);
	box_end(b, at);
	box_end(b, stbl);
}

static void
put_media(struct buf *b, const struct fmp4_track *t)
{
	size_t mdia = box_begin(b, "mdia"), minf, at;

	at = box_full(b, "mdhd", 0, 0);
	buf_be32(b, 0);
	buf_be32(b, 0);
	buf_be32(b, t->timescale);
	buf_be32(b, 0);
	buf_be16(b, 0x55c4); /* "und" */
	buf_be16(b, 0);
	box_end(b, at);
	box_handler(b, t->video);
	minf = box_begin(b, "minf");
	box_media(b, t->video);
	put_tables(b, t);
	box_end(b, minf);
	box_end(b, mdia);
}

int
fmp4_init(struct buf *b, const struct fmp4_track *t)
{
	size_t moov, trak, at;

	if (!codec_packaged(t->codec->fourcc, false))
		return -ENOTSUP;
	at = box_begin(b, "ftyp");
	buf_append(b, "iso6\0\0\0\0iso6cmfcmp41", 20);
	box_end(b, at);
	moov = box_begin(b, "moov");
	at = box_full(b, "mvhd", 0, 0);
	box_zeros(b, 8);
	buf_be32(b, 1000);
	buf_be32(b, 0);
	buf_be32(b, 0x10000);
	buf_be16(b, 0x100);
	box_zeros(b, 10);
	box_matrix(b);
	box_zeros(b, 24);
	buf_be32(b, 2);
	box_end(b, at);
	trak = box_begin(b, "trak");
	at = box_full(b, "tkhd", 0, 3);
	box_zeros(b, 8);
	buf_be32(b, 1);
	box_zeros(b, 16);
	buf_be16(b, 0);
	buf_be16(b, 0);
	buf_be16(b, t->video ? 0 : 0x100);
	buf_be16(b, 0);
	box_matrix(b);
	buf_be32(b, t->video ? (uint32_t)t->codec->width << 16 : 0);
	buf_be32(b, t->video ? (uint32_t)t->codec->height << 16 : 0);
	box_end(b, at);
	put_media(b, t);
	box_end(b, trak);
	trak = box_begin(b, "mvex");
	at = box_full(b, "trex", 0, 0);
	buf_be32(b, 1);
	buf_be32(b, 1);
	box_zeros(b, 12);
	box_end(b, at);
	box_end(b, trak);
	box_end(b, moov);
	return b->error;
}

int
fmp4_styp(struct buf *b)
{
	size_t at = box_begin(b, "styp");

	buf_append(b, "msdh\0\0\0\0msdhmsixcmfs", 20);
	box_end(b, at);
	return b->error;
}

int
fmp4_id3(struct buf *b, uint32_t timescale, int64_t pts, uint32_t id, const uint8_t *id3, size_t n)
{
	static const char scheme[] = "https://aomedia.org/emsg/ID3";
	size_t at = box_full(b, "emsg", 1, 0);

	buf_be32(b, timescale);
	buf_be64(b, (uint64_t)pts);
	buf_be32(b, 0xffffffff); /* how long it holds: nobody knows */
	buf_be32(b, id);
	buf_append(b, scheme, sizeof(scheme));
	buf_u8(b, 0);
	buf_append(b, id3, n);
	box_end(b, at);
	return b->error;
}

int
fmp4_part(struct buf *b, uint32_t sequence, bool video, int64_t dts, const struct fmp4_sample *s,
	size_t count, const uint8_t *data)
{
	size_t moof = buf_len(b), traf, at, offset_at, total = 0, i;

	if (!count)
		return -EINVAL;
	box_begin(b, "moof");
	at = box_full(b, "mfhd", 0, 0);
	buf_be32(b, sequence);
	box_end(b, at);
	traf = box_begin(b, "traf");
	at = box_full(b, "tfhd", 0, 0x020000 | 0x20); /* default-base-is-moof, default flags */
	buf_be32(b, 1);
	buf_be32(b, SAMPLE_KEY);
	box_end(b, at);
	at = box_full(b, "tfdt", 1, 0);
	buf_be64(b, (uint64_t)dts);
	box_end(b, at);
	at = box_full(b, "trun", 1, 0x1 | 0x100 | 0x200 | (video ? 0x400 | 0x800 : 0));
	buf_be32(b, (uint32_t)count);
	offset_at = buf_len(b);
	buf_be32(b, 0);
	for (i = 0; i < count; i++) {
		buf_be32(b, s[i].dur);
		buf_be32(b, s[i].size);
		if (video) {
			buf_be32(b, s[i].key ? SAMPLE_KEY : SAMPLE_DELTA);
			buf_be32(b, (uint32_t)s[i].cts);
		}
		total += s[i].size;
	}
	box_end(b, at);
	box_end(b, traf);
	box_end(b, moof);
	if (total > UINT32_MAX - 8)
		return b->error = -EMSGSIZE;
	if (!b->error)
		put_be32(buf_data(b) + offset_at, (uint32_t)(buf_len(b) - moof + 8));
	buf_be32(b, (uint32_t)(total + 8));
	buf_append(b, "mdat", 4);
	buf_append(b, data, total);
	return b->error;
}
