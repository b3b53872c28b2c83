/* What a packager reads of decoder configurations and frames: avcC, SPS, NAL units, AAC. */
#include <errno.h>
#include <stdint.h>

#include "aac.h"
#include "buf.h"
#include "h264.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[H264_CODEC];
	struct h264_config h264 = { 0 };
	struct aac_config aac;
	struct buf joined = { 0 }, twice = { 0 };

	if (h264_config_parse(data, size, &h264) == 0) {
		h264_codec(text, &h264);
		if (h264.width < 1 || h264.height < 1 || h264.width > H264_SIDE_MAX)
			__builtin_trap();
	}
	h264_sps_parse(data, size, &h264);
	h264_idr(data, size, 4);
	h264_idr(data, size, 1);
	if (h264_config_join(&joined, data, size / 2, data + size / 2, size - size / 2) == 0) {
		if (buf_data(&joined)[5] & 31 &&
			h264_config_join(&twice, buf_data(&joined), buf_len(&joined), buf_data(&joined), buf_len(&joined)) != -EEXIST)
			__builtin_trap(); /* it has its own numbers already */
		buf_free(&joined);
	}
	if (aac_config_parse(data, size, &aac) == 0 && (aac.rate < 1000 || aac.frame < 960))
		__builtin_trap();
	return 0;
}
