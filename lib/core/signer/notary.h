/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The notary: what a signer is willing to sign, whoever asks.
 *
 * A manager says which certificate it wants; the notary believes of that only
 * what it can check. Names come from the request's fields, never from a
 * stranger's CSR. A node that has a certificate shows it, and keeps its role
 * unless the policy lets it be promoted; one without is new, and so many new
 * ones there may be. What was signed before is in the register: who is in there
 * is not new, and has the role it was given last. What the policy limits by
 * rate, and what may be put right by waiting (a clock, an authority that has
 * not been brought here yet, an operator who has to approve), is refused for
 * now: with SWK_ELIMIT, SWK_EUNAVAILABLE or SWK_EPRECONDITION. All else is
 * refused for good: SWK_EDENIED, SWK_EINVAL, SWK_EMALFORMED.
 *
 * It decides and counts; whoever runs it signs, and writes the log.
 */

#ifndef SWKI_CORE_SIGNER_NOTARY_H
#define SWKI_CORE_SIGNER_NOTARY_H

#include "base/arena.h"
#include "core/signer/approvals.h"
#include "core/signer/authorities.h"
#include "core/signer/register.h"
#include "swarmkit/signer.pb-c.h"

enum swki_notary_kind {
    SWKI_NOTARY_NODE = 1,
    SWKI_NOTARY_ROOT = 2,
    SWKI_NOTARY_CROSS = 3,
    SWKI_NOTARY_CHECK = 4, /* whether the authority would sign at all */
};

/* Texts are never NULL. */
struct swki_notary_request {
    enum swki_notary_kind kind;
    swk_wall now; /* as the manager has it */
    const char *swarm_id;
    struct swki_pem authority; /* NODE, CROSS, CHECK */
    const char *node_id;       /* NODE, as all below */
    enum swki_role role;
    uint64_t validity_ns;
    struct swki_pem csr;
    struct swki_pem previous; /* empty for a new node */
    struct swki_pem root;     /* CROSS */
};

struct swki_notary_decision {
    /* Whose key signs. For ROOT the one that is given away, or NULL: a new one
     * has to be made. */
    struct swki_authority *authority;
    struct swki_authority *subject; /* CROSS: the root, if it is held here */
    enum swki_role previous_role;   /* NODE; SWKI_ROLE_NONE for a new one */
    bool approved; /* NODE: by an operator, whose approval is used up by it */
};

/* Lets pass so many an hour, some of them at once. */
struct swki_notary_bucket {
    struct swk_signer_rate rate;
    swk_time full_at; /* when the burst is there in full again */
};

enum swki_notary_rate {
    SWKI_NOTARY_NEW_NODES,
    SWKI_NOTARY_RENEWALS,
    SWKI_NOTARY_NEW_MANAGERS,
    SWKI_NOTARY_ROOTS,
    SWKI_NOTARY_REFUSALS, /* lines of the log */
    SWKI_NOTARY_RATES,
};

enum {
    SWKI_NOTARY_REMOVED_MAX = SWK_AUTHORITIES_MAX,
};

/* An authority that an operator took away. */
struct swki_notary_removed {
    char fingerprint[SWK_FINGERPRINT_LEN + 1];
    swk_wall wall;
};

struct swki_notary {
    struct swk_signer_policy policy; /* without zeroes, and without pointers */
    struct swki_authorities *authorities; /* borrowed */
    struct swki_register nodes;
    struct swki_approvals approvals; /* the caller keeps them up to date */
    struct swki_notary_bucket buckets[SWKI_NOTARY_RATES];
    char swarm_id[SWK_ID_LEN_MAX + 1]; /* "" until something was signed */
    Swkpb__Rpc__SignerCounters counters;
    uint64_t left_out; /* refusals since the last that the log tells of */
    struct swki_notary_removed removed[SWKI_NOTARY_REMOVED_MAX];
    size_t removed_count;
};

/* The policy as given, zero for defaults; a swarm ID that was fixed before
 * (or "") has to agree with it: SWK_EINVAL. The register is empty. */
int swki_notary_init(struct swki_notary *notary,
                     const struct swk_signer_policy *policy,
                     const char *swarm_id, struct swki_authorities *authorities,
                     struct swk_error *err);
void swki_notary_fini(struct swki_notary *notary);

/*
 * Decides. now and wall are the signer's own clocks. On success the rates are
 * used up a little; nothing is changed otherwise. out_decision is filled as
 * far as it is known in any case.
 */
int swki_notary_decide(struct swki_notary *notary, swk_time now, swk_wall wall,
                       const struct swki_notary_request *request,
                       struct swki_notary_decision *out_decision,
                       struct swk_error *err);

/* What is to be put into the register, by the certificate that was made. */
int swki_notary_record(const struct swki_notary_request *request,
                       struct swki_pem certificate,
                       struct swki_register_record *out_record,
                       struct swk_error *err);

/*
 * It was signed: from now on the swarm is the only one, and the authorities are
 * in use. True if either is new, and has to be remembered.
 */
bool swki_notary_signed(struct swki_notary *notary,
                        const struct swki_notary_request *request,
                        const struct swki_notary_decision *decision);

/*
 * It was not: by the policy, or because something failed. False if the log need
 * not tell of it: whoever asks again and again must not fill the disk. Then it
 * is counted, and out_left_out of the next one says how many there were.
 */
bool swki_notary_refused(struct swki_notary *notary, swk_time now, int code,
                         uint64_t *out_left_out);

/* An authority is not there any more; the last of them are told to people. */
void swki_notary_removed(struct swki_notary *notary, const char *fingerprint,
                         swk_wall wall);

/* The whole state, for people; in the arena. NULL for no memory. */
Swkpb__Rpc__DescribeSignerResponse *
swki_notary_describe(const struct swki_notary *notary, swk_wall wall,
                     struct swki_arena *arena);

#endif
