/* SPDX-License-Identifier: Apache-2.0 */

/*
 * TLS between memory buffers: ciphertext in, ciphertext out, no sockets.
 *
 * A context is an immutable, counted bundle of everything a side needs: own
 * key and chain, trusted roots, policy. Connections keep the context they were
 * made with, so a rotation makes a new context and drops nothing.
 *
 * Threads: a context may be shared; a connection belongs to one at a time.
 */

#ifndef SWKI_CRYPTO_TLS_H
#define SWKI_CRYPTO_TLS_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

#include "base/buf.h"
#include "crypto/identity.h"

struct swki_tls_context;
struct swki_tls;

/* Fills len bytes with entropy that is fit for keys; 0 or a negative code. */
typedef int (*swki_entropy_fn)(void *ctx, void *out_data, size_t len);

enum swki_tls_side {
    SWKI_TLS_CLIENT,
    SWKI_TLS_SERVER,
};

enum {
    /* Bytes that a handshake may take from the peer. */
    SWKI_TLS_HANDSHAKE_MAX = 64 * 1024,
};

struct swki_tls_config {
    enum swki_tls_side side;
    const char *chain_pem; /* own leaf and intermediates; NULL for none */
    const char *key_pem;   /* own key; NULL for none */
    const char *roots_pem; /* trusted roots; NULL: the peer is not verified */
    swki_entropy_fn entropy;
    void *entropy_ctx;
    /* Calendar time for validity checks; called on the connection's thread. */
    swk_wall (*wall)(void *ctx);
    void *wall_ctx;
    /* Of a client: servers whose sessions it remembers, so that it connects
     * again for a fraction of the price; 0 for none. TLS 1.2 is used then: the
     * library loses the certificate of a session of 1.3. */
    size_t sessions_max;
    /* The peer is no part of a swarm: no protocol is agreed on, and more strong
     * suites will do. */
    bool foreign;
};

/*
 * A server with roots asks for a client certificate and verifies one that is
 * given, but lets a client without one in, as an anonymous peer: who may call
 * what is decided per call. A certificate that does not verify is refused.
 */
int swki_tls_context_new(const struct swk_alloc *alloc,
                         const struct swki_tls_config *config,
                         struct swki_tls_context **out_context,
                         struct swk_error *err);
struct swki_tls_context *swki_tls_context_ref(struct swki_tls_context *context);
void swki_tls_context_unref(struct swki_tls_context *context);

/*
 * server_name is what the client expects in the certificate ("swarm-manager",
 * "swarm-ca"); NULL for no check, and for servers. The context is shared.
 */
int swki_tls_new(struct swki_tls_context *context, const char *server_name,
                 struct swki_tls **out_tls, struct swk_error *err);
void swki_tls_free(struct swki_tls *tls);

/*
 * Before a client's first feed: takes up the session that was had with the
 * server of that name (its address), if there is one, and remembers the one
 * that comes of this. A server that does not know the session any more makes it
 * a full handshake.
 *
 * Sessions end with the context of either side, after an hour, and with any
 * certificate that was shown; after one was taken up the certificate of the
 * peer is looked at again. Nothing happens if sessions_max is 0, or for names
 * of more than 255 bytes.
 */
void swki_tls_resume(struct swki_tls *tls, const char *server);

/* Whether a session was taken up. */
bool swki_tls_resumed(const struct swki_tls *tls);

/*
 * Gives received ciphertext (len may be 0: starts a client's handshake).
 * Plaintext is appended to plain. 0, or a negative code after which the
 * connection is of no use: SWK_EUNAUTHENTICATED when either side refused the
 * other's certificate, SWK_EIO for an end of stream in good order,
 * SWK_EMALFORMED for anything that is not TLS.
 */
int swki_tls_feed(struct swki_tls *tls, const void *data, size_t len,
                  struct swki_buf *plain, struct swk_error *err);

/* Seals plaintext; all of it is taken. Fails with SWK_EINVAL before the
 * handshake is over. */
int swki_tls_write(struct swki_tls *tls, const void *data, size_t len,
                   struct swk_error *err);

/* Queues the orderly end. */
void swki_tls_shutdown(struct swki_tls *tls);

/* Ciphertext to send: take it from the front with swki_buf_consume(). */
struct swki_buf *swki_tls_output(struct swki_tls *tls);

bool swki_tls_established(const struct swki_tls *tls);

/*
 * The verified peer, after the handshake. SWK_EUNAUTHENTICATED if it showed no
 * certificate, was not verified, or its name is not that of a node.
 */
int swki_tls_peer(const struct swki_tls *tls, struct swki_identity *out_peer,
                  struct swk_error *err);

#endif
