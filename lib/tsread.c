#include "tsread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "ts.h"

#define H264 0x1b
#define AAC_ADTS 0x0f
#define WRAP ((int64_t)1 << 33)

enum { NAL_IDR = 5, NAL_SPS = 7, NAL_PPS = 8, NAL_AUD = 9 };

/* The time of 33 bits that is nearest to another. */
static int64_t
unwrap(int64_t t, int64_t near)
{
	int64_t d = (t - near) % WRAP;

	d = d < 0 ? d + WRAP : d;
	return near + (d >= WRAP / 2 ? d - WRAP : d);
}

/* The section that begins in a packet's payload; those of more than a packet are not for us. */
static const uint8_t *
section(const uint8_t *p, const uint8_t *end, unsigned table, const uint8_t **last)
{
	size_t n;

	if (p == end || (size_t)(end - p) < 1u + *p + 12)
		return NULL;
	p += 1 + *p;
	n = get_be16(p + 1) & 0xfff;
	if (*p != table || n < 9 || n + 3 > (size_t)(end - p))
		return NULL;
	*last = p + 3 + n - 4; /* before its CRC */
	return p;
}

static void
take_pat(struct tsread *t, const uint8_t *p, const uint8_t *end)
{
	if (t->pmt || !(p = section(p, end, 0, &end)))
		return;
	for (p += 8; end - p >= 4 && !t->pmt; p += 4)
		if (get_be16(p))
			t->pmt = get_be16(p + 2) & 0x1fff;
}

static void
take_pmt(struct tsread *t, const uint8_t *p, const uint8_t *end)
{
	size_t n;

	if (t->video.pid || t->audio.pid || !(p = section(p, end, 2, &end)))
		return;
	n = get_be16(p + 10) & 0xfff;
	if ((size_t)(end - p) < 12 || n > (size_t)(end - p) - 12)
		return;
	for (p += 12 + n; end - p >= 5; p += 5 + n) {
		n = get_be16(p + 3) & 0xfff;
		if (*p == H264 && !t->video.pid)
			t->video.pid = get_be16(p + 1) & 0x1fff;
		else if (*p == AAC_ADTS && !t->audio.pid)
			t->audio.pid = get_be16(p + 1) & 0x1fff;
		if (n + 5 > (size_t)(end - p))
			return;
	}
}

static int
add_frame(struct tsread_track *k, int64_t dts, int64_t pts, size_t offset, bool key)
{
	struct tsread_frame *more;
	size_t room;

	if (k->count == TSREAD_FRAMES_MAX)
		return -EMSGSIZE;
	if (k->count == k->room) {
		room = k->room ? 2 * k->room : 256;
		if (!(more = realloc(k->frame, room * sizeof(*more))))
			return -ENOMEM;
		k->frame = more;
		k->room = room;
	}
	k->frame[k->count++] = (struct tsread_frame){ dts, pts, offset, (uint32_t)(buf_len(&k->data) - offset), key };
	return 0;
}

/* Is it one of the configuration's own?  The first of each is the configuration. */
static bool
is_config(struct buf *own, const uint8_t *nal, size_t n)
{
	if (!buf_len(own))
		return buf_append(own, nal, n) == 0;
	return buf_len(own) == n && !memcmp(buf_data(own), nal, n);
}

/* An access unit: start codes become lengths. */
static int
take_picture(struct tsread *t, const uint8_t *p, const uint8_t *end, int64_t dts, int64_t pts)
{
	struct tsread_track *k = &t->video;
	size_t offset = buf_len(&k->data), n;
	const uint8_t *next;
	bool key = false;

	p = memmem(p, (size_t)(end - p), "\0\0\1", 3);
	for (; p; p = next) {
		p += 3;
		next = memmem(p, (size_t)(end - p), "\0\0\1", 3);
		n = (size_t)((next ? next : end) - p);
		while (n && !p[n - 1])
			n--; /* trailing zeros, and the next code's first */
		if (!n)
			continue;
		switch (*p & 31) {
		case NAL_AUD:
			continue;
		case NAL_SPS:
			if (n >= 4 && n <= UINT16_MAX && is_config(&t->sps, p, n))
				continue;
			break;
		case NAL_PPS:
			if (n <= UINT16_MAX && is_config(&t->pps, p, n))
				continue;
			break;
		case NAL_IDR:
			key = true;
			break;
		}
		buf_be32(&k->data, (uint32_t)n);
		buf_append(&k->data, p, n);
	}
	if (k->data.error)
		return k->data.error;
	return buf_len(&k->data) > offset ? add_frame(k, dts, pts, offset, key) : 0;
}

