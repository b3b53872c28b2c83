/* auth: what the files of lv-auth share. */
#ifndef LV_AUTH_AUTH_H
#define LV_AUTH_AUTH_H

#include <poll.h>
#include <stdint.h>

#include <popt.h>

#include "ask.h"
#include "buf.h"
#include "db.h"
#include "hash.h"
#include "keys.h"
#include "metrics.h"
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
const struct key *keyring_user(const struct keyring *, const struct adobe_answer *); /* its password */
bool keyring_password_good(const struct key *, const struct adobe_answer *);
void keyring_close(struct keyring *);
/* base64(md5(a b c)), the two hashes of a password (adobe.h). */
int keyring_password(char out[HASH_MD5_TEXT], const char *a, const char *b, const char *c);

int keyring_status(int err); /* the exit status for a file that cannot be read or written */
void keyring_complain(int err, const char *doing, const char *path);

/* Verdicts, and what else the door is told; each appends a line to out. */
struct verdict {
	const char *stream, *user, *broadcast;
	int64_t origin_ms, epoch, max_kbps, until_ms; /* the last two: 0 is no bound */
	bool resumed;
};
void verdict_allow(struct buf *out, const char *id, const struct verdict *);
void verdict_refuse(struct buf *out, const char *id, const char *reason);
void verdict_busy(struct buf *out, const char *id, const char *stream); /* somebody publishes it */
void verdict_kick(struct buf *out, const char *stream, const char *reason);

/*
 * A store knows the keys and keeps the broadcasts: a keys file with a state file, or a database.
 * It answers into out, at once or later, every question once.
 */
struct store {
	void (*publish)(struct store *, const struct ask *);
	int (*notice)(struct store *, const struct ask *); /* 1: taken, 0: of nothing known, -errno */
	void (*turn)(struct store *);                      /* after input, and now and then */
	int (*watch)(struct store *, struct pollfd *, int most_ms); /* what to poll; how long */
	bool (*busy)(struct store *);                               /* an answer is still to come */
	void (*fill)(const struct store *, struct metrics *); /* NULL: there is nothing to tell */
	void (*close)(struct store **);
	struct buf out;
};

/* 0, or an exit status after a message.  Without keys_path every name is a key, for a judge to judge. */
int filestore_open(struct store **, const char *keys_path, const char *state_path, int hold_s);

struct dbstore_config {
	const char *url, *journal_path, *box; /* the last two: or NULL */
	int hold_s, cache_s;                  /* cache_s: 0 is none; else there is a journal_path */
	bool takeover;                        /* a stream that another box publishes may be had */
};
int dbstore_open(struct store **, const struct dbstore_config *);

/* A back end that is asked as well; takes the store and gives another in its place, closed on error. */
int hookstore_open(struct store **, const char *url);

/* The coprocess: requests on descriptor 0, verdicts on 1.  An exit status. */
int filter_run(struct store *);

/* Keys in a database: the rows are those of DBKEY_SELECT, with a condition behind it. */
#define DBKEY_SELECT                                                                               \
	"select id::text, stream, coalesce(user_id::text, ''), coalesce(app, ''), coalesce(max_kbps, 0), "  \
	"coalesce(floor(extract(epoch from good_until) * 1000), 0)::bigint, coalesce(is_active, false), key, " \
	"coalesce(adobe, '') from stream_keys"
#define DBKEY_TEXT (7 + 2 * HASH_BYTES + 1) /* sha256:HEX */
void dbkey_digest(char text[DBKEY_TEXT], const uint8_t digest[HASH_BYTES]);
int dbkey_text(char text[DBKEY_TEXT], const char *key); /* 0 or -EIO */
bool dbkey_read(struct key *, char id[64], const struct db_rows *, int row); /* false: not one of ours */
const char *dbstate_hint(const char *state); /* for a message: what to do about this SQLSTATE, or "" */
int dburl_refuse(int err, const char *why); /* what db_new said: a message, the exit status */

/* The operator's commands, on a keys file or a database.  An exit status. */
struct hand {
	const char *path, *url;
	const char *user, *app, *until;
	long max_kbps;
	bool adobe; /* the key is a password too */
};
int hand_add(const struct hand *, const char *stream);
int hand_list(const struct hand *, const char *stream); /* NULL: all */
int hand_revoke(const struct hand *, const char *stream);
int hand_rotate(const struct hand *, const char *stream);
int hand_check(const struct hand *);

int dbhand_add(const struct hand *, const char *stream);
int dbhand_list(const struct hand *, const char *stream);
int dbhand_revoke(const struct hand *, const char *stream);
int dbhand_rotate(const struct hand *, const char *stream);
int dbhand_check(const struct hand *);

/* What both hands do. */
int hand_new_key(char text[KEYS_KEY_TEXT], uint8_t digest[HASH_BYTES]);
int hand_show_key(const char *stream, char key[KEYS_KEY_TEXT]);
#define HAND_NO_KEY "no key of 1 to 255 bytes on standard input"
int hand_read_key(char key[KEYS_KEY_MAX + 2]); /* from standard input: 0, -EMSGSIZE, -EINVAL */
void hand_list_key(const struct key *, int64_t now_ms);
int hand_tell_check(const char *stream, const char *why); /* why: NULL when it is admitted */
int hand_finish(const char *lost); /* standard output ends here, and whether it was taken matters */

/* ban, unban, follow, unfollow, gift, vod: on a database only.  An exit status. */
#define PEOPLE_GIFTS_MAX 1000
extern const struct poptOption people_options[];
bool people_command(const char *name);
bool people_options_given(void);
int people_run(const char *url, char **args, const char *until);

/* Tokens, for the chat and for viewers: "token STREAM".  An exit status. */
extern const struct poptOption token_options[];
int token_run(char **args, const char *user);

extern const int schema_version;
int schema_print(void);

#endif
