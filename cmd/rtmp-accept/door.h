/*
 * door: the parent of rtmp-accept.  It listens, counts, asks the coprocess, starts sessions and
 * keepers and hands publishers over; it reads no byte from the network.
 *
 * cert.c     the certificate, and the TLS process of a connection
 * auth.c     the coprocess: lines out, lines in, its restarts
 * address.c  who may come, and how often
 * clients.h  connections: who is there, their sessions, questions and verdicts
 * control.c  what an operator asks for
 * figures.c  what --metrics tells
 * keepers.h  the keepers of broadcasts: started, adopted, restarted
 * notes.c    what they leave behind
 * upgrade.c  another binary in our place
 * listeners.c  where connections come from
 * main.c     options, signals
 */
#ifndef RTMP_ACCEPT_DOOR_H
#define RTMP_ACCEPT_DOOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cidr.h"
#include "ipc.h"
#include "sha256.h"
#include "metricsd.h"

#define DOOR_LIMIT_MAX 100000 /* of connections */
#define DOOR_WAIT_MS 3000    /* for a verdict, or for a keeper to take a publisher */
#define DOOR_AUTH_MUTE_MS 10000 /* without any answer while requests wait: restarted */
#define DOOR_AUTH_CLOSED_MS 1000 /* an output closed by one that goes on: ended */
#define DOOR_AUTH_LINE (16 << 10)
#define DOOR_AUTH_QUEUE (1 << 20)

struct door {
	struct ev_loop *loop;
	char **program;    /* with its arguments */
	char **events;     /* as given by --events, for the keepers */
	const char *auth;
	const char *run_dir, *play_url;
	int max_connections, max_pending, max_pending_address, max_rate_address, max_failures_address;
	int merge_ms; /* crowd.h */
	int publish_ms, silence_ms, grace_ms, lag_ms, queue_kb, health_ms, sandbox;
	int64_t nofile;    /* the limit that programs are given back */
	struct adobe adobe; /* the app whose publishers have user and password; a secret for our tokens */
	bool draining;
	uint32_t codecs; /* fourcc.h */
	bool takeover; /* a live publisher gives way to a newcomer with its key */
};
extern struct door door;

/* main.c */
void door_drain(int64_t ms); /* nobody new; what still runs then is ended, and we leave */

struct verdict { /* of the coprocess, checked */
	char id[65], reason[256];
	bool allow, resumed, busy;
	char stream[65], user[65], broadcast[27];
	int64_t origin_ms, epoch, until_ms;
	int max_kbps;
	char env[4096]; /* NAME=VALUE, each with its NUL */
	uint32_t env_len;
};

/* auth.c.  auth_ask and auth_tell give -EAGAIN while the coprocess is away. */
int auth_start(void);
int auth_ask(const struct ipc_ask *, const char *listener, const char *proto, const char *session, const char *remote);
void auth_notice(const char *notice, const char *session, const char *broadcast);
void auth_live(const struct keep_state *); /* a session that runs */
void auth_sync(void);                      /* all that run were told */
void auth_line(const char *line);          /* a notice of a keeper */
void auth_tick(int64_t now_ms);
void auth_stop(void);
bool auth_runs(void);

/* upgrade.c */
void upgrade_prepare(char **argv);
const char *upgrade_ask(void); /* NULL, or why not */
void upgrade_tick(int64_t now_ms);

/* address.c */
void address_options(char **allow, char **deny, char **proxy);
bool address_front_end(const char *ip); /* its connections begin with a PROXY header */
const char *address_refusal(const char *ip, bool exempt); /* counts it; exempt: but for the lists */
void address_failed(const char *ip);

/* listeners.c.  What cannot be listened on ends the process. */
enum listener_kind { LISTENER_RTMP, LISTENER_RTMPS, LISTENER_AGENT };
void listeners_open(char **where, const char *option, enum listener_kind);
void listeners_passed(void); /* by systemd */
bool listeners_inherited(void); /* from the binary before us: then no others are opened */
void listeners_hand_on(bool on);  /* to the one after us */
void listeners_pause(bool on);    /* who connects waits */
bool listeners_want(enum listener_kind);
uint16_t listeners_port(void); /* of the first */
void listeners_start(void);
void listeners_stop(bool all); /* else the agents' stay */

/* control.c */
void control_open(const char *where); /* NULL: in the run directory; dies when that cannot be */
void control_close(void);

/* figures.c */
void figures_fill(void *, struct metrics *);

/* cert.c */
void cert_open(const char *cert, const char *key); /* leaves when they are not good */
void cert_reload(void);                            /* what is not good does not replace what was */
bool cert_reaped(pid_t, int status);               /* it was the look at the new ones */
int cert_start(int tcp, int session, int why, bool proxied, pid_t *); /* borrows all */

/* clients.c */
/* Takes fd, borrows for good the listener's name. */
int clients_accept(int fd, const struct sockaddr *, socklen_t, const char *listener, bool tls);
void clients_verdict(const struct verdict *);
void clients_taken(const char *session, bool ok, uint32_t code, const char *reason);
void clients_yielded(const char *session); /* who was in its way has gone, or stays */
void clients_auth_lost(void); /* whoever waits for a verdict is refused */
bool clients_wait_for_auth(void);
void clients_put_held(void); /* adopted keepers have said what they keep */
void clients_tick(int64_t now_ms);
void clients_reaped(pid_t, int status);
void clients_drain(void); /* those without a broadcast are sent away */
int clients_count(void);
struct clients_stats {
	int connections, pending;
	int64_t accepted, refused, published; /* since the start */
};
void clients_stats(struct clients_stats *);
extern struct metrics_counts clients_refusals; /* by reason */
void clients_mark(uint8_t mark[SHA256_BYTES], const char *key); /* to compare keys by */
void clients_capacity(char *text, size_t cap); /* as HAProxy's agent check has it */

/* keepers.c */
bool keepers_unheard(void); /* adopted ones that have not said yet what they keep */
int keepers_adopt(void); /* those that an earlier door left; their number or -errno */
/* Borrows media; -ESTALE: of a broadcast that has ended, which the coprocess has not heard. */
int keepers_take(const struct verdict *, struct keep_session *, int media);
bool keepers_yield(const char *stream, const char *session); /* false: nobody to ask */
/* By any of the three; key: its mark. */
bool keepers_kick(const char *stream, const char *session, const uint8_t *key, const char *reason);
void keepers_each(void (*)(const struct keep_state *, void *), void *); /* the broadcast of each stream */
void keepers_live(void); /* tells a new coprocess of every session, then sync */
void keepers_tick(int64_t now_ms);
void keepers_end(const char *reason);
void keepers_leave(void); /* closes our ends; the broadcasts go on */
int keepers_count(void);

#endif
