/*
 * hook: what back ends are told and asked, in the words that they know; text in and out, no I/O.
 *
 * HOOK_SRS    JSON as SRS posts it: on_connect, on_publish, on_unpublish, on_close, on_play, on_stop,
 *             on_hls, on_dvr.  Yes is 200 or 201 with a body of 0 or {"code":0}.
 * HOOK_NGINX  a form as nginx-rtmp posts it: connect, publish, publish_done, disconnect, play, play_done,
 *             record_done.  Yes is 2xx.
 *             The publisher's own query comes last, less what would pass for a field of ours.
 * HOOK_JSON   our own: an event as it is, or a question {"ask":"publish",...}; signed.  Yes is 2xx
 *             with {"allow":true}; {"allow":false,"reason":TEXT} tells the publisher why not.
 * Errors: a builder gives the length or -EMSGSIZE.
 */
#ifndef LV_HOOK_H
#define LV_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOOK_TEXT 8192      /* bytes of a body */
#define HOOK_REASON 200     /* and of a reason, with its NUL */
#define HOOK_SIGNATURE 112  /* a header line */
#define HOOK_SECRET_MAX 512

enum hook_format { HOOK_SRS, HOOK_NGINX, HOOK_JSON };
enum hook_call { HOOK_PUBLISH, HOOK_UNPUBLISH, HOOK_PLAY, HOOK_STOP, HOOK_HLS, HOOK_DVR, HOOK_CONNECT,
	HOOK_CLOSE, HOOK_CALLS };

struct hook_facts { /* NULL where it is not known */
	const char *server, *client, *remote, *app, *tcurl, *stream, *query, *broadcast, *user, *agent;
	const char *file, *playlist; /* HOOK_HLS: below cwd; HOOK_DVR: the recording */
	const char *cwd;
	int64_t dur_ms, seq;
	int64_t received; /* HOOK_CLOSE: bytes */
};

int hook_format(const char *name); /* srs, nginx, json; -EINVAL */
const char *hook_type(enum hook_format); /* the header Content-Type, whole */
const char *hook_call_name(enum hook_format, enum hook_call); /* as it names it; NULL: it has none */
int hook_body(char text[HOOK_TEXT], enum hook_format, enum hook_call, const struct hook_facts *);
bool hook_allows(enum hook_format, int status, const char *body, size_t n, char reason[HOOK_REASON]);

/* "Lv-Signature: t=SECONDS,v1=HEX": HMAC-SHA256 of SECONDS, a dot and the body. */
int hook_sign(char line[HOOK_SIGNATURE], const void *secret, size_t secret_len, int64_t now_s,
	const void *body, size_t n);

#endif
