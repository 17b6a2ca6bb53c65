/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The signer for jobs that name external CAs: it asks one after the other, over
 * HTTPS with the manager's own certificate, by CFSSL's protocol.
 *
 * A job is refused for good only if each of them refused; one that was away, or
 * made no sense, may yet sign. If some were, and others refused, it is that job
 * alone that is tried again: SWK_EABORTED, as for an HTTP status of 4xx. What
 * they signed is not looked at here.
 */

#ifndef SWKI_NODE_EXTERNAL_CA_H
#define SWKI_NODE_EXTERNAL_CA_H

#include <swarmkit/port/signer.h>

#include "crypto/x509.h"
#include "node/signing/https.h"

enum {
    SWKI_EXTERNAL_CA_THREADS = 4, /* a CA that is away holds one up */
};

#define SWKI_EXTERNAL_CA_LIMIT (5 * SWK_SECOND) /* for each URL */

struct swki_external_ca;

int swki_external_ca_new(const struct swki_https_config *config,
                         struct swki_external_ca **out_ca,
                         struct swk_error *err);
/* What is being asked ends at once. */
void swki_external_ca_free(struct swki_external_ca *ca);

/* The manager's certificate, with what is behind it, and its key; *copied*, for
 * all that is asked from now on. Any thread. */
int swki_external_ca_set_identity(struct swki_external_ca *ca,
                                  struct swki_pem certificate,
                                  struct swki_pem key, struct swk_error *err);

/* Borrowed until it is freed. */
const struct swk_signer *
swki_external_ca_port(const struct swki_external_ca *ca);

#endif
