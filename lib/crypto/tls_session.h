/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sessions of TLS 1.2 that are taken up again: a server's tickets, a client's
 * memory of them. Insides of tls.c.
 *
 * Both belong to a context and end with it, so what was agreed under other
 * certificates or roots is never taken up again. Neither outlives an hour, nor
 * any certificate of the chain that was verified, nor the roots.
 *
 * Threads: any; connections of one context run on several.
 */

#ifndef SWKI_CRYPTO_TLS_SESSION_H
#define SWKI_CRYPTO_TLS_SESSION_H

#include "crypto/mbed.h"

#include <mbedtls/ssl.h>

#include <swarmkit/alloc.h>

enum {
    SWKI_TLS_TICKET_SECONDS = 3600,
};

/* What both kinds need of their context; borrowed as long as they live. */
struct swki_tls_session_config {
    const struct swk_alloc *alloc;
    const struct swk_entropy *entropy;
    swk_wall (*wall)(void *ctx);
    void *wall_ctx;
    const mbedtls_x509_crt *roots;
    size_t sessions_max; /* of a client */
};

/* ---- a server's ---- */

struct swki_tls_tickets;

/* SWK_ENOMEM. The keys are made when they are needed. */
int swki_tls_tickets_new(const struct swki_tls_session_config *config,
                         struct swki_tls_tickets **out_tickets,
                         struct swk_error *err);
/* Wipes the keys. */
void swki_tls_tickets_free(struct swki_tls_tickets *tickets);

/* Callbacks of the library; ctx is the tickets. A session of a client that
 * showed no certificate gets no ticket. */
int swki_tls_ticket_write(void *ctx, const mbedtls_ssl_session *session,
                          unsigned char *start, const unsigned char *end,
                          size_t *out_len, uint32_t *out_lifetime);
int swki_tls_ticket_parse(void *ctx, mbedtls_ssl_session *session,
                          unsigned char *data, size_t len);

/* ---- a client's ---- */

struct swki_tls_sessions;

enum {
    SWKI_TLS_SESSION_NAME_SIZE = 512,
};

int swki_tls_sessions_new(const struct swki_tls_session_config *config,
                          struct swki_tls_sessions **out_sessions,
                          struct swk_error *err);
/* Wipes the sessions. */
void swki_tls_sessions_free(struct swki_tls_sessions *sessions);

/* Remembers the session of a handshake that is over, if it came with a ticket,
 * in the place of the one that had the name, or of the oldest. */
void swki_tls_sessions_keep(struct swki_tls_sessions *sessions,
                            const char *name, const mbedtls_ssl_context *ssl);
/* Offers the one of that name, if there is one that is good still. True if it
 * was offered. */
bool swki_tls_sessions_offer(struct swki_tls_sessions *sessions,
                             const char *name, mbedtls_ssl_context *ssl);
/* Forgets it. */
void swki_tls_sessions_drop(struct swki_tls_sessions *sessions,
                            const char *name);

#endif
