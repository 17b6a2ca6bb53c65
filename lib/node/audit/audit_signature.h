/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who signs the checkpoints of an audit log: the manager that writes it, with
 * the key of its certificate.
 *
 * Any other certificate of the swarm, a worker's or another manager's, would
 * let its holder shorten the log of a manager whose key he does not have.
 */

#ifndef SWKI_NODE_AUDIT_SIGNATURE_H
#define SWKI_NODE_AUDIT_SIGNATURE_H

#include <swarmkit/port/entropy.h>

#include "core/audit/checkpoint.h"
#include "crypto/x509.h"

/* Whose signature counts. */
struct swki_audit_signer {
    struct swki_pem
        roots;            /* empty: whether it is one of a swarm is not known */
    const char *node_id;  /* NULL: that of the checkpoint */
    const char *swarm_id; /* NULL: any */
};

/* Appends the text of a checkpoint that is signed. SWK_ECLOCK if the
 * certificate is not valid at its time: it would not count. */
int swki_audit_signature_make(const struct swki_audit_checkpoint *checkpoint,
                              struct swki_pem key, struct swki_pem certificate,
                              const struct swk_entropy *entropy,
                              struct swki_buf *out_text, struct swk_error *err);

/*
 * Whether the signer signed a checkpoint, as a manager whose certificate was
 * valid at its time. Stores who did, also if the wrong one, unless the
 * signature is nobody's. SWK_EUNAUTHENTICATED, SWK_EMALFORMED, SWK_ECLOCK.
 */
int swki_audit_signature_check(const struct swki_audit_checkpoint *checkpoint,
                               const struct swki_audit_checkpoint_text *text,
                               const struct swki_audit_signer *signer,
                               struct swki_identity *out_identity,
                               struct swk_error *err);

#endif
