#include "fourcc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "flv.h"

const struct fourcc fourccs[FOURCCS] = {
	{ FLV_AVC, true, "avc1", { "h264", "avc" } },
	{ FLV_HEVC, true, "hvc1", { "hevc", "h265" } },
	{ FLV_AV1, true, "av01", { "av1" } },
	{ FLV_VP9, true, "vp09", { "vp9" } },
	{ FLV_VP8, true, "vp08", { "vp8" } },
	{ FLV_AAC, false, "mp4a", { "aac" } },
	{ FLV_OPUS, false, "Opus", { NULL } },
	{ FLV_FLAC, false, "fLaC", { NULL } },
	{ FLV_AC3, false, "ac-3", { "ac3" } },
	{ FLV_EAC3, false, "ec-3", { "eac3" } },
	{ FLV_MP3, false, ".mp3", { "mp3" } },
};

static bool
is_called(const struct fourcc *f, const char *s, size_t n)
{
	int i;

	if (n == strlen(f->name) && !strncasecmp(f->name, s, n))
		return true;
	for (i = 0; i < 2 && f->also[i]; i++)
		if (n == strlen(f->also[i]) && !strncasecmp(f->also[i], s, n))
			return true;
	return false;
}

int
fourccs_parse(const char *list, uint32_t *set)
{
	size_t n, i;

	for (*set = 0; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		for (i = 0; i < FOURCCS && !is_called(&fourccs[i], list, n); i++)
			;
		if (i == FOURCCS)
			return -EINVAL;
		*set |= 1U << i;
	}
	return *set ? 0 : -EINVAL;
}

bool
fourccs_have(uint32_t set, uint32_t code)
{
	size_t i;

	if (set == FOURCCS_ALL)
		return true;
	for (i = 0; i < FOURCCS; i++)
		if (fourccs[i].code == code)
			return set & 1U << i;
	return false;
}

void
fourccs_text(uint32_t set, char *text, size_t cap)
{
	size_t i, n = 0;

	*text = '\0';
	for (i = 0; i < FOURCCS; i++)
		if (set & 1U << i && n + 7 < cap) {
			if (n) {
				text[n++] = ',';
				text[n++] = ' ';
			}
			memcpy(text + n, fourccs[i].name, 5);
			n += 4;
		}
}
