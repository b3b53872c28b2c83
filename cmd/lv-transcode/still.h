/*
 * still: the first picture of a file, of whatever libavformat reads.
 *
 * Owner:  the caller frees the frame.
 * Errors: -ENOMEM, or what libavformat and libavcodec said; avmux_error has the words.
 */
#ifndef LV_STILL_H
#define LV_STILL_H

#include <libavutil/frame.h>

int still_read(const char *path, AVFrame **);

#endif
