/* auth: what the files of lv-auth share. */
#ifndef LV_AUTH_AUTH_H
#define LV_AUTH_AUTH_H

#include <stdint.h>

#include "keys.h"
#include "whole.h"

/* The keys file in memory, read again when it changes; what is bad about it is complained of. */
struct keyring {
	const char *path;
	struct keys *keys;
	struct whole_id id; /* what was looked at last, good or not */
};

int keyring_open(struct keyring *, const char *path); /* 0, or an exit status after a message */
bool keyring_refresh(struct keyring *);               /* true when there are other keys now */
const struct key *keyring_find(const struct keyring *, const char *key);
void keyring_close(struct keyring *);

int keyring_status(int err); /* the exit status for a file that cannot be read or written */
void keyring_complain(int err, const char *doing, const char *path);

/* The coprocess: requests on descriptor 0, verdicts on 1.  An exit status. */
int filter_run(const char *keys_path, const char *state_path, int hold_s);

/* The operator's commands.  An exit status. */
struct hand {
	const char *path;
	const char *user, *app, *until;
	long max_kbps;
};
int hand_add(const struct hand *, const char *stream);
int hand_list(const struct hand *, const char *stream); /* NULL: all */
int hand_revoke(const struct hand *, const char *stream);
int hand_rotate(const struct hand *, const char *stream);
int hand_check(const struct hand *);

#endif
