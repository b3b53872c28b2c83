/*
 * origin answers requests from two folders: what is live under a root (and archived, if it is asked for),
 * and the player's files.
 *
 * Shape:  new, then origin_answer for each request, origin_sweep about once a second, free.
 * Rule:   a file is sent when it has a name we know how to label and no part of its path begins with
 *         a dot; version.h has how it is reached.
 *         What is about a stream passes the gate first; /check/STREAM says whether it would, for a shield.
 * Owner:  new takes both descriptors; player may be -1; the gate is borrowed, and so is the chat's address, or NULL.
 */
#ifndef LV_ORIGIN_H
#define LV_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"

struct origin;

struct origin_seen {
	char stream[65];    /* "" when the request was not about one */
	bool playlist;      /* a playlist of it was there and asked for */
};

/* Where the page's chat is: "/PATH" here, ":PORT" of this host, or a ws:// or wss:// URL. */
bool origin_chat_good(const char *where);
int origin_new(struct origin **, int root, int player, const struct gate *, bool archive, const char *chat);
void origin_answer(struct origin *, struct httpd_request *, const char *remote, struct origin_seen *);
void origin_sweep(struct origin *, int64_t now_ms);
void origin_free(struct origin **);

/* Answer with a few bytes of our own; cache is the Cache-Control value. */
void origin_say(struct httpd_request *, unsigned status, const char *type, const char *cache,
	const void *text, size_t n);

#endif
