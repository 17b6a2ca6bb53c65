/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whose word counts for what may run: public keys of operators, and the check
 * of specs and tasks against them.
 */

#ifndef SWKI_TRUST_TRUST_H
#define SWKI_TRUST_TRUST_H

#include "base/arena.h"
#include "core/trust/statement.h"
#include "crypto/signing_key.h"

struct swki_trust;

/*
 * keys as for swki_verifiers_new(). swarm_id, copied, is the swarm that
 * signatures must be for if they are for one; NULL: any will do.
 */
int swki_trust_new(const struct swk_alloc *alloc, struct swki_pem keys,
                   const char *swarm_id, struct swki_trust **out_trust,
                   struct swk_error *err);
void swki_trust_free(struct swki_trust *trust);

const struct swki_verifiers *swki_trust_keys(const struct swki_trust *trust);

/* How far along the task is. */
enum swki_trust_moment {
    SWKI_TRUST_TO_BEGIN, /* signatures that have expired do not count */
    SWKI_TRUST_BEGUN,    /* they do: nothing is stopped by the calendar */
};

/*
 * Whether one of the signatures is of a trusted key, holds now, and is over
 * just this: SWK_EDENIED with the reason if none is. Signatures that were
 * found good are remembered, so that many tasks of one service cost little.
 */
int swki_trust_check_task(struct swki_trust *trust, const Swkpb__Task *task,
                          swk_wall wall, enum swki_trust_moment moment,
                          struct swk_error *err);
/* *out_index is the signature that is good. */
int swki_trust_check_spec(struct swki_trust *trust,
                          const Swkpb__ServiceSpec *spec, swk_wall wall,
                          size_t *out_index, struct swk_error *err);

enum {
    SWKI_KEY_NAME_SIZE = 2 * SWKI_KEY_ID_SIZE + 1,
};

/* The ID of a signature's key in hex; what is not as long as an ID is "?". */
void swki_key_name(const ProtobufCBinaryData *key_id,
                   char out_name[SWKI_KEY_NAME_SIZE]);

struct swki_sign_terms {
    const char *swarm_id; /* NULL or "": for any swarm */
    swk_wall signed_at;
    swk_wall not_after; /* 0: no end */
};

/*
 * Signs a spec with a private key that is not encrypted: in place of what the
 * same key signed before, and beside the signatures of others. Memory of the
 * arena.
 */
int swki_spec_sign(Swkpb__ServiceSpec *spec, struct swki_pem key,
                   const struct swki_sign_terms *terms,
                   const struct swk_entropy *entropy, struct swki_arena *arena,
                   struct swk_error *err);

/*
 * For whoever writes specs: whether the signatures are well formed, and few
 * enough. SWK_EINVAL.
 */
int swki_signatures_validate(Swkpb__Rpc__SpecSignature *const *list,
                             size_t count, struct swk_error *err);

/*
 * Whether a changed spec carries a signature that was already there and is over
 * what it no longer says: SWK_EINVAL with the key, if so.
 */
int swki_signatures_check_change(const Swkpb__ServiceSpec *before,
                                 const Swkpb__ServiceSpec *after,
                                 struct swk_error *err);

#endif
