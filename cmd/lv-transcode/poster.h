/*
 * poster: a JPEG of the live picture, written whole every POSTER_MS of media.
 *
 * Errors: -errno of the file, or what the encoder said; the next picture due is tried again.
 */
#ifndef LV_POSTER_H
#define LV_POSTER_H

#include <libavutil/frame.h>

#define POSTER_MS 10000
#define POSTER_SIDE 640 /* its longer side, at most */

struct poster;
int poster_new(struct poster **, int folder, const char *name); /* borrows both */
int poster_look(struct poster *, const AVFrame *); /* pts in milliseconds */
void poster_free(struct poster **);

#endif
