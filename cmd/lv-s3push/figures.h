/* figures: what --metrics tells of the way into the buckets. */
#ifndef LV_S3PUSH_FIGURES_H
#define LV_S3PUSH_FIGURES_H

#include "metricsd.h"
#include "target.h"

void figures_fill(struct metrics *, struct target *const *, size_t);

#endif
