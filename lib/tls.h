/*
 * tls: the server's side of TLS on one non-blocking socket; an adapter of OpenSSL.
 *
 * Shape:  new reads the files; open, handshake until 1, then read and write; shut says good-bye.
 * Spec:   TLS 1.2 and 1.3, without renegotiation, compression, tickets and early data.
 * Limits: TLS_CHAIN_BYTES a file; OpenSSL bounds a record (16 KB) and a handshake message.
 * Owner:  the socket stays the caller's.
 * Errors: -EAGAIN when the socket must be waited for: tls_wants says for what.  -EPROTO for what
 *         the peer did, and tls_why says it; -ECONNRESET when it is gone.
 */
#ifndef LV_TLS_H
#define LV_TLS_H

#include <stddef.h>
#include <sys/types.h>

#define TLS_CHAIN_BYTES (256 << 10)

struct tls;

/*
 * The chain, the server's certificate first, and its private key, as PEM.  -errno of reading one
 * (-EPERM: others may read the key), or -EINVAL for what they hold; *path is the file meant and
 * *why what is wrong with it.
 */
int tls_new(struct tls **, const char *cert, const char *key, const char **path, const char **why);
int tls_open(struct tls *, int fd); /* borrows */
int tls_handshake(struct tls *);    /* 1 when done */
ssize_t tls_read(struct tls *, void *, size_t); /* 0: the peer said that it ends */
ssize_t tls_write(struct tls *, const void *, size_t); /* after -EAGAIN: the same bytes again */
int tls_shut(struct tls *);         /* says that we end, once; 0, or -EAGAIN */
short tls_wants(const struct tls *);
const char *tls_why(const struct tls *);
void tls_free(struct tls **);

#endif