static const int rates[16] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350 };

/* Frames with ADTS headers; one that goes on in the next packet waits for it. */
static int
take_sound(struct tsread *t, const uint8_t *p, const uint8_t *end, int64_t pts)
{
	struct tsread_track *k = &t->audio;
	int64_t at = pts;
	int r = 0;

	if (buf_len(&k->rest)) {
		if (buf_append(&k->rest, p, (size_t)(end - p)) < 0)
			return k->rest.error;
		p = buf_data(&k->rest);
		end = p + buf_len(&k->rest);
		at = k->count ? k->last : pts; /* the time given is that of the first frame that begins here */
	}
	while (!r && end - p >= 7) {
		unsigned rate = p[2] >> 2 & 15, head = p[1] & 1 ? 7 : 9, channels = (p[2] & 1) << 2 | p[3] >> 6;
		size_t n = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5, offset;

		if (p[0] != 0xff || (p[1] & 0xf6) != 0xf0 || n < head || !rates[rate]) {
			p++; /* damaged: look for the next header */
			t->lost++;
			continue;
		}
		if (n > (size_t)(end - p))
			break;
		if (!buf_len(&k->config))
			buf_be16(&k->config, ((p[2] >> 6) + 1u) << 11 | rate << 7 | channels << 3);
		offset = buf_len(&k->data);
		if (buf_append(&k->data, p + head, n - head) < 0)
			return k->data.error;
		if (n > head)
			r = add_frame(k, at, at, offset, true);
		p += n;
		at += (1024 * 90000 + rates[rate] / 2) / rates[rate];
		k->last = at;
	}
	if (!r && p < end) {
		struct buf rest = { 0 };

		r = buf_append(&rest, p, (size_t)(end - p));
		buf_free(&k->rest);
		k->rest = rest;
	} else {
		buf_clear(&k->rest);
	}
	return r;
}

static int64_t
timestamp(const uint8_t *p)
{
	return (int64_t)(p[0] >> 1 & 7) << 30 | (int64_t)(get_be16(p + 1) >> 1) << 15 | get_be16(p + 3) >> 1;
}

/* A whole packet of a track. */
static int
take_pes(struct tsread *t, struct tsread_track *k)
{
	const uint8_t *p = buf_data(&k->pes), *end;
	int64_t pts, dts;
	size_t n;

	if (!k->open || buf_len(&k->pes) < 9 || get_be24(p) != 1)
		return 0;
	end = p + buf_len(&k->pes);
	n = get_be16(p + 4); /* 0: it ends where the next begins */
	if (n && n + 6 > (size_t)(end - p)) {
		t->lost++;
		return 0;
	}
	end = n ? p + 6 + n : end;
	if (!(p[7] & 0x80) || p[8] < (p[7] & 0x40 ? 10 : 5) || end - p < 9 + p[8]) {
		t->lost++; /* a packet without a time says nothing to us */
		return 0;
	}
	pts = unwrap(timestamp(p + 9), k->last);
	dts = p[7] & 0x40 ? unwrap(timestamp(p + 14), k->last) : pts;
	p += 9 + p[8];
	if (k == &t->audio)
		return take_sound(t, p, end, pts);
	k->last = dts;
	return take_picture(t, p, end, dts, pts);
}

static int
take_payload(struct tsread *t, struct tsread_track *k, bool start, int counter, const uint8_t *p, const uint8_t *end)
{
	int r = 0;

	if (k->counter >= 0 && counter != k->counter) {
		if (counter == ((k->counter + 15) & 15))
			return 0; /* the same packet again */
		t->lost++;
		k->open = false;
		buf_clear(&k->rest);
	}
	k->counter = (counter + 1) & 15;
	k->full = end - p == TS_PACKET - 4;
	if (start) {
		r = take_pes(t, k);
		buf_clear(&k->pes);
		k->open = true;
	}
	if (k->open && buf_len(&k->pes) + (size_t)(end - p) > TSREAD_PES_MAX)
		return -EMSGSIZE;
	if (!r && k->open)
		r = buf_append(&k->pes, p, (size_t)(end - p));
	return r;
}

