/*
 * keys: the keys file, which says who may publish: text in, answers out, edits as new text.
 *
 * A line: STREAM sha256:HEX [user=ID] [app=NAME] [max_kbps=N] [until=RFC3339] [adobe=BASE64] [off]
 * Blank lines and what follows a # at the start of a word are comments.
 *
 * Shape:  keys_parse, any number of finds and walks, keys_free.  The edits work on the text and
 *         leave every line they do not change as it is, comments and faulty lines too.
 * Owner:  the keys own their entries; a found entry is good until keys_free.
 * Errors: a faulty line admits nobody; the first one is kept with its number for a message.
 */
#ifndef LV_KEYS_H
#define LV_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define KEYS_FILE_MAX (16 << 20)
#define KEYS_LINE_MAX 1024
#define KEYS_KEY_MAX 255   /* bytes of a key as a publisher sends it */
#define KEYS_DIGEST 32     /* bytes of SHA-256 */
#define KEYS_STREAM_MAX 64 /* [A-Za-z0-9_-] */
#define KEYS_WORD_MAX 128  /* bytes of a user or an app */
#define KEYS_ADOBE 25       /* base64(md5(stream ADOBE_SALT key)): the key as a password, see adobe.h */
#define KEYS_KEY_TEXT 33   /* a new key: 160 bits as 32 characters, and a NUL */

struct key {
	uint8_t digest[KEYS_DIGEST];
	char stream[KEYS_STREAM_MAX + 1];
	char user[KEYS_WORD_MAX + 1], app[KEYS_WORD_MAX + 1]; /* empty: none, any */
	char adobe[KEYS_ADOBE];                               /* empty: no password */
	int64_t max_kbps;                                     /* 0: no bound */
	int64_t until_ms;                                     /* 0: for ever */
	bool off;
	int line;
};

struct keys {
	struct key *all; /* by digest, until keys_by_line */
	size_t count;
	int bad_count, bad_line;
	const char *bad_why;
};

int keys_parse(struct keys **, const char *text, size_t n); /* 0, -ENOMEM */
void keys_free(struct keys **);

/* The entry of a key, in constant time for equal prefixes; NULL when it is unknown. */
const struct key *keys_find(const struct keys *, const uint8_t digest[KEYS_DIGEST]);

/* The next entry after this one (NULL: the first) whose stream is user and that has a password. */
const struct key *keys_of_user(const struct keys *, const struct key *, const char *user);

/* NULL when this entry admits a publisher to app now, otherwise why not, for the operator. */
const char *keys_refusal(const struct key *, const char *app, int64_t now_ms);

/* Sorts the entries as they are in the file, for a listing; keys_find is over then. */
void keys_by_line(struct keys *);

bool keys_stream_on(const struct keys *, const char *stream); /* some key of it is not off */

bool keys_stream_good(const char *name);
bool keys_word_good(const char *word); /* a user or an app: printable, no blanks, no # */
bool keys_digest(const char *text, uint8_t digest[KEYS_DIGEST]); /* sha256:HEX */
int64_t keys_date(const char *text);   /* RFC 3339 as Unix milliseconds, -1 when it is not */

/* The text of a key from 20 random bytes. */
void keys_text(char text[KEYS_KEY_TEXT], const uint8_t random[20]);

/* Edits: old text in, new text appended to out.  They give the number of lines that changed. */
int keys_edit_add(struct buf *out, const char *text, size_t n, const struct key *);
int keys_edit_revoke(struct buf *out, const char *text, size_t n, const char *stream);
int keys_edit_rotate(struct buf *out, const char *text, size_t n, const char *stream,
	const uint8_t digest[KEYS_DIGEST], const char adobe[KEYS_ADOBE]); /* kept where there was one */

#endif
