#include "captions.h"

#include <string.h>

#include "av1.h"
#include "flv.h"
#include "nal.h"

#define SEI_MAX 4096 /* bytes of a NAL unit that are looked at */
#define USA 0xb5     /* the country code */

enum { H264_SEI = 6, HEVC_PREFIX_SEI = 39, SEI_T35 = 4, OBU_METADATA = 5, METADATA_T35 = 4 };

/* user_data_registered_itu_t_t35 behind its country code. */
static size_t
find_in_t35(const uint8_t *p, size_t n, uint8_t *to)
{
	static const uint8_t atsc[] = { 0x00, 0x31, 'G', 'A', '9', '4', 3 };
	size_t bytes;

	if (n < sizeof(atsc) + 2 || memcmp(p, atsc, sizeof(atsc)) || !(p[sizeof(atsc)] & 0x40))
		return 0;
	bytes = (p[sizeof(atsc)] & 31) * (size_t)CAPTIONS_TRIPLE;
	if (bytes > n - sizeof(atsc) - 2)
		return 0;
	memcpy(to, p + sizeof(atsc) + 2, bytes);
	return bytes;
}

static size_t
find_in_sei(const uint8_t *nal, size_t size, uint8_t *to)
{
	uint8_t raw[SEI_MAX];
	size_t n = nal_unescape(raw, sizeof(raw), nal, size), at = 0, type, len, got;

	while (at + 2 < n) {
		for (type = 0; at < n && raw[at] == 255; at++)
			type += 255;
		type += at < n ? raw[at++] : 0;
		for (len = 0; at < n && raw[at] == 255; at++)
			len += 255;
		len += at < n ? raw[at++] : 0;
		if (len > n - at)
			return 0;
		if (type == SEI_T35 && len && raw[at] == USA && (got = find_in_t35(raw + at + 1, len - 1, to)))
			return got;
		at += len;
	}
	return 0;
}

static size_t
find_in_obus(const uint8_t *p, size_t size, uint8_t *to)
{
	const uint8_t *end = p + size;
	struct av1_obu o;
	size_t got;

	while (av1_obu_next(&p, end, &o))
		if (o.type == OBU_METADATA && o.size > 2 && o.body[0] == METADATA_T35 && o.body[1] == USA &&
			(got = find_in_t35(o.body + 2, o.size - 2, to)))
			return got;
	return 0;
}

size_t
captions_find(uint32_t fourcc, const uint8_t *frame, size_t size, int nal_len, uint8_t to[CAPTIONS_FRAME_MAX])
{
	const uint8_t *end = frame + size, *nal;
	size_t n, got, head;
	bool hevc = fourcc == FLV_HEVC;

	if (fourcc == FLV_AV1)
		return find_in_obus(frame, size, to);
	if (fourcc != FLV_AVC && !hevc)
		return 0;
	head = hevc ? 2 : 1;
	while ((n = nal_next(&frame, end, nal_len, &nal))) {
		int type = hevc ? nal[0] >> 1 & 63 : nal[0] & 31;

		if (hevc ? type < 32 : type && type <= 5)
			return 0; /* the picture itself: messages come before it */
		if (type == (hevc ? HEVC_PREFIX_SEI : H264_SEI) && n > head &&
			(got = find_in_sei(nal + head, n - head, to)))
			return got;
	}
	return 0;
}

bool
captions_padding(const uint8_t t[CAPTIONS_TRIPLE])
{
	return !(t[0] & 4) || ((t[0] & 3) < 2 && !((t[1] | t[2]) & 127));
}

/* A command that opens a caption mode names the channel; what is text, or about the programme, does not. */
static unsigned
channel_608(int field, uint8_t a, uint8_t b)
{
	a &= 127;
	b &= 127;
	if ((a & 0x76) == 0x14 && (b == 0x20 || (b >= 0x25 && b <= 0x27) || b == 0x29))
		return 1u << (CAPTIONS_SERVICES + 2 * field + (a >> 3 & 1));
	return 0;
}

/* The first block of a packet; its others begin a packet some time. */
static unsigned
channel_708(uint8_t block)
{
	int number = block >> 5;

	return number >= 1 && number <= CAPTIONS_SERVICES && block & 31 ? 1u << (number - 1) : 0;
}

unsigned
captions_channels(const uint8_t *p, size_t n)
{
	unsigned all = 0;

	for (; n >= CAPTIONS_TRIPLE; p += CAPTIONS_TRIPLE, n -= CAPTIONS_TRIPLE) {
		int type = p[0] & 3;

		if (p[0] & 4)
			all |= type < 2 ? channel_608(type, p[1], p[2]) : type == 3 ? channel_708(p[2]) : 0;
	}
	return all;
}

static const char *const names[CAPTIONS_CHANNELS] = { "SERVICE1", "SERVICE2", "SERVICE3", "SERVICE4", "SERVICE5",
	"SERVICE6", "CC1", "CC2", "CC3", "CC4" };

int
captions_named(const char *name, size_t n)
{
	int i;

	for (i = 0; i < CAPTIONS_CHANNELS; i++)
		if (strlen(names[i]) == n && !memcmp(name, names[i], n))
			return i;
	return -1;
}

const char *
captions_name(int number)
{
	return names[number];
}
