/* report: what was found in an archive, and what became of it, as a JSON object. */
#ifndef LV_VOD_REPORT_H
#define LV_VOD_REPORT_H

#include "recording.h"

int report_write(int fd, const struct recording *, const struct archive *, const char *output); /* a line */
void report_warn(const struct recording *, const struct archive *); /* for people, in a few lines */

#endif