static int
take_packet(struct tsread *t, const uint8_t *p)
{
	const uint8_t *end = p + TS_PACKET, *in = p + 4;
	unsigned pid = get_be16(p + 1) & 0x1fff;
	bool start = p[1] & 0x40;

	if (p[0] != 0x47 || p[1] & 0x80) {
		t->lost++;
		return 0;
	}
	if (!(p[3] & 0x10))
		return 0; /* no payload */
	if (p[3] & 0x20)
		in += 1 + *in;
	if (in >= end)
		return 0;
	if (pid == 0 && start)
		take_pat(t, in, end);
	else if (t->pmt && pid == t->pmt && start)
		take_pmt(t, in, end);
	else if (pid && pid == t->video.pid)
		return take_payload(t, &t->video, start, p[3] & 15, in, end);
	else if (pid && pid == t->audio.pid)
		return take_payload(t, &t->audio, start, p[3] & 15, in, end);
	return 0;
}

static void
begin_track(struct tsread_track *k, int64_t near)
{
	k->count = 0;
	buf_clear(&k->data);
	buf_clear(&k->config);
	buf_clear(&k->pes);
	buf_clear(&k->rest);
	k->open = false;
	k->counter = -1;
	k->pid = 0;
	k->last = near;
}

/* 14496-15 5.3.3.1 */
static int
put_avcc(struct tsread *t)
{
	struct buf *b = &t->video.config;
	const uint8_t *sps = buf_data(&t->sps);

	if (!buf_len(&t->sps) || !buf_len(&t->pps))
		return 0;
	buf_u8(b, 1);
	buf_append(b, sps + 1, 3);
	buf_u8(b, 0xff); /* lengths of 4 bytes */
	buf_u8(b, 0xe1);
	buf_be16(b, (uint32_t)buf_len(&t->sps));
	buf_append(b, sps, buf_len(&t->sps));
	buf_u8(b, 1);
	buf_be16(b, (uint32_t)buf_len(&t->pps));
	buf_append(b, buf_data(&t->pps), buf_len(&t->pps));
	if (sps[1] == 100 || sps[1] == 110 || sps[1] == 122 || sps[1] == 144) {
		buf_u8(b, 0xfd); /* 4:2:0 */
		buf_u8(b, 0xf8); /* 8 bits */
		buf_u8(b, 0xf8);
		buf_u8(b, 0);
	}
	return b->error;
}

int
tsread_segment(struct tsread *t, const uint8_t *p, size_t n, int64_t near)
{
	int r = 0;

	begin_track(&t->video, near);
	begin_track(&t->audio, near);
	buf_clear(&t->sps);
	buf_clear(&t->pps);
	t->lost = t->pmt = 0;
	for (; !r && n >= TS_PACKET; p += TS_PACKET, n -= TS_PACKET)
		r = take_packet(t, p);
	/* A file that was cut off: a picture without a length of its own may be, too. */
	t->unsure = buf_len(&t->video.pes) > 6 && !get_be16(buf_data(&t->video.pes) + 4);
	if (n > 0 && t->unsure)
		t->video.open = false;
	t->unsure &= n == 0 && t->video.full;
	t->lost += n > 0;
	if (!r)
		r = take_pes(t, &t->video);
	if (!r)
		r = take_pes(t, &t->audio);
	if (!r)
		r = put_avcc(t);
	return r < 0 ? r : t->video.count || t->audio.count ? 0 : -EBADMSG;
}

void
tsread_free(struct tsread *t)
{
	struct tsread_track *k;

	for (k = &t->video; k; k = k == &t->video ? &t->audio : NULL) {
		free(k->frame);
		buf_free(&k->data);
		buf_free(&k->config);
		buf_free(&k->pes);
		buf_free(&k->rest);
	}
	buf_free(&t->sps);
	buf_free(&t->pps);
	memset(t, 0, sizeof(*t));
}
