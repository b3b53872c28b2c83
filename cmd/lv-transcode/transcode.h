/*
 * transcode: tags of one stream in, tags of its ladder out, in the order of their DTS.
 *
 * What comes first is held until the picture's size is known (or that there is none); then the
 * ladder is decided and all goes through: the source as it is, its decoded pictures and sound into
 * every rung.  Every rung has an IDR picture at each IDR of the source, and at the picture nearest
 * each target duration after it when the next one is late.  A mark (but a tick) is a barrier: all
 * that came before it leaves before it.
 *
 * Shape:  new; tag for each tag, then take what is in transcode_out; finish at the end, free.
 * Units:  milliseconds.
 * Errors: -ENOMEM, -EMSGSIZE; -ENOTSUP when no encoder opens.  Damaged media is counted, no error.
 */
#ifndef LV_TRANSCODE_H
#define LV_TRANSCODE_H

#include <stdbool.h>

#include <libavutil/frame.h>

#include "flv.h"
#include "ladder.h"

struct transcode_options {
	struct ladder asked;
	int target_ms;
	bool live;                /* behind the clock means shedding */
	int state;                /* the folder where the state is kept, or -1 */
	const char *state_name;
	int poster;               /* likewise */
	const char *poster_name;
	bool freeze;              /* while nobody publishes the rungs show the last picture, */
	AVFrame *slate;           /* or this one, which is borrowed; or they have gaps */
};

struct transcode;
int transcode_new(struct transcode **, const struct transcode_options *);
int transcode_tag(struct transcode *, const struct flv_tag *);
int transcode_finish(struct transcode *);
struct buf *transcode_out(struct transcode *); /* what may leave; the caller consumes it */
bool transcode_orphan(const struct transcode *); /* the input had marks, and no end */
int64_t transcode_time(const struct transcode *); /* of the newest tag */
void transcode_free(struct transcode **);

#endif
