/* SPDX-License-Identifier: Apache-2.0 */

/* What a node agrees to run, of the texts that its operator gave. */

#ifndef SWKI_NODE_AGREEMENT_H
#define SWKI_NODE_AGREEMENT_H

#include "base/arena.h"
#include "core/trust/trust.h"

struct swki_agreement {
    struct swki_arena arena;
    struct swki_trust *trust;         /* NULL: signatures do not matter */
    Swkpb__Rpc__NodeConsent *consent; /* for managers; NULL: it runs anything */
};

/* Of a node's configuration, see <swarmkit/agent.h>; each may be NULL. */
struct swki_agreement_texts {
    const char *trusted_keys; /* PEM */
    const char *policy;       /* JSON */
};

int swki_agreement_init(struct swki_agreement *agreement,
                        const struct swk_alloc *alloc,
                        const struct swki_agreement_texts *texts,
                        const char *swarm_id, struct swk_error *err);
/* Whether the texts can be read, before anything else is done. */
int swki_agreement_check(const struct swk_alloc *alloc,
                         const struct swki_agreement_texts *texts,
                         struct swk_error *err);
/* Also for one that is all zero. */
void swki_agreement_fini(struct swki_agreement *agreement);

#endif
