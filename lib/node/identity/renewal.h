/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A node's certificate, kept fresh: for a new key, under its old identity, in
 * the role that the swarm grants it now. And the roots that it trusts, kept up
 * with those of the swarm.
 *
 * When to renew, core/ca/renewer.h decides. How: it asks the swarm's CA, waits
 * for the certificate, verifies it, and only then replaces what is on the disk
 * and in the credentials. A certificate that ended while the node was off no
 * longer speaks for it; the node then proves that it has its key
 * (core/ca/proof.h).
 *
 * The new key is on the disk before the CA hears of it, until an answer was
 * judged (next_key.h): what the CA has issued is taken in the end, whatever
 * happens to the answer, to the process, or to the clock that made the
 * certificate look invalid. An attempt that finds such a key asks first what
 * became of its request.
 *
 * Roots come with the session's news. When managers cannot be verified any
 * more, the node asks for the roots. Neither is believed, as a manager that was
 * verified need not hold the CA's key: roots count if one of them signed the
 * present certificate itself, and the others are trusted already
 * (crypto/x509.h, swki_leaf_vouches()).
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_RENEWAL_H
#define SWKI_NODE_RENEWAL_H

#include "dispatcher.pb-c.h"
#include "node/identity/ask.h"

enum swki_renewal_kind {
    SWKI_RENEWAL_ANY_ROLE,
    SWKI_RENEWAL_WORKER_ONLY, /* this program cannot manage */
};

struct swki_renewal_config {
    struct swki_asker asker;              /* its credentials are those below */
    struct swki_credentials *credentials; /* replaced when renewed */
    const char *state_dir;
    enum swki_renewal_kind kind;
    uint64_t seed;
    void *ctx;
    /* The certificate was replaced, or the roots: connections from now on are
     * to use them. */
    void (*changed)(void *ctx, swk_time now);
    /* A manager refused a certificate, and said why. */
    void (*refused)(void *ctx, const struct swk_error *why);
};

struct swki_renewal;

int swki_renewal_new(const struct swki_renewal_config *config,
                     struct swki_renewal **out_renewal, struct swk_error *err);
void swki_renewal_free(struct swki_renewal *renewal);

/* What the swarm says of this node, and of its roots. */
void swki_renewal_news(struct swki_renewal *renewal,
                       const Swkpb__SessionMessage *news);

/* Renews soon, whatever the time. */
void swki_renewal_request(struct swki_renewal *renewal);

/* Renews until the certificate has this role (SWKI_ROLE_...). */
void swki_renewal_expect(struct swki_renewal *renewal, unsigned role);

/* A manager could not be verified, or did not take this node's certificate:
 * looks for the reason, in the roots and in the clock. A manager may trust
 * another root, to which nothing leads from the node's own: if it is right the
 * node missed the end of a rotation, and has to join anew. It cannot know for
 * sure, since it cannot believe a manager: it remembers with the remotes who
 * says so, and goes on asking, ten seconds later those that were not asked, and
 * a minute later all. When all others have said so, or nothing, it
 * tells the operator, once until it is let in again. */
void swki_renewal_refused(struct swki_renewal *renewal);

/* Whether the certificate has ended. */
bool swki_renewal_expired(const struct swki_renewal *renewal);

#endif
