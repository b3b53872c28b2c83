#include "m3u8.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"

void
m3u8_begin(struct buf *b, const struct m3u8_list *l)
{
	buf_printf(b, "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-TARGETDURATION:%d\n", l->version,
		l->target_s);
	buf_printf(b, "#EXT-X-MEDIA-SEQUENCE:%" PRId64 "\n#EXT-X-DISCONTINUITY-SEQUENCE:%" PRId64 "\n",
		l->sequence, l->discontinuity);
	if (l->vod)
		buf_printf(b, "#EXT-X-PLAYLIST-TYPE:%s\n", l->whole ? "VOD" : "EVENT");
	if (l->independent)
		buf_printf(b, "#EXT-X-INDEPENDENT-SEGMENTS\n");
}

void
m3u8_segment(struct buf *b, const struct m3u8_segment *s)
{
	char text[CLOCK_TEXT];

	if (s->discontinuity)
		buf_printf(b, "#EXT-X-DISCONTINUITY\n");
	if (s->map)
		buf_printf(b, "#EXT-X-MAP:URI=\"%s\"\n", s->map);
	if (s->wall_ms)
		buf_printf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", clock_text(text, s->wall_ms));
	if (s->gap)
		buf_printf(b, "#EXT-X-GAP\n");
	buf_printf(b, "#EXTINF:%" PRId64 ".%06" PRId64 ",\n%s\n", s->dur_us / 1000000,
		s->dur_us % 1000000, s->uri);
}

void
m3u8_end(struct buf *b)
{
	buf_printf(b, "#EXT-X-ENDLIST\n");
}

void
m3u8_master(struct buf *b, int version, bool independent)
{
	buf_printf(b, "#EXTM3U\n#EXT-X-VERSION:%d\n", version);
	if (independent)
		buf_printf(b, "#EXT-X-INDEPENDENT-SEGMENTS\n");
}

void
m3u8_audio(struct buf *b, const char *group, const char *uri, int channels)
{
	buf_printf(b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"%s\",NAME=\"Sound\",LANGUAGE=\"und\","
		      "DEFAULT=YES,AUTOSELECT=YES", group);
	if (channels)
		buf_printf(b, ",CHANNELS=\"%d\"", channels);
	buf_printf(b, ",URI=\"%s\"\n", uri);
}

void
m3u8_captions(struct buf *b, const char *channel, const char *language)
{
	buf_printf(b, "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"" M3U8_CAPTIONS "\",NAME=\"%s\",LANGUAGE=\"%s\","
		      "DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"%s\"\n", channel, language, channel);
}

void
m3u8_variant(struct buf *b, const struct m3u8_variant *v)
{
	buf_printf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
		      ",CODECS=\"%s\"", v->bandwidth, v->average, v->codecs);
	if (v->width)
		buf_printf(b, ",RESOLUTION=%dx%d", v->width, v->height);
	if (v->fps > 0)
		buf_printf(b, ",FRAME-RATE=%.3f", v->fps);
	if (v->range)
		buf_printf(b, ",VIDEO-RANGE=%s", v->range);
	if (v->audio)
		buf_printf(b, ",AUDIO=\"%s\"", v->audio);
	if (v->captions && !strcmp(v->captions, "NONE"))
		buf_printf(b, ",CLOSED-CAPTIONS=NONE");
	else if (v->captions)
		buf_printf(b, ",CLOSED-CAPTIONS=\"%s\"", v->captions);
	buf_printf(b, "\n%s\n", v->uri);
}
