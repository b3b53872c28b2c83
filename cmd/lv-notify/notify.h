/* notify: what the files of lv-notify share. */
#ifndef LV_NOTIFY_NOTIFY_H
#define LV_NOTIFY_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "airing.h"
#include "buf.h"
#include "db.h"

/*
 * box: the followers' inboxes in Redis.
 *
 * For each broadcast Redis holds how far its followers have been told, as the name of the last
 * one; a batch is told in one script that moves that mark, and only from where it was thought
 * to be.  So each follower is told once, whoever dies and whoever else is telling.  An inbox is
 * a list, newest first: a Redis stream takes 4 KB for each follower, however little is in it.
 *
 * Errors: -EINVAL for a URL, -EACCES for one with a password; -EIO with box_why when Redis is
 *         away or refuses: open anew.
 */
#define BOX_MARK 140      /* bytes of a mark: a user's name and a sign */
#define BOX_ALL "*"       /* the mark when all have been told */
#define BOX_KEEP 50       /* messages in an inbox */
#define BOX_KEEP_S 2592000 /* s: an inbox that nobody adds to is forgotten after 30 days */

struct box;

int box_new(struct box **, const char *url, const char *password, const char **why);
void box_free(struct box **);
int box_open(struct box *); /* connects where it is not */
int box_mark(struct box *, const char *broadcast, char mark[BOX_MARK]); /* "" when none was told */

/* A batch goes out; users are count strings one behind the other.  box_told takes one answer. */
int box_tell(struct box *, const char *broadcast, const char *from, const char *to, const char *message,
	const char *users, int count);
int box_told(struct box *); /* 1; 0: the mark was not at from */
const char *box_why(const struct box *);

/* Tells all followers of a stream; false when a drain came first. */
struct broadcast {
	char stream[65], id[AIRING_ID];
	char ts[32];
};
bool tell_followers(struct box *, struct db *, const struct broadcast *);
extern const struct db_query follower_query;
extern struct telling_counts {
	uint64_t broadcasts, followers, failures;
	bool stalled;
} telling_counts;

#endif
