/* SPDX-License-Identifier: Apache-2.0 */

/* Two ends of TLS back to back, in memory. */

#ifndef TESTS_UNIT_CRYPTO_TLS_PAIR_H
#define TESTS_UNIT_CRYPTO_TLS_PAIR_H

#include "crypto/tls.h"
#include "unit/crypto/pki.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))

struct f {
    struct pki pki;
    struct pki foreign;
    struct pki_node manager;
    struct pki_node worker;
    struct pki_node stranger; /* of the foreign authority */
    swk_wall now;
};

/* One end of a connection, with what it has received. */
struct end {
    struct swki_tls *tls;
    struct swki_buf plain;
    int rc; /* of the last feed */
};

struct pair {
    struct swki_tls_context *contexts[2]; /* the client's, the server's */
    struct end client;
    struct end server;
    struct swki_rng splits;
};

int set_up(void **state);
int tear_down(void **state);

/* The configuration of a side with everything; tests take things away. */
struct swki_tls_config config_of(struct f *f, enum swki_tls_side side,
                                 const struct pki_node *node);

void open_pair(struct pair *pair, const struct swki_tls_config *client,
               const struct swki_tls_config *server, const char *name);
/* The same with contexts that there are; both are shared. */
void open_pair_with(struct pair *pair, struct swki_tls_context *client,
                    struct swki_tls_context *server, const char *name);
void close_pair(struct pair *pair);

/* Lets both talk until nothing is left to carry, in random parts. */
void settle(struct pair *pair);
void open_and_settle(struct pair *pair, const struct swki_tls_config *client,
                     const struct swki_tls_config *server, const char *name);

#endif
