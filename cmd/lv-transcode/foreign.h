/*
 * foreign: media in any container that libavformat reads, turned into FLV.
 *
 * Shape:  new with what was read of the input already; next until 0, each appending FLV bytes.
 * Owner:  read gives bytes, 0 at the end, or -errno.
 * Errors: -EBADMSG when it is no media, -ENOTSUP for codecs that Enhanced RTMP has no name for (why says so).
 */
#ifndef LV_FOREIGN_H
#define LV_FOREIGN_H

#include <stddef.h>
#include <sys/types.h>

#include "buf.h"

#define FOREIGN_WHY 160

struct foreign;
typedef ssize_t foreign_read_fn(void *arg, void *, size_t);
int foreign_new(struct foreign **, const void *begin, size_t, foreign_read_fn *, void *arg,
	char why[FOREIGN_WHY]);
int foreign_next(struct foreign *, struct buf *flv);
void foreign_free(struct foreign **);

#endif
