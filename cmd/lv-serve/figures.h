/*
 * figures: what --metrics tells of the origin.
 *
 * Shape:  reply and cut as they happen, fill when it is asked for.
 */
#ifndef LV_SERVE_FIGURES_H
#define LV_SERVE_FIGURES_H

#include <stdint.h>

#include "httpd.h"
#include "metricsd.h"
#include "viewers.h"

void figures_reply(const char *target, unsigned status, uint64_t bytes);
void figures_cut(const char *why);
void figures_fill(struct metrics *, const struct httpd *, const struct viewers *);

#endif
