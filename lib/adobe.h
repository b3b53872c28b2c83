/*
 * adobe: user and password as encoders know them from Flash Media Server ("authmod=adobe"), the
 * server's side of it; no I/O.
 *
 * A client connects three times.  The first connection is refused because nobody is named, the
 * second with a salt and a challenge for the user that it names, and the third brings the response.
 * Nothing is kept between them: the challenge is a token that only its maker can make, good for
 * ADOBE_SECONDS, for that user.
 *
 * The response is base64(md5(base64(md5(user salt password)) challenge own)), own being the client's;
 * who knows the password, or the inner hash, compares it.
 */
#ifndef LV_ADOBE_H
#define LV_ADOBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADOBE_SALT "lv" /* one for all: the inner hash is made when the password is */
#define ADOBE_SECONDS 60
#define ADOBE_TOKEN 41
#define ADOBE_TEXT 512

struct adobe {
	char app[129]; /* whose publishers are asked; "": nobody is */
	uint8_t secret[32];
	int64_t now_s;
};

struct adobe_answer {
	char user[129], challenge[ADOBE_TOKEN], own[129], response[33];
};

/* True when query brings a response to a challenge of ours; else what the connection is refused with. */
bool adobe_take(const struct adobe *, const char *query, struct adobe_answer *, char text[ADOBE_TEXT]);

#endif
