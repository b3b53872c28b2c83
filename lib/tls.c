#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "whole.h"

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	short wants;
	const char *why;
};

/* Nobody is there to be asked for a passphrase. */
static int
no_passphrase(char *to, int cap, int writing, void *ctx)
{
	(void)to;
	(void)cap;
	(void)writing;
	(void)ctx;
	return 0;
}

static const char *
take_chain(SSL_CTX *ctx, BIO *pem)
{
	X509 *x = PEM_read_bio_X509_AUX(pem, NULL, no_passphrase, NULL);
	int ok;

	if (!x)
		return "no certificate in PEM";
	ok = SSL_CTX_use_certificate(ctx, x) == 1;
	X509_free(x);
	while (ok && (x = PEM_read_bio_X509(pem, NULL, no_passphrase, NULL)))
		if (!(ok = SSL_CTX_add0_chain_cert(ctx, x) == 1))
			X509_free(x);
	if (!ok)
		return "not a certificate that a server can use";
	ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end of the file */
	ERR_clear_error();
	return ok ? NULL : "a damaged certificate in the chain";
}

static const char *
take_key(SSL_CTX *ctx, BIO *pem)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, NULL);
	const char *why = NULL;

	if (!key)
		return "no private key in PEM, without a passphrase";
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		why = "not the private key of the certificate";
	EVP_PKEY_free(key);
	return why;
}

static int
take_file(SSL_CTX *ctx, const char *path, bool secret, const char **why)
{
	struct buf text = { 0 };
	struct stat st;
	int r = secret && !stat(path, &st) && (st.st_mode & S_IRWXO) ? -EPERM
		: whole_read(path, TLS_CHAIN_BYTES, false, &text, NULL); /* a group may have it: ssl-cert */
	BIO *pem;

	if (r < 0)
		goto out;
	if (!(pem = BIO_new_mem_buf(buf_len(&text) ? (void *)buf_data(&text) : "", (int)buf_len(&text)))) {
		r = -ENOMEM;
	} else {
		*why = secret ? take_key(ctx, pem) : take_chain(ctx, pem);
		r = *why ? -EINVAL : 0;
	}
	BIO_free(pem);
out:
	if (secret && buf_len(&text))
		OPENSSL_cleanse(buf_data(&text), buf_len(&text));
	buf_free(&text);
	return r;
}

int
tls_new(struct tls **out, const char *cert, const char *key, const char **path, const char **why)
{
	struct tls *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*why = NULL;
	*path = cert;
	if (!t || !(t->ctx = SSL_CTX_new(TLS_server_method())))
		goto out;
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
			SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(t->ctx, 0);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS);
	if ((r = take_file(t->ctx, cert, false, why)) < 0)
		goto out;
	*path = key;
	if ((r = take_file(t->ctx, key, true, why)) < 0)
		goto out;
	*out = t;
	t = NULL;
out:
	tls_free(&t);
	return r;
}

int
tls_open(struct tls *t, int fd)
{
	if (!(t->ssl = SSL_new(t->ctx)) || SSL_set_fd(t->ssl, fd) != 1)
		return -ENOMEM;
	SSL_set_accept_state(t->ssl);
	return 0;
}

/* What became of a call that gave r <= 0. */
static int
outcome(struct tls *t, int r)
{
	unsigned long e;

	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		t->wants = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->wants = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SSL:
		e = ERR_peek_last_error();
		t->why = ERR_reason_error_string(e);
		if (ERR_GET_REASON(e) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return -EPROTO;
	}
	return -ECONNRESET;
}

int
tls_handshake(struct tls *t)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	return r == 1 ? 1 : (r = outcome(t, r)) ? r : -ECONNRESET;
}

ssize_t
tls_read(struct tls *t, void *to, size_t cap)
{
	size_t n;

	ERR_clear_error();
	return SSL_read_ex(t->ssl, to, cap, &n) == 1 ? (ssize_t)n : outcome(t, 0);
}

ssize_t
tls_write(struct tls *t, const void *from, size_t size)
{
	size_t n;
	int r;

	ERR_clear_error();
	if (SSL_write_ex(t->ssl, from, size, &n) == 1)
		return (ssize_t)n;
	return (r = outcome(t, 0)) ? r : -ECONNRESET;
}

int
tls_shut(struct tls *t)
{
	int r;

	ERR_clear_error();
	r = SSL_shutdown(t->ssl);
	return r < 0 && outcome(t, r) == -EAGAIN ? -EAGAIN : 0;
}

short
tls_wants(const struct tls *t)
{
	return t->wants;
}

const char *
tls_why(const struct tls *t)
{
	return t->why ? t->why : "a TLS error";
}

void
tls_free(struct tls **t)
{
	if (!*t)
		return;
	SSL_free((*t)->ssl);
	SSL_CTX_free((*t)->ctx);
	free(*t);
	*t = NULL;
}
