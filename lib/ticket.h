/*
 * ticket: who somebody is and what he may do in which room, as a signed JWT says it; the one place
 * that calls libjwt.  What a client says of itself is never believed, what a ticket says is.
 *
 * Key:    a file with a secret of 32 bytes or more signs and checks with HS256; a PEM file with an
 *         EC P-256 key does with ES256: the private one signs, the public one checks.
 *         The algorithm belongs to the key: a token that names another one is refused.
 * Checks: size, signature, algorithm, no "crit", exp (must be there), nbf and iat, aud, iss, and
 *         the shape of every claim that is used.
 * Errors: ticket_read gives 0, or -EACCES and *why for the log; nothing of a bad ticket is kept.
 * Spec:   RFC 7515, 7518 (section 3.2: the length of a secret), 7519; RFC 8725 for what to refuse.
 */
#ifndef LV_TICKET_H
#define LV_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define TICKET_TEXT_MAX 2048 /* bytes of a token */
#define TICKET_KEY_MAX 8192  /* bytes of a key file */
#define TICKET_SECRET_MIN 32
#define TICKET_USER_MAX 128
#define TICKET_NAME_MAX 64
#define TICKET_STREAM_MAX 64
#define TICKET_BADGES 8
#define TICKET_BADGE_MAX 32
#define TICKET_SKEW_S 30 /* between the clocks of who signs and who checks */
#define TICKET_ISSUER "lv-auth"

enum ticket_role { TICKET_VIEWER, TICKET_MOD, TICKET_OWNER, TICKET_SERVICE };

struct ticket {
	char user[TICKET_USER_MAX + 1]; /* sub: the person, whatever the name */
	char name[TICKET_NAME_MAX + 1]; /* to be shown; the user where the token has none */
	char stream[TICKET_STREAM_MAX + 1]; /* the room, or "*" */
	enum ticket_role role;
	char badges[TICKET_BADGES][TICKET_BADGE_MAX + 1];
	size_t badge_count;
	int tier;           /* of the subscription to the stream; 0: none */
	int64_t followed_s; /* follows the stream since this Unix second; 0: does not */
	int64_t exp_s;
};

struct ticket_key;

int ticket_key_new(struct ticket_key **, const void *, size_t); /* -EINVAL: too short, or no key */
void ticket_key_free(struct ticket_key **);

int ticket_read(struct ticket *, const struct ticket_key *, const char *text, size_t n,
	const char *audience, int64_t now_s, const char **why);
int ticket_write(struct buf *, const struct ticket_key *, const struct ticket *,
	const char *audience, int64_t now_s); /* -EINVAL: this key cannot sign */

const char *ticket_role_text(enum ticket_role);
int ticket_role(const char *text); /* -EINVAL for a word that is none */
bool ticket_word_good(const char *, size_t n, size_t max); /* 1 to max bytes of UTF-8, no controls */

#endif
