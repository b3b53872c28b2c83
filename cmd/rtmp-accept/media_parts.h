/* media_parts: what the parts of the keeper's media share. */
#ifndef RTMP_ACCEPT_MEDIA_PARTS_H
#define RTMP_ACCEPT_MEDIA_PARTS_H

#include "flv.h"
#include "health.h"
#include "keeper.h"

/* media_headers.c */
bool headers_known(const struct flv_tag *, uint8_t track); /* keeps it; true when it says nothing new */
bool headers_get(int i, struct flv_tag *);                 /* the i-th that is kept; borrows, without a time */

/* media_health.c */
extern struct health media_health;
void media_look(int64_t now);
void media_say_problems(unsigned began, unsigned ended); /* sets of 1 << enum health_problem */

#endif
