/*
 * clients: what the parts of the door that look after connections share.
 *
 * clients.c          who is there: accepted, counted, watched, reaped
 * client_session.c   the process of a connection, and what it says
 * client_verdict.c   its question, the verdict, the hand-over to a keeper
 */
#ifndef RTMP_ACCEPT_CLIENTS_H
#define RTMP_ACCEPT_CLIENTS_H

#include "door.h"

enum state { SILENT, TALKING, ASKED, TAKING, LIVE, LEAVING };

struct client {
	enum state state;
	int fd, ipc;       /* the connection until its session has it; the session's packets */
	pid_t pid;         /* 0: no session yet, or no more */
	const char *listener;
	bool tls;
	pid_t tls_pid;     /* likewise of its TLS process */
	int tls_why;       /* a pipe: why that has failed */
	ev_io io;          /* the first byte, then the packets */
	int64_t since_ms;  /* in this state */
	int64_t opened_ms;
	bool proxied;      /* its front end is to say whose connection it is */
	bool exempt;       /* of the bound an address: ourselves, and front ends */
	int media;         /* the session's end of the media socket, while a keeper takes it */
	char session[65], broadcast[27], remote[64], ip[48], local_ip[48], app[129], client[129];
	uint16_t port, local_port;
	struct ipc_ask *ask; /* until its verdict */
	uint8_t key[SHA256_BYTES]; /* what an operator's "kick" is compared with: no key stays here */
	bool again;          /* it was put twice */
	bool let_in;         /* once: while it leaves it is in nobody's way */
	bool held;           /* it was not put yet: who else publishes is not known */
	struct client *next;
};

extern struct client *clients;
extern uint32_t clients_merge_ms; /* what sessions were told last */

/* clients.c */
void client_state(struct client *, enum state);
struct client *client_find(const char *session);
void client_refused(const struct client *, const char *reason); /* says so */
void client_name_remote(struct client *);
void client_drop(struct client *);
const char *client_too_many(const struct client *); /* with its address, that do not publish; or NULL */

/* client_session.c */
int client_start(struct client *);
void client_close(struct client *, uint32_t code, const char *reason); /* the session tells it why */
void client_kill(const struct client *);

/* client_verdict.c */
void client_refuse(struct client *, uint32_t code, const char *reason);
void client_ask(struct client *, const struct ipc_ask *);
void client_forget_question(struct client *);

#endif
